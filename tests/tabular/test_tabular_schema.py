"""Tables, limits and schemas: what a model expects of a row, and what a training table implies."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from service.errors import (
    DuplicateFeature,
    EmptyInput,
    InvalidInput,
    LengthMismatch,
    MissingFeature,
    MissingValue,
    NonFinite,
    ServiceError,
    TooManyCells,
    UnknownCategory,
    UnknownFeature,
    WrongType,
)
from service.tabular.limits import Limits
from service.tabular.schema import MAX_COMPARED, CategoricalFeature, NumericFeature, Schema, nearest
from service.tabular.schema_inference import infer_schema
from service.tabular.table import Column, Table

AGE = NumericFeature(name="age", mean=30.0, minimum=20.0, maximum=40.0)
SEX = CategoricalFeature(name="sex", categories=("f", "m"), frequencies=(0.5, 0.5))
REJECT = Schema(features=(AGE, SEX))
IMPUTE = Schema(features=(AGE, SEX), missing="impute")


def text(*cells: str | None) -> Column:
    return np.array(cells, dtype=np.object_)


def table(**columns: Column | list[float]) -> Table:
    arrays = tuple(np.array(c, dtype=np.float64) if isinstance(c, list) else c for c in columns.values())
    return Table(tuple(columns), arrays, len(arrays[0]) if arrays else 0)


def test_limits_hold_at_the_limit_and_not_beyond() -> None:
    """A table exactly at each limit is accepted, one cell more is not."""
    limits = Limits(max_rows=4, max_features=4, max_cells=12)

    limits.check(4, 3)
    limits.check(3, 4)

    with pytest.raises(TooManyCells, match="12 cells"):
        limits.check(4, 4)


@pytest.mark.parametrize(
    ("names", "columns", "error"),
    [
        (("a", "a"), ([1.0], [1.0]), DuplicateFeature),
        (("",), ([1.0],), InvalidInput),
        (("a\nb",), ([1.0],), InvalidInput),
        (("x" * 257,), ([1.0],), InvalidInput),
        (("a",), ([1.0], [1.0]), LengthMismatch),
        (("a", "b"), ([1.0], [1.0, 2.0]), LengthMismatch),
    ],
)
def test_table_must_be_rectangular(
    names: tuple[str, ...], columns: tuple[list[float], ...], error: type[ServiceError]
) -> None:
    """Names and columns that do not fit together make no table."""
    with pytest.raises(error):
        Table(names, tuple(np.array(column) for column in columns), 1)


def test_table_gives_parts_of_itself() -> None:
    """Columns by name, a table less one column, a table of some rows."""
    whole = table(a=[1.0, 2.0, 3.0], b=text("x", None, "y"))

    assert whole.without("a").names == ("b",)
    assert whole.rows(np.array([2, 0])).column("b").tolist() == ["y", "x"]
    with pytest.raises(KeyError):
        whole.column("c")


def test_conform_orders_the_columns() -> None:
    """The columns come in the schema's order whatever the table's was; complete columns are not copied."""
    given = table(sex=text("m"), age=[25.0])

    conformed = REJECT.conform(given)

    assert conformed.names == ("age", "sex")
    assert conformed.columns[0] is given.columns[1]


def test_missing_cells_are_imputed_in_a_copy() -> None:
    """The mean and the most frequent category (the first on a tie) fill missing cells; the input stays as it was."""
    given = table(age=[np.nan, 25.0], sex=text(None, "m"))

    conformed = IMPUTE.conform(given)

    assert [column.tolist() for column in conformed.columns] == [[30.0, 25.0], ["f", "m"]]
    assert given.column("sex")[0] is None


def test_column_without_values_fits_either_kind() -> None:
    """A request whose only cell is null has no kind of its own."""
    conformed = IMPUTE.conform(table(age=text(None), sex=[np.nan]))

    assert [column.tolist() for column in conformed.columns] == [[30.0], ["f"]]


@pytest.mark.parametrize(
    ("given", "error", "pointer"),
    [
        (table(age=[1.0]), MissingFeature, ""),
        (table(age=[1.0], sex=text("f"), x=[1.0]), UnknownFeature, ""),
        (table(age=[1.0, np.nan], sex=text("f", "f")), MissingValue, "/instances/1/0"),
        (table(age=[1.0], sex=text(None)), MissingValue, "/instances/0/1"),
        (table(age=[1.0, np.inf], sex=text("f", "f")), NonFinite, "/instances/1/0"),
        (table(age=[1.0, 2.0], sex=text("f", "d")), UnknownCategory, "/instances/1/1"),
        (table(age=text("1"), sex=text("f")), WrongType, None),
        (table(age=[1.0], sex=[1.0]), WrongType, None),
    ],
)
def test_conform_refuses_with_class_and_pointer(given: Table, error: type[ServiceError], pointer: str | None) -> None:
    """What the schema does not allow is refused by class, at the row and the schema's column."""
    with pytest.raises(error) as caught:
        REJECT.conform(given)

    assert type(caught.value) is error
    assert [place.pointer for place in caught.value.errors] == ([] if pointer is None else [pointer])


def test_hints_name_the_nearest_and_the_known() -> None:
    """An unknown column comes with the nearest name, an unknown category with at most five known ones."""
    many = CategoricalFeature(name="sex", categories=tuple("abcdef"), frequencies=(1 / 6,) * 6)

    with pytest.raises(UnknownFeature) as name:
        REJECT.check_names(["agee", "sex"])
    with pytest.raises(UnknownCategory) as category:
        Schema(features=(many,)).conform(table(sex=text("z")))

    assert name.value.hint == "did you mean 'age'?"
    assert category.value.hint == "known categories: 'a', 'b', 'c', 'd', 'e', …"


@pytest.mark.parametrize(
    "features",
    [
        (),
        (AGE, AGE),
        ({"kind": "categorical", "name": "c", "categories": ["a", "b"], "frequencies": [1.0]},),
        ({"kind": "categorical", "name": "c", "categories": ["a", "a"], "frequencies": [0.5, 0.5]},),
        ({"kind": "categorical", "name": "c", "categories": [], "frequencies": []},),
        ({"kind": "numeric", "name": "c", "mean": math.nan, "minimum": 0, "maximum": 1},),
        ({"kind": "numeric", "name": "c", "mean": 0.5, "minimum": 0, "maximum": 1, "missing_share": 1.0},),
        ({"kind": "numeric", "name": "c", "mean": 0.5, "minimum": 0, "maximum": 1, "quantiles": [0, 1]},),
        ({"kind": "numeric", "name": "c", "mean": 0.5, "minimum": 0, "maximum": 1, "quantiles": range(23, 0, -1)},),
    ],
)
def test_stored_schema_is_checked(features: object) -> None:
    """A schema read from a file that contradicts itself is not built."""
    with pytest.raises(ValidationError):
        Schema.model_validate({"features": features})


def test_schema_survives_json() -> None:
    """A schema written as JSON is equal when read again."""
    assert Schema.model_validate_json(IMPUTE.model_dump_json()) == IMPUTE


def test_inference_describes_the_cells_that_are_present() -> None:
    """Means, ranges, quantiles, sorted categories and their shares leave missing cells out, and tell their share."""
    rows = table(age=[1.0, np.nan, 4.0, np.nan], sex=text("m", "f", "m", None)).rows(np.tile(np.arange(4), 10))

    schema = infer_schema(rows, missing="impute", missing_values=("NA",))

    quantiles = (1.0,) * 12 + (4.0,) * 11
    assert schema.features == (
        NumericFeature(
            name="age",
            mean=2.5,
            minimum=1.0,
            maximum=4.0,
            quantiles=quantiles,
            missing_share=0.5,
            has_indicator=True,
        ),
        CategoricalFeature(
            name="sex", categories=("f", "m"), frequencies=(1 / 3, 2 / 3), missing_share=0.25, has_indicator=True
        ),
    )
    assert (schema.missing, schema.missing_values) == ("impute", ("NA",))


@pytest.mark.parametrize(("n_missing", "has_indicator"), [(0, False), (1, False), (9, False), (10, True), (30, True)])
def test_ten_missing_cells_make_an_indicator(n_missing: int, has_indicator: bool) -> None:  # noqa: FBT001 — a parameter of the test
    """Of fewer the share is told, and the cells are imputed only: their rows are too few to learn from."""
    cells, words = [1.0] * 10 + [np.nan] * n_missing, ["m"] * 10 + [None] * n_missing

    schema = infer_schema(table(age=cells, sex=text(*words)), missing="impute")

    assert [feature.has_indicator for feature in schema.features] == [has_indicator] * 2
    assert [feature.missing_share for feature in schema.features] == [n_missing / (10 + n_missing)] * 2


@pytest.mark.parametrize("value", [0.1, 1.7e308, -1.7e308, 5e-324])
def test_mean_of_equal_numbers_is_the_number(value: float) -> None:
    """Neither rounding nor overflow moves the mean out of the range."""
    feature = infer_schema(table(a=[value] * 3)).features[0]

    assert isinstance(feature, NumericFeature)
    assert feature.minimum == feature.mean == feature.maximum == value


@pytest.mark.parametrize(
    ("given", "error", "part"),
    [
        (table(a=[1.0, np.nan]), MissingValue, "row 1, column 'a' is missing"),
        (table(a=[1.0, np.inf]), NonFinite, "column 'a'"),
        (table(a=[]), EmptyInput, "at least one row"),
        (table(), EmptyInput, "one feature column"),
        (table(a=text(*map(str, range(1_001)))), InvalidInput, "is it an identifier"),
    ],
)
def test_inference_refuses(given: Table, error: type[ServiceError], part: str) -> None:
    """A table from which no schema follows is refused with the column."""
    with pytest.raises(error, match=part) as caught:
        infer_schema(given)

    assert type(caught.value) is error


def test_inference_refuses_a_column_without_values() -> None:
    """There is nothing to impute from when all cells are missing."""
    with pytest.raises(InvalidInput, match="no value in any row"):
        infer_schema(table(a=[np.nan, np.nan]), missing="impute")


def test_missing_cell_comes_with_its_remedy() -> None:
    """The message of a missing cell in training names the option that imputes."""
    with pytest.raises(MissingValue) as caught:
        infer_schema(table(a=text("x", None)))

    assert "--missing impute" in str(caught.value.hint)
    assert caught.value.errors[0].pointer == "/instances/1/0"


def test_a_hint_compares_a_bounded_number_of_names() -> None:
    """Of very many names the first are compared, and of a very long one its beginning: names may be chosen to take long."""
    known = iter([f"name {index}" for index in range(MAX_COMPARED + 10)])

    assert nearest("name 1", known) == "did you mean 'name 1'?"
    assert next(known) == f"name {MAX_COMPARED}"
    assert nearest("name" * 100_000, ["name"]) is None
