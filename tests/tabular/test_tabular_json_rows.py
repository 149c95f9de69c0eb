"""Tables from parsed JSON: layouts, kinds, and the class and pointer of every mistake."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from service.errors import (
    DuplicateFeature,
    EmptyInput,
    FeatureCount,
    InvalidInput,
    MissingFeature,
    NonFinite,
    RaggedRows,
    ServiceError,
    TooManyCells,
    TooManyFeatures,
    TooManyRows,
    UnknownFeature,
    UnknownField,
    WrongShape,
    WrongType,
)
from service.tabular.json_rows import infer_table, table_from_json, table_from_rows
from service.tabular.limits import Limits
from service.tabular.schema import CategoricalFeature, NumericFeature, Schema

LIMITS = Limits()


def numeric(name: str) -> NumericFeature:
    return NumericFeature(name=name, mean=0.0, minimum=-1.0, maximum=1.0)


ABC = Schema(features=(numeric("a"), numeric("b"), numeric("c")))
MIXED = Schema(features=(numeric("x/y"), CategoricalFeature(name="sex", categories=("f", "m"), frequencies=(0.5, 0.5))))

SAME_ROW = [
    {"instances": [[1, 2, 3]]},
    {"instances": [{"c": 3, "a": 1, "b": 2}]},
    {"columns": ["b", "c", "a"], "data": [[2, 3, 1]]},
    [[1, 2, 3]],
    [{"b": 2, "a": 1, "c": 3}],
    {"c": 3, "b": 2, "a": 1},
]

WRONG: list[tuple[Any, type[ServiceError], str]] = [
    (None, WrongType, ""),
    (True, WrongType, ""),
    ("x", WrongType, ""),
    (3, WrongType, ""),
    ({"instances": 3}, WrongShape, "/instances"),
    ({"instances": None}, WrongShape, "/instances"),
    ([1, 2, 3], WrongShape, "/0"),
    ([None], WrongShape, "/0"),
    ({"instances": [1, 2, 3]}, WrongShape, "/instances/0"),
    ({"instances": [[1, 2, 3], 4]}, WrongShape, "/instances/1"),
    ({"instances": [[[1, 2, 3]]]}, WrongShape, "/instances/0/0"),
    ({"instances": [[1, 2, 3], {"a": 1}]}, WrongType, "/instances/1"),
    ({"instances": []}, EmptyInput, "/instances"),
    ([], EmptyInput, ""),
    ({"instances": [[]]}, FeatureCount, "/instances/0"),
    ({"instances": [[1, 2]]}, FeatureCount, "/instances/0"),
    ({"instances": [[1, 2, 3, 4]]}, FeatureCount, "/instances/0"),
    ({"instances": [[1, 2, 3], [1, 2]]}, RaggedRows, "/instances/1"),
    ([[1, 2, 3], [1, 2, 3, 4]], RaggedRows, "/1"),
    ({"instances": [[1, 2, True]]}, WrongType, "/instances/0/2"),
    ({"instances": [[1, 2, 3], [1, "1.5", 3]]}, WrongType, "/instances/1/1"),
    ({"instances": [[1, {}, 3]]}, WrongType, "/instances/0/1"),
    ([[1, [], 3]], WrongType, "/0/1"),
    ([{"a": "NaN", "b": 1, "c": 1}], WrongType, "/0/a"),
    ({"a": 1, "b": [2], "c": 3}, WrongType, "/b"),
    ({"instances": [[1, 2, math.inf]]}, NonFinite, "/instances/0/2"),
    ({"instances": [[1, 2, 3], [-math.inf, 2, 3]]}, NonFinite, "/instances/1/0"),
    ({"instances": [[1, 10**400, None]]}, NonFinite, "/instances/0/1"),
    ({"columns": ["a", "b", "c"], "data": [[1, -(10**400), 3]]}, NonFinite, "/data/0/1"),
    ({"instances": [{"a": 1, "b": 2}]}, MissingFeature, "/instances/0"),
    ({"instances": [{"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2, "C": 3}]}, UnknownFeature, "/instances/1"),
    ({"a": 1, "b": 2, "c": 3, "d": 4}, UnknownFeature, ""),
    ({}, MissingFeature, ""),
    ({"instances": [{}]}, MissingFeature, "/instances/0"),
    ({"instances": [[1, 2, 3]], "extra": 1}, UnknownField, ""),
    ({"instances": [[1, 2, 3]], "columns": ["a", "b", "c"], "data": []}, UnknownField, ""),
    ({"instance": [[1, 2, 3]]}, UnknownField, ""),
    ({"columns": ["a", "b", "c"]}, InvalidInput, ""),
    ({"columns": "abc", "data": [[1]]}, WrongType, "/columns"),
    ({"columns": ["a", 2, "c"], "data": [[1]]}, WrongType, "/columns/1"),
    ({"columns": ["a", "b", "x"], "data": [[1, 2, 3]]}, UnknownFeature, "/columns"),
    ({"columns": ["a", "b"], "data": [[1, 2]]}, MissingFeature, "/columns"),
    ({"columns": ["a", "b", "b"], "data": [[1, 2, 3]]}, DuplicateFeature, "/columns/2"),
    ({"columns": ["a", "b", "c"], "data": [[1, 2]]}, FeatureCount, "/data/0"),
    ({"instances": [[0.0] * 3] * 10_001}, TooManyRows, ""),
    ({"instances": [[0.0] * 4_097]}, TooManyFeatures, ""),
    ({"instances": [[0.0] * 2_001] * 1_000}, TooManyCells, ""),
]


@pytest.mark.parametrize("body", SAME_ROW, ids=[str(index) for index in range(len(SAME_ROW))])
def test_every_layout_means_the_same_row(body: object) -> None:
    """Arrays, records in any order, columns with data and the bare forms give one row."""
    table = table_from_json(body, ABC, LIMITS)

    assert [table.column(name).tolist() for name in "abc"] == [[1.0], [2.0], [3.0]]


@pytest.mark.parametrize(("body", "error", "pointer"), WRONG, ids=[str(index) for index in range(len(WRONG))])
def test_mistake_has_its_class_and_pointer(body: object, error: type[ServiceError], pointer: str) -> None:
    """Each mistake is one error of its own class that points to the first place."""
    with pytest.raises(error) as caught:
        table_from_json(body, ABC, LIMITS)

    assert type(caught.value) is error
    assert "".join(place.pointer for place in caught.value.errors) == pointer
    assert len(caught.value.detail) < 200


def test_messages_say_what_to_do() -> None:
    """The flat list, the wrong count and the misspelt names come with the remedy."""
    with pytest.raises(WrongShape, match="wrap the row"):
        table_from_json([1, 2, 3], ABC, LIMITS)
    with pytest.raises(FeatureCount, match="expected 3, got 0"):
        table_from_json([[]], ABC, LIMITS)
    with pytest.raises(UnknownField) as caught:
        table_from_json({"instance": [[1, 2, 3]]}, ABC, LIMITS)
    assert caught.value.hint == "did you mean 'instances'?"
    with pytest.raises(WrongType, match="is a string; expected a number"):
        table_from_json([["secret", 2, 3]], ABC, LIMITS)


def test_many_wrong_cells_make_one_error() -> None:
    """100 000 wrong cells are reported once, without any of their values."""
    with pytest.raises(WrongType) as caught:
        table_from_json({"instances": [["secret"] * 10] * 10_000}, schema_of(10), LIMITS)

    assert len(caught.value.errors) == 1
    assert "secret" not in caught.value.detail


def schema_of(n_features: int) -> Schema:
    return Schema(features=tuple(numeric(f"f{index}") for index in range(n_features)))


def test_table_exactly_at_a_limit_is_accepted() -> None:
    """10 000 rows and 4 096 columns are within the limits."""
    tall = table_from_json([[0.0]] * 10_000, schema_of(1), LIMITS)
    wide = table_from_json([[0.0] * 4_096], schema_of(4_096), LIMITS)

    assert (tall.n_rows, len(wide.names)) == (10_000, 4_096)


def test_unusual_numbers_become_the_nearest_double() -> None:
    """Minus zero, the smallest subnormal and 2^53 + 1 are ordinary cells."""
    table = table_from_json([[-0.0, 5e-324, 2**53 + 1]], ABC, LIMITS)

    assert [column[0] for column in table.columns] == [0.0, 5e-324, 2.0**53]


def test_null_and_nan_are_missing_cells() -> None:
    """A missing cell is NaN in a numeric column and None in a text column."""
    table = table_from_json([[None, None], [math.nan, math.nan], [1, "f"]], MIXED, LIMITS)

    np.testing.assert_array_equal(table.column("x/y"), [np.nan, np.nan, 1.0])
    assert table.column("sex").tolist() == [None, None, "f"]


def test_text_columns_take_strings_alone() -> None:
    """A number in a text column is a wrong type, and a name in a pointer is escaped by RFC 6901."""
    with pytest.raises(WrongType) as number_for_text:
        table_from_json([[1, 2]], MIXED, LIMITS)
    with pytest.raises(WrongType) as text_for_number:
        table_from_json([{"x/y": "1", "sex": "f"}], MIXED, LIMITS)

    assert number_for_text.value.errors[0].pointer == "/0/1"
    assert text_for_number.value.errors[0].pointer == "/0/x~1y"


def test_column_may_have_the_name_of_a_layout_key() -> None:
    """A record with a column called "data" is a record, since no cell is a list."""
    schema = Schema(features=(numeric("data"), numeric("instances")))

    record = table_from_json({"data": 1, "instances": 2}, schema, LIMITS)
    layout = table_from_json({"instances": [[1, 2]]}, schema, LIMITS)

    assert record.columns[0] == layout.columns[0] == 1.0


def test_rows_of_another_protocol_keep_their_pointer() -> None:
    """``table_from_rows`` reports below the pointer that it is given, and takes the names in another order."""
    table = table_from_rows([[3, 1, 2]], ABC, LIMITS, names=["c", "a", "b"], pointer="/inputs")
    with pytest.raises(WrongType) as caught:
        table_from_rows([[3, True, 2]], ABC, LIMITS, names=["c", "a", "b"], pointer="/inputs")

    assert table.column("a").tolist() == [1.0]
    assert caught.value.errors[0].pointer == "/inputs/0/1"


def test_training_infers_names_and_kinds() -> None:
    """Arrays are named x0, x1, …; records by the keys of the first; numbers are numeric and strings text."""
    arrays = infer_table([[1, "a"], [None, None]], None, LIMITS)
    records = infer_table([{"p": None, "q": None}, {"q": "b", "p": 2.5}], None, LIMITS)
    named = infer_table([{"p": 1, "q": "b"}], ["q", "p"], LIMITS)

    assert arrays.names == ("x0", "x1")
    np.testing.assert_array_equal(arrays.column("x0"), [1.0, np.nan])
    assert arrays.column("x1").tolist() == ["a", None]
    np.testing.assert_array_equal(records.column("p"), [np.nan, 2.5])
    assert records.column("q").tolist() == [None, "b"]
    assert named.names == ("q", "p")


@pytest.mark.parametrize(
    ("rows", "names", "error", "pointer"),
    [
        ([[1], ["a"]], None, WrongType, "/instances/1/0"),
        ([["a"], [None], [2]], None, WrongType, "/instances/2/0"),
        ([[True]], None, WrongType, "/instances/0/0"),
        ([[math.inf]], None, NonFinite, "/instances/0/0"),
        ([[]], None, FeatureCount, "/instances/0"),
        ([{}], None, FeatureCount, "/instances/0"),
        ([[1, 2]], ["a"], FeatureCount, "/instances/0"),
        ([[1, 2]], ["a", "a"], DuplicateFeature, "/feature_names/1"),
        ([[1]], [""], InvalidInput, "/feature_names/0"),
        ([{"\n": 1}], None, InvalidInput, "/feature_names/0"),
        ([{"a": 1}, {"b": 1}], None, UnknownFeature, "/instances/1"),
        ([{"a": 1, "b": 1}, {"b": 1}], None, MissingFeature, "/instances/1"),
        ("abc", None, WrongShape, "/instances"),
    ],
)
def test_training_mistake_has_its_class_and_pointer(
    rows: object, names: list[str] | None, error: type[ServiceError], pointer: str
) -> None:
    """What cannot be a training table is refused where it goes wrong."""
    with pytest.raises(error) as caught:
        infer_table(rows, names, LIMITS)

    assert [place.pointer for place in caught.value.errors] == [pointer]


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.lists(finite, min_size=3, max_size=3), min_size=1, max_size=5), st.permutations("abc"))
def test_records_in_any_key_order_give_the_same_matrix(rows: list[list[float]], order: list[str]) -> None:
    """The order of keys in a record changes no bit."""
    records = [{name: row["abc".index(name)] for name in order} for row in rows]

    by_array = table_from_json(rows, ABC, LIMITS)
    by_record = table_from_json({"instances": records}, ABC, LIMITS)

    assert np.column_stack(by_array.columns).tobytes() == np.column_stack(by_record.columns).tobytes()
