"""JSON for predictions and trainings: nearly valid, and not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from hardening.fuzz.cases import NUMBER, WORD
from hardening.fuzz.grammars.damage import damaged
from hardening.fuzz.valid import IRIS, MIXED_CATEGORIES, MIXED_NAMES

ODD_NUMBERS = (
    *("0", "-0", "-0.0", "1e-999", "5e-324", "1.7976931348623157e308", "1e400", "-1e400", "9007199254740993", "1E+2"),
    *("18446744073709551616", "1" * 400, "9" * 4301, "0." + "3" * 5000, "-1e-400", "1e99999999999", NUMBER),
)
NO_NUMBERS = (
    *("NaN", "Infinity", "-Infinity", "nan", "+1", ".5", "01", "1.", "0x1A", "1_000", "1e", "--1", "1,5", "٣", "½"),
    *("null", "true", "false", "{}", "[]", "[1]", '{"a":1}', "[[1]]", "undefined", "None", "''", "", "/*1*/2"),
)
ODD_STRINGS = (
    *('""', '"1.5"', '"NaN"', '" 1"', '"\\u0000"', '"\\ud800"', '"\\udc00\\ud800"', '"\\ud83d\\ude00"', '"\\x41"'),
    *('"\\', '"open', '"tab\there"', '"line\nend"', '"\\u12"', '"\u202e"', '"e\u0301"', '"' + "x" * 3000 + '"'),
    *(f'"{WORD}"', f'"{WORD} {{{{7*7}}}} %s%n"', '"__proto__"', '"=1+1"', '"\x7f"', '"\\/"'),
)
KEYS = ("instances", "data", "columns", "model", "targets", "options", "Instances", "instanceſ", "", "__proto__", "\0")

_floats = st.floats(-1e3, 1e3, allow_nan=False).map(repr)
plain_numbers = st.one_of(_floats, _floats, _floats, st.just(NUMBER))
odd_numbers = st.sampled_from(ODD_NUMBERS)
odd_cells = st.sampled_from((*ODD_NUMBERS, *NO_NUMBERS, *ODD_STRINGS, *(f'"{WORD}"',) * 10))
categories = st.sampled_from([json.dumps(word) for word in (*MIXED_CATEGORIES, WORD)])


def _object(pairs: Sequence[tuple[str, str]]) -> str:
    """An object of keys and JSON texts; a key may come twice."""
    return "{" + ",".join(f"{json.dumps(key)}:{text}" for key, text in pairs) + "}"


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _instances(text: str) -> bytes:
    return _encoded(f'{{"instances":{text}}}')


def _array(parts: Sequence[str]) -> str:
    return f"[{','.join(parts)}]"


@st.composite
def _rows_of(draw: st.DrawFn, row: SearchStrategy[list[str]], odd: SearchStrategy[str]) -> str:
    """A few rows, with one odd cell or row among them, or none."""
    rows = draw(st.lists(row, min_size=1, max_size=4))
    changed = rows[draw(st.integers(0, len(rows) - 1))]
    change = draw(st.sampled_from(("none", "cell", "cell", "cell", "more", "fewer", "row")))
    if change == "cell":
        changed[draw(st.integers(0, len(changed) - 1))] = draw(odd)
    elif change == "more":
        changed.append(draw(odd))
    elif change == "fewer":
        changed.pop()
    return _array([*map(_array, rows), *([draw(odd)] if change == "row" else [])])


def _records_of(cells: Mapping[str, SearchStrategy[str]]) -> SearchStrategy[str]:
    """Records with these names: all, too few, too many, or twice."""
    names = list(cells)
    some = st.lists(st.sampled_from([*names, *KEYS, names[0].upper()]), max_size=len(names) + 1)
    orders = st.one_of(st.permutations(names), st.permutations(names), some)
    return st.lists(orders.flatmap(lambda order: _record(order, cells)), max_size=4).map(_array)


def _record(names: Sequence[str], cells: Mapping[str, SearchStrategy[str]]) -> SearchStrategy[str]:
    good = st.tuples(*(cells.get(name, odd_cells) for name in names))
    odd = st.tuples(good, odd_cells).map(lambda pair: (*pair[0][1:], pair[1]))
    return st.one_of(good, good, odd).map(lambda texts: _object(list(zip(names, texts, strict=False))))


def _laid_out(rows: SearchStrategy[str], names: Sequence[str]) -> SearchStrategy[str]:
    """Rows in every layout of a body."""
    columns = st.one_of(
        st.permutations(names).map(json.dumps), st.lists(st.sampled_from([*names, "x"]), max_size=5).map(json.dumps)
    )
    return st.one_of(
        rows.map(lambda text: f'{{"instances":{text}}}'),
        rows.map(lambda text: f'{{"instances":{text}}}'),
        rows.map(lambda text: f' {{ "instances" :\n{text} }} '),
        rows,
        st.tuples(columns, rows).map(lambda pair: f'{{"columns":{pair[0]},"data":{pair[1]}}}'),
        st.tuples(rows, rows).map(lambda pair: f'{{"instances":{pair[0]},"instances":{pair[1]}}}'),
        st.tuples(st.sampled_from(KEYS), rows, junk).map(
            lambda three: _object([("instances", three[1]), (three[0], three[2])])
        ),
    )


def _deep(depth: int) -> SearchStrategy[str]:
    opened = st.sampled_from(("[", '{"a":', '{"instances":[', "[[", '[{"":'))
    return opened.flatmap(lambda text: st.sampled_from((text * depth, text * depth + "1" + "]" * depth)))


junk = st.recursive(
    st.one_of(odd_cells, st.text(max_size=20).map(json.dumps)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5).map(lambda parts: f"[{','.join(parts)}]"),
        st.lists(st.tuples(st.sampled_from(KEYS), inner), max_size=4).map(_object),
    ),
    max_leaves=12,
)

_plain_row = st.lists(plain_numbers, min_size=len(IRIS), max_size=len(IRIS))
_plain_rows = _rows_of(_plain_row, odd_numbers)
_mixed_rows = _rows_of(st.tuples(plain_numbers, categories).map(list), odd_cells)
_mixed_cells = dict(zip(MIXED_NAMES, (plain_numbers, categories), strict=True))

predictions = {
    "numbers": _laid_out(_plain_rows, IRIS).map(_encoded),
    "cells": _laid_out(_rows_of(_plain_row, odd_cells), IRIS).map(_encoded),
    "records": _records_of(dict.fromkeys(IRIS, plain_numbers)).map(_instances),
    "damaged": damaged(_laid_out(_plain_rows, IRIS).map(_encoded)),
    "junk": junk.map(_encoded),
    "deep": st.sampled_from((16, 17, 200, 1100, 100_000)).flatmap(_deep).map(_encoded),
}
categorical = {
    "records": _records_of(_mixed_cells).map(_instances),
    "rows": _laid_out(_mixed_rows, MIXED_NAMES).map(_encoded),
}
