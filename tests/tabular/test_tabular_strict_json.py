"""Strict JSON: what is refused, with which place; what parses."""

import json
import math

import pytest
from hypothesis import given, strategies as st

from service.errors import DuplicateKey, InvalidJson, NestingTooDeep, ServiceError
from service.tabular.strict_json import parse_json

REFUSED = [
    (b"", InvalidJson, "empty"),
    (b"  \n", InvalidJson, "byte 3"),
    (b"\0", InvalidJson, "byte 0"),
    (b"\xef\xbb\xbf[1]", InvalidJson, "UTF-8 without BOM"),
    ("[1]".encode("utf-16"), InvalidJson, "UTF-8 without BOM"),
    ("[1]".encode("utf-16-le"), InvalidJson, "byte 1"),
    (b'["\xff"]', InvalidJson, "byte 2"),
    (b'["\xc0\xaf"]', InvalidJson, "UTF-8"),
    (b'["\xed\xa0\x80"]', InvalidJson, "UTF-8"),
    (b"[1]]", InvalidJson, "byte 3"),
    (b"{} {}", InvalidJson, "byte 3"),
    (b"[1,]", InvalidJson, "byte "),
    (b"[1, 2 // no\n]", InvalidJson, "byte 6"),
    (b"['a']", InvalidJson, "byte 1"),
    (b'["a', InvalidJson, "byte 1"),
    ('["ä", x]'.encode(), InvalidJson, "byte 7"),
    (b'"\\ud800"', InvalidJson, "surrogate"),
    (b'{"\\uDFFF": 1}', InvalidJson, "surrogate"),
    (b"1" * 4301, InvalidJson, "4300"),
    (b'{"a": 1, "b": 2, "a": 3}', DuplicateKey, "'a'"),
    (b'[{"x": {"k": 1, "k": 1}}]', DuplicateKey, "'k'"),
    (b"[" * 17 + b"]" * 17, NestingTooDeep, "16"),
    (b'{"a":' * 17 + b"1" + b"}" * 17, NestingTooDeep, "16"),
    (b"[" * 1_000_000, NestingTooDeep, "16"),
    (b'["]]]]]]]]]]]]]]]]]",' + b"[" * 20 + b"]" * 20 + b"]", NestingTooDeep, "16"),
    (b'["' + b"]" * 2_000 + b'",' + b"[" * 1_990, NestingTooDeep, "16"),
    (b"[" * 17 + b'"' + b'\\"' * 100_000, NestingTooDeep, "16"),
]


@pytest.mark.parametrize(("body", "error", "part"), REFUSED, ids=[str(index) for index in range(len(REFUSED))])
def test_body_is_refused_with_its_cause(body: bytes, error: type[ServiceError], part: str) -> None:
    """A body that is not strict JSON is refused by class, and the detail names the place or the limit."""
    with pytest.raises(error, match=part) as caught:
        parse_json(body)

    assert type(caught.value) is error
    assert len(caught.value.detail) < 200


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 16 + b"]" * 16,
        b'["' + b"[" * 100 + b'", {"a]": "' + b"}" * 100 + b'\\"["}]',
        b'["\\ud83d\\ude00", "\\\\ud800"]',
        '{"längd": ["ö", null, true]}'.encode(),
        b"-0",
        b'["[[[[[[[[[[[[[[[[[["]',
    ],
)
def test_valid_json_means_what_the_standard_library_says(body: bytes) -> None:
    """Depth 16, brackets in strings and whole surrogate pairs are accepted."""
    value = parse_json(body)

    assert value == json.loads(body)


def test_numbers_outside_json_parse_as_floats() -> None:
    """NaN, the infinities and an overflowing number are left to the readers of the value."""
    value = parse_json(b"[NaN, Infinity, -Infinity, 1e400, 1e-999]")

    assert isinstance(value, list)
    assert math.isnan(value[0])
    assert value[1:] == [math.inf, -math.inf, math.inf, 0.0]


@given(
    st.recursive(st.text('[]{}"\\n'), lambda child: st.lists(child, max_size=2) | st.dictionaries(st.text("[}"), child))
)
def test_depth_counts_brackets_outside_strings(value: object) -> None:
    """A value is refused exactly when it is nested deeper than 16 levels, whatever its strings hold."""
    body = json.dumps([[[[[[[[[[[[value]]]]]]]]]]]]).encode()

    if depth(value) <= 4:
        assert parse_json(body) == json.loads(body)
    else:
        with pytest.raises(NestingTooDeep):
            parse_json(body)


def depth(value: object) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0
