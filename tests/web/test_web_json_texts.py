"""What is JSON and what is not, as ``/predict`` sees it: the spirit of the JSONTestSuite in a short list of our own."""

from __future__ import annotations

import pytest
from asking import Client

pytest_plugins = ("served",)

# Each is a row of the model abc with one thing wrong, or no JSON at all.
INVALID = [
    *(b" ", b"\n\t\r", b"\0", b"\xff", b"a", b"[", b"]", b"{", b"}", b"[[", b"[1", b'"', b'["', b"-", b"[-]", b"+1"),
    *(b"[1]]", b"{} {}", b"[1] [2]", b"[1,]", b"[,1]", b"[1,,2]", b"[1 2]", b"[1:2]", b"[1;2]", b"(1)", b"[1}", b"{1]"),
    *(
        b"[01]",
        b"[-01]",
        b"[1.]",
        b"[.5]",
        b"[1e]",
        b"[1e+]",
        b"[1.e5]",
        b"[0x1]",
        b"[1_000]",
        b"[+1]",
        b"[--1]",
        b"[1..2]",
    ),
    *(b"[tru]", b"[True]", b"[None]", b"[nul]", b"[nan]", b"[inf]", b"[+Infinity]", b"[undefined]", b"[\xef\xbc\x91]"),
    *(b"['a']", b'["a]', b'["a\nb"]', b'["\t"]', b'["\\x41"]', b'["\\u00g0"]', b'["\\u12"]', b'["\\"]', b'["\\ud800"]'),
    *(b'{"a"}', b'{"a":}', b'{"a":1,}', b"{a:1}", b"{'a':1}", b"{1:1}", b'{"a":1 "b":2}', b'{"a"::1}', b'{,"a":1}'),
    *(
        b"// no\n[1]",
        b"[1] /* no */",
        b"# no\n[1]",
        b"<x/>",
        b"a,b\n1,2",
        b"[\x0b1]",
        b"[1\xc2\xa0]",
        b"[1]\0",
        b"[1]x",
    ),
    *(
        b"\xef\xbb\xbf[1]",
        '["é"]'.encode("latin-1"),
        b'["\xc0\xaf"]',
        b'["\xed\xa0\x80"]',
        b'["\xf4\x90\x80\x80"]',
        b'["\xe2\x82"]',
    ),
    *("[1]".encode(coding) for coding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32")),
]
VALID = [
    *(b"null", b"true", b"1", b"-0", b'"x"', b"[]", b"{}", b" [1] ", b"\r\n\t[ 1 ]\n", b"[[]]", b"[{}]", b'{"":1}'),
    *(b"[1E5]", b"[1e-5]", b"[-0.0]", b"[0]", b"[1.0e+2]", b"[1e400]", b"[NaN]", b"[123456789012345678901234567890]"),
    *(
        b'["\\u0041\\n\\/\\"\\\\"]',
        b'["\\ud83d\\ude00"]',
        '["😀é"]'.encode(),
        b'["\x7f"]',
        b'{"a":{"b":[1,{"c":null}]}}',
    ),
    b"[" * 16 + b"]" * 16,
]


@pytest.mark.parametrize("text", INVALID, ids=ascii)
def test_what_is_not_json_is_told_so(client: Client, text: bytes) -> None:
    """H24 to H26: not JSON, or not UTF-8 without BOM, is 400 ``invalid-json``."""
    answer = client.post("/predict?model=abc", content=text)

    client.check_problem(answer, 400, "invalid-json")
    client.check_alive()


@pytest.mark.parametrize("text", VALID, ids=ascii)
def test_what_is_json_is_read(client: Client, text: bytes) -> None:
    """H26: JSON that is no request is 422 for what it holds, never for its syntax."""
    answer = client.post("/predict?model=abc", content=text)

    assert answer.status_code == 422
    assert answer.json()["type"] != "/problems/invalid-json"


def test_the_place_is_given_in_bytes(client: Client) -> None:
    """H25: the detail names the byte at which the text stops being JSON."""
    answer = client.post("/predict?model=abc", content='["é", ]'.encode())

    assert "at byte 7" in answer.json()["detail"]
