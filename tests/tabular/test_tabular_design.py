"""Design: the matrix of a model."""

import numpy as np
import pytest

from service.tabular.design import Design
from service.tabular.schema_inference import infer_schema
from service.tabular.table import Table

TABLE = Table(
    ("age", "isle", "mass"),
    (np.array([1.0, 3.0, 8.0]), np.array(["b", "a", "b"], dtype=np.object_), np.array([0.5, 0.5, 0.5])),
    3,
)
SCHEMA = infer_schema(TABLE)
RNG = np.random.default_rng(1)


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
def test_means_are_those_of_the_training_matrix(drop_first: bool) -> None:  # noqa: FBT001  a parameter of the test
    """The recorded means equal the column means of the matrix."""
    design = Design(SCHEMA, drop_first)

    np.testing.assert_allclose(design.means, design.matrix(TABLE).mean(axis=0), rtol=1e-15)


def test_no_rows_make_an_empty_matrix() -> None:
    """A table without rows has a matrix without rows."""
    assert Design(SCHEMA).matrix(TABLE.rows(np.array([], dtype=np.intp))).shape == (0, 4)
