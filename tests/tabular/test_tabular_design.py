"""Design: the matrix of a model."""

import numpy as np
import pytest
from sklearn.impute import SimpleImputer

from service.tabular.design import Design
from service.tabular.schema import Schema
from service.tabular.schema_inference import infer_schema
from service.tabular.table import Table

TABLE = Table(
    ("age", "isle", "mass"),
    (np.array([1.0, 3.0, 8.0]), np.array(["b", "a", "b"], dtype=np.object_), np.array([0.5, 0.5, 0.5])),
    3,
)
SCHEMA = infer_schema(TABLE)
HOLES = Table(
    ("age", "isle", "mass"),
    (np.array([1.0, np.nan, 8.0, 3.0]), np.array(["b", "a", None, "b"], dtype=np.object_), np.full(4, 0.5)),
    4,
)
# Ten rows of each kind, so that there are enough to be indicated.
IMPUTED = infer_schema(HOLES.rows(np.tile(np.arange(4), 10)), missing="impute")


def test_every_category_has_a_column() -> None:
    """Numeric columns stay, a text column becomes one indicator for each category."""
    design = Design(SCHEMA)

    assert design.column_names == ("age", "isle=a", "isle=b", "mass")
    assert design.feature_of_column == (0, 1, 1, 2)
    assert design.matrix(TABLE).tolist() == [[1.0, 0.0, 1.0, 0.5], [3.0, 1.0, 0.0, 0.5], [8.0, 0.0, 1.0, 0.5]]


def test_first_category_can_be_the_reference() -> None:
    """With ``drop_first`` the first category is the row of zeros."""
    design = Design(SCHEMA, drop_first=True)

    assert design.column_names == ("age", "isle=b", "mass")
    assert design.feature_of_column == (0, 1, 2)
    assert design.matrix(TABLE)[:, 1].tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("drop_first", [False, True])
@pytest.mark.parametrize(("schema", "table"), [(SCHEMA, TABLE), (IMPUTED, HOLES)], ids=["whole", "holes"])
def test_means_are_those_of_the_training_matrix(schema: Schema, table: Table, *, drop_first: bool) -> None:
    """The recorded means equal the column means of the matrix, cells that were imputed included."""
    design = Design(schema, drop_first)

    np.testing.assert_allclose(design.means, design.matrix(table).mean(axis=0), rtol=1e-15)


def test_missing_cells_are_imputed_and_indicated() -> None:
    """A feature that had missing cells in training, numbers or text, has one more column: 1 where the cell is missing."""
    design = Design(IMPUTED)

    assert design.column_names == ("age", "age is missing", "isle=a", "isle=b", "isle is missing", "mass")
    assert design.feature_of_column == (0, 0, 1, 1, 1, 2)
    assert design.matrix(HOLES).tolist() == [
        [1.0, 0.0, 0.0, 1.0, 0.0, 0.5],
        [4.0, 1.0, 1.0, 0.0, 0.0, 0.5],
        [8.0, 0.0, 0.0, 1.0, 1.0, 0.5],
        [3.0, 0.0, 0.0, 1.0, 0.0, 0.5],
    ]


def test_the_reference_keeps_its_indicator() -> None:
    """``drop_first`` leaves out a category, never an indicator, for missing cells are not the first category."""
    assert Design(IMPUTED, drop_first=True).column_names == (
        *("age", "age is missing"),
        *("isle=b", "isle is missing"),
        "mass",
    )


def test_feature_that_was_whole_in_training_is_imputed_only() -> None:
    """A cell missing where training had none has no coefficient of its own: it is the mean and nothing else."""
    row = Table(("age", "isle", "mass"), (np.array([1.0]), np.array(["b"], dtype=np.object_), np.array([np.nan])), 1)

    assert Design(IMPUTED).matrix(row).tolist() == [[1.0, 0.0, 0.0, 1.0, 0.0, 0.5]]


def test_column_without_values_is_missing_in_every_row() -> None:
    """Nulls alone have no kind: as text in a numeric column, and as numbers in a text column, they are indicated."""
    nulls = np.array([None, None], dtype=np.object_)
    table = Table(("mass", "isle", "age"), (np.array([0.5, 0.5]), np.array([np.nan, np.nan]), nulls), 2)

    assert Design(IMPUTED).matrix(table).tolist() == [[4.0, 1.0, 0.0, 1.0, 1.0, 0.5]] * 2


def test_indicators_are_those_of_scikit_learn() -> None:
    """``SimpleImputer(add_indicator=True)`` has the same columns, the indicators at the end, also for new rows."""
    rng = np.random.default_rng(3)
    X, new = rng.normal(size=(2, 50, 4))
    X[rng.random(X.shape) < [0.3, 0.0, 0.5, 0.0]] = np.nan
    new[rng.random(new.shape) < 0.3] = np.nan
    training, later = (Table(tuple("abcd"), tuple(matrix.T), 50) for matrix in (X, new))
    theirs = SimpleImputer(add_indicator=True).fit(X)

    design = Design(infer_schema(training, missing="impute"))

    assert design.column_names == ("a", "a is missing", "b", "c", "c is missing", "d")
    for table, matrix in ((training, X), (later, new)):
        np.testing.assert_allclose(design.matrix(table)[:, [0, 2, 3, 5, 1, 4]], theirs.transform(matrix), rtol=1e-14)


def test_no_rows_make_an_empty_matrix() -> None:
    """A table without rows has a matrix without rows."""
    assert Design(SCHEMA).matrix(TABLE.rows(np.array([], dtype=np.intp))).shape == (0, 4)
