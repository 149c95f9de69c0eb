"""The built-in data sets: the same rows everywhere, and those of their sources."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linprog
from sklearn.datasets import load_breast_cancer, load_iris

from service.errors import UnreadableFile
from service.tabular import datasets
from service.tabular.datasets import DATASETS, load_dataset
from service.tabular.schema_inference import infer_schema
from service.tabular.table import missing_cells

SHAPES = {
    "iris": (150, 5),
    "iris-binary": (150, 3),
    "breast-cancer": (569, 31),
    "penguins": (344, 8),
    "moons": (400, 3),
    "spiral": (300, 3),
    "random": (500, 5),
}


def matrix(name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    dataset = load_dataset(name)
    return np.column_stack(dataset.table.without(dataset.target).columns).astype(np.float64)


@pytest.mark.parametrize("name", DATASETS)
def test_dataset_is_ready_to_train(name: str) -> None:
    """Each has its shape, a target column, its origin, and features from which a schema follows."""
    dataset = load_dataset(name)

    schema = infer_schema(dataset.table.without(dataset.target), missing="impute")

    assert (dataset.table.n_rows, len(dataset.table.names)) == SHAPES[name]
    assert len(schema.features) == SHAPES[name][1] - 1
    assert dataset.name == name
    assert all((dataset.description, dataset.source, dataset.licence))


@pytest.mark.parametrize(("name", "load"), [("iris", load_iris), ("breast-cancer", load_breast_cancer)])
def test_shipped_values_are_those_of_scikit_learn(name: str, load: object) -> None:
    """Numbers are equal bit for bit, and so are the names of columns and classes."""
    assert callable(load)
    expected = load()
    dataset = load_dataset(name)

    assert matrix(name).tobytes() == np.ascontiguousarray(expected.data).tobytes()
    assert dataset.table.without(dataset.target).names == tuple(expected.feature_names)
    assert dataset.table.column(dataset.target).tolist() == expected.target_names[expected.target].tolist()


def test_iris_binary_is_setosa_by_its_sepal() -> None:
    """The first two columns of iris, and 1 for its fifty setosa flowers."""
    binary, iris = load_dataset("iris-binary").table, load_dataset("iris").table

    assert binary.names == ("sepal length (cm)", "sepal width (cm)", "setosa")
    assert binary.columns[1].tolist() == iris.columns[1].tolist()
    assert binary.column("setosa").tolist() == [1.0] * 50 + [0.0] * 100


def test_penguins_have_text_and_missing_cells() -> None:
    """Two rows lack their measures, eleven the sex; the species are three."""
    dataset = load_dataset("penguins")

    n_missing = {name: int(missing_cells(column).sum()) for name, column in dataset.table}

    assert {name: n for name, n in n_missing.items() if n} == {
        "bill_length_mm": 2,
        "bill_depth_mm": 2,
        "flipper_length_mm": 2,
        "body_mass_g": 2,
        "sex": 11,
    }
    assert set(dataset.table.column("species")) == {"Adelie", "Chinstrap", "Gentoo"}
    assert dataset.missing_values == ("NA",)


@pytest.mark.parametrize("name", ["moons", "spiral", "random"])
def test_generated_rows_are_always_the_same(name: str) -> None:
    """Two loads are equal bit for bit, and loading leaves the global random state alone."""
    before = repr(np.random.get_state())  # noqa: NPY002  the legacy state is what must not move

    first, second = load_dataset(name).table, load_dataset(name).table

    assert [column.tobytes() for column in first.columns] == [column.tobytes() for column in second.columns]
    assert repr(np.random.get_state()) == before  # noqa: NPY002  as above


def test_generated_rows_are_those_of_the_first_release() -> None:
    """The rows, rounded to nine digits for the sake of other mathematical libraries, have not changed."""
    rounded = [np.round(matrix(name), 9) + 0.0 for name in ("moons", "spiral", "random")]

    digest = hashlib.sha256(b"".join(part.tobytes() for part in rounded)).hexdigest()

    assert digest[:16] == "a5350866aa46d67f"


def test_generated_classes_are_balanced() -> None:
    """Moons and arms have equal shares."""
    moons, spiral = load_dataset("moons").table, load_dataset("spiral").table

    assert np.unique(moons.column("moon"), return_counts=True)[1].tolist() == [200, 200]
    assert np.unique(spiral.column("arm"), return_counts=True)[1].tolist() == [100, 100, 100]


def test_random_is_standardised_and_not_separable() -> None:
    """Columns have mean 0 and deviation 1, and no plane parts the classes: the linear programme is infeasible."""
    points, y = matrix("random"), load_dataset("random").table.column("y").astype(np.float64)
    rows = np.column_stack([points, np.ones(len(y))]) * (2 * y - 1)[:, None]

    answer = linprog(np.zeros(5), A_ub=-rows, b_ub=-np.ones(len(y)), bounds=(None, None))

    np.testing.assert_allclose(points.mean(axis=0), 0.0, atol=1e-14)
    np.testing.assert_allclose(points.std(axis=0), 1.0, rtol=1e-14)
    assert answer.status == 2


def test_unknown_name_has_the_nearest_as_hint() -> None:
    """A misspelt name is refused with the one that was meant."""
    with pytest.raises(UnreadableFile, match="is not a built-in data set") as caught:
        load_dataset("irs")

    assert caught.value.hint == "did you mean 'iris'?"


def test_readme_lists_every_dataset_with_its_rows() -> None:
    """The table in the folder's README has a line for each name, with the number of rows."""
    readme = (Path(datasets.__file__).parent / "README.md").read_text(encoding="utf-8")

    for name, (n_rows, _) in SHAPES.items():
        assert f"| `{name}` | {n_rows} |" in readme
    assert set(SHAPES) == set(DATASETS)
