"""Plain numbers: what the short way reads, the long way reads to the same numbers."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from generated_requests import drawn
from hypothesis import given, strategies as st
from numpy.testing import assert_array_equal

from service.linear.rowwise import FewRows
from service.tabular import plain_numbers
from service.tabular.csv_reader import csv_table
from service.tabular.json_rows import table_from_json
from service.tabular.limits import Limits
from service.tabular.schema import NumericFeature, Schema
from service.tabular.strict_json import parse_json

SCHEMA = Schema(features=tuple(NumericFeature(name=name, mean=0, minimum=0, maximum=0) for name in "abc"))
LIMITS = Limits(max_rows=2000)
NUMBER = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**30), 10**30))


def long_way(body: bytes, *, is_csv: bool) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The cells as the readers with messages read them."""
    table = csv_table(body, SCHEMA, LIMITS) if is_csv else table_from_json(parse_json(body), SCHEMA, LIMITS)
    return np.column_stack([table.column(name) for name in "abc"])


def few_rows(body: bytes) -> list[list[float]] | None:
    """The rows that a model can multiply with."""
    rows = plain_numbers.few_rows(body, 3)
    try:
        FewRows(np.ones((1, 3)), np.zeros(1)).probabilities(rows or [])
    except TypeError:
        return None
    return rows


@pytest.mark.parametrize("seed", range(10))
def test_what_is_plain_is_read_to_the_same_numbers(seed: int) -> None:
    """Of generated bodies, each that either short way accepts is good, and has the numbers that the long way reads."""
    rng = random.Random(seed)
    n_few = n_matrices = 0

    for _ in range(2000):
        one = drawn(rng)
        is_csv = one.headers.get("Content-Type", "").lower().startswith("text/csv")
        text = plain_numbers.csv_as_json(one.body, "abc") if is_csv else one.body
        for rows in (few_rows(text), plain_numbers.matrix(text, 3, LIMITS)):
            if rows is not None:
                assert_array_equal(np.array(rows, dtype=np.float64), long_way(one.body, is_csv=is_csv), str(one))
        n_few += few_rows(text) is not None
        n_matrices += plain_numbers.matrix(text, 3, LIMITS) is not None

    assert n_few > 200
    assert n_matrices > 200


@given(st.lists(st.tuples(NUMBER, NUMBER, NUMBER), min_size=1, max_size=8), st.sampled_from(["", '{"instances": ']))
def test_all_finite_numbers_are_plain(rows: list[tuple[float, float, float]], opening: str) -> None:
    """Any finite number in any form takes the short way, unless it is a whole number beyond 64 bits."""
    cells = "[" + ", ".join(f"[{a}, {b}, {c}]" for a, b, c in rows) + "]"
    body = (opening + cells + ("}" if opening else "")).encode()

    found = few_rows(body)
    matrix = plain_numbers.matrix(body, 3, LIMITS)

    assert found is not None
    assert_array_equal(np.array(found, dtype=np.float64), long_way(body, is_csv=False))
    is_small = all(isinstance(x, float) or -(2**63) <= x < 2**64 for row in rows for x in row)
    assert (matrix is not None) == is_small


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"{}", b"[[]]", b"[1,2,3]", b"[[1,2]]", b"[[1,2,3],[1,2]]", b"[[1,2,3],4]", b"[[[1,2,3]]]"),
        *(b"[[1,2,null]]", b"[[1,2,true]]", b"[[1,2,false]]", b'[[1,2,"3"]]', b"[[1,2,{}]]", b"[[1,2,[3]]]"),
        *(
            b"[[1,2,NaN]]",
            b"[[1,2,1e400]]",
            b"[[1,2,-Infinity]]",
            b"[[1,2,03]]",
            b"[[1,2,3]]x",
            b"\xef\xbb\xbf[[1,2,3]]",
        ),
        *(b'{"instances":[[1,2,3]],"instances":[[1,2,3]]}', b'{"rows":[[1,2,3]]}', b'{"instances":{"a":[1,2,3]}}'),
        *(b'{"instances":"abc"}', b'{"instances":3}', b'"instances"', b"3", b"null", b"[{},{},{}]"),
    ],
)
def test_what_is_not_plain_is_left_to_the_readers(body: bytes) -> None:
    """Another shape, another kind of cell or no JSON at all: None, never an error."""
    assert few_rows(body) is None
    assert plain_numbers.matrix(body, 3, LIMITS) is None


@pytest.mark.parametrize(
    "form", ['{"instances": %s}', "%s", ' {"instances" :%s }', "[ %s ]", "%s]", '{"instances":%s,"x":[]}']
)
def test_long_bodies_are_read_in_pieces(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the size of the pieces, the numbers are those of the whole, and what is wrong is found."""
    rows = [[float(index), -1.5, 0.25] for index in range(200)]
    body = (form % json.dumps(rows)).strip().encode()
    is_plain = form.startswith(("%s", "{", " {")) and "]" not in form
    for size in (1, 10, 64, 1000, 10**6):
        monkeypatch.setattr(plain_numbers, "PIECE_BYTES", size)

        found = plain_numbers.matrix(body, 3, LIMITS)

        assert (found is not None) == is_plain
        if is_plain:
            assert_array_equal(found, rows)
        for bad in (
            b"-1.5, 0.25], [7.0",
            b"-1.5, 0.25], [[7.0]",
            b"-1.5, [0.25]], [7.0",
            b"-1.5, 0.25] [7.0",
            b"-1.5], [7.0",
        ):
            wrong = body.replace(b"-1.5, 0.25], [7.0", bad)
            assert (plain_numbers.matrix(wrong, 3, LIMITS) is not None) == (is_plain and wrong == body)


def test_no_more_rows_than_allowed_are_plain() -> None:
    """A table beyond a limit is left to the reader that says so."""
    body = b"[" + b",".join([b"[1,2,3]"] * 11) + b"]"

    assert plain_numbers.matrix(body, 3, Limits(max_rows=10)) is None
    assert plain_numbers.matrix(body, 3, Limits(max_rows=11)) is not None
