"""Everything that is wrong with a request to ``/predict`` and ``/predict_proba``, and the answer that it gets."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator

import pytest
from asking import GOOD, Client
from bad_requests import LIMIT, SECRET_TEXT, Bad, S, asked, cells, check_refused, coded, csv, typed
from wire import Wire

pytest_plugins = ("served",)

GZIPPED = gzip.compress(b"[[1, 2, 3]]")

CELLS = [
    # As JSON libraries write a missing cell; the model's policy decides, and infinity is none.
    cells("P1 NaN is a missing cell", "missing-value", "NaN"),
    cells("P1 Infinity", "non-finite", "Infinity"),
    cells("P1 -Infinity", "non-finite", "-Infinity"),
    cells("P2 1e400", "non-finite", "1e400"),
    cells("P2 -1e400", "non-finite", "-1e400"),
    cells("P2 400 digits", "non-finite", "1" * 400),
    Bad("P3 4301 digits", 400, "invalid-json", "[[" + "1" * 4301 + ", 1, 2]]"),
    *(cells(f"P4 {text}", "wrong-type", f'"{text}"') for text in ("NaN", "1.5", "0x1", " 1", SECRET_TEXT)),
    *(cells(f"P5 {cell}", "wrong-type", cell) for cell in ("true", "{}", "[]", f'["{SECRET_TEXT}"]')),
    cells("P5 null under reject", "missing-value", "null"),
    Bad("P22 30 000 wrong cells", 422, "wrong-type", [[SECRET_TEXT] * 3] * 10_000, "/0/0"),
]

SHAPES = [
    Bad("P10 ragged", 422, "ragged-rows", {"instances": [[1, 2, S], [1, 2]]}, "/instances/1"),
    # An answer without rows would hide the mistake of whoever sent none.
    Bad("P11 no rows", 422, "empty-input", {"instances": []}, "/instances"),
    Bad("P11 no rows, bare", 422, "empty-input", []),
    Bad("P12 no columns", 422, "feature-count", {"instances": [[]]}, "/instances/0"),
    Bad("P13 two columns", 422, "feature-count", {"instances": [[1, S]]}, "/instances/0"),
    Bad("P13 four columns", 422, "feature-count", {"instances": [[1, 2, 3, S]]}, "/instances/0"),
    Bad("P14 three dimensions", 422, "wrong-shape", {"instances": [[[1, 2, S]]]}, "/instances/0/0"),
    Bad("P14 a number for rows", 422, "wrong-shape", {"instances": S}, "/instances"),
    Bad("P14 a flat list", 422, "wrong-shape", {"instances": [1, 2, S]}, "/instances/0"),
    Bad("P14 a text for rows", 422, "wrong-shape", {"instances": SECRET_TEXT}, "/instances"),
    Bad("a row among records", 422, "wrong-type", [{"a": 1, "b": 2, "c": S}, [1, 2, 3]], "/1"),
    Bad("P15 a record lacks a column", 422, "missing-feature", [{"a": 1, "b": S}], "/0"),
    Bad("P16 a record has one too many", 422, "unknown-feature", [{"a": 1, "b": 2, "c": 3, "d": S}], "/0"),
    *(
        Bad(f"P18 {name!a} for a", 422, "unknown-feature", [{name: S, "b": 2, "c": 3}], "/0")
        for name in ("A", "a ", "\uff41", "\u0430", "a\u0301", "\u00e1", "a\u202e", "a" * 10_000)
    ),
    Bad("P19 a key twice in a record", 400, "duplicate-key", '[{"a": 1, "a": 2, "b": 3, "c": 4}]'),
    Bad("P20 a row shorter than columns", 422, "feature-count", {"columns": ["a", "b", "c"], "data": [[1, S]]}),
    Bad("P20 columns without data", 422, "invalid-input", {"columns": ["a", "b", "c"]}),
    Bad("P20 both layouts", 422, "unknown-field", {"instances": [[1, 2, 3]], "data": [[1, 2, S]]}),
    Bad("P20 a column twice", 422, "duplicate-feature", {"columns": ["a", "a", "c"], "data": [[1, 2, S]]}),
    Bad("P20 a column unknown", 422, "unknown-feature", {"columns": ["a", "b", "d"], "data": [[1, 2, S]]}, "/columns"),
    # 422 and not 413, which is for bytes: what helps is fewer rows or another model, not a shorter text.
    Bad("P21 10 001 rows", 422, "too-many-rows", [[1, 2, 3]] * 10_001),
    Bad("P21 4 097 columns", 422, "too-many-features", [[1] * 4_097]),
    Bad("P21 2 002 944 cells", 422, "too-many-cells", [[1] * 4_096] * 489),
    *(Bad(f"P25 {text}", 422, "wrong-type", text) for text in ("null", "true", '"x"', "3", f'"{SECRET_TEXT}"')),
]

QUERIES = [
    asked("P23 unknown model", 404, "model-not-found", "model=nope"),
    asked("P23 unknown version", 404, "version-not-found", "model=abc/99"),
    asked("P23 unknown alias", 404, "alias-not-found", "model=abc@latest"),
    asked("P23 version of 31 digits", 404, "version-not-found", "model=abc/1" + "0" * 30),
    *(
        asked(f"P23 version {text}", 422, "invalid-version", f"model=abc/{text}")
        for text in ("0", "-1", "1.0", "01", "latest", "", "1/1", SECRET_TEXT)
    ),
    *(
        asked(f"P24 name {name}", 422, "invalid-name", f"model={name}")
        for name in (
            "",
            "..",
            "../abc",
            "ABC",
            "%00",
            "a" * 65,
            "@live",
            "abc@",
            "abc@7",
            "abc@versions",
            "%F0%9F%98%80",
        )
    ),
    *(
        asked(f"PP3 threshold {text}", 422, "invalid-parameter", f"model=abc&threshold={text}")
        for text in ("NaN", "nan", "inf", "-1", "2", '"0.5"', "", "1e400", "0x1", "0,5", "1" * 8000 + "x", SECRET_TEXT)
    ),
    Bad("threshold for three classes", 422, "invalid-parameter", [[5, 3, 1, 0]], query="model=iris&threshold=0.5"),
    asked("explain is no number", 422, "invalid-parameter", "model=abc&explain=2"),
    asked("a parameter twice", 422, "invalid-parameter", "model=abc&model=abc"),
    asked("an unknown parameter", 422, "unknown-field", "model=abc&treshold=0.5"),
]

ENVELOPES = [
    Bad("H1 empty body", 400, "invalid-json", b""),
    Bad("H4 announced too large", 413, "payload-too-large", b"", headers={"content-length": "9000000"}),
    Bad("H4 announced in 5 000 digits", 413, "payload-too-large", b"", headers={"content-length": "9" * 5000}),
    typed("H18 text/plain", 415, "unsupported-media-type", "text/plain"),
    typed("H18 multipart", 415, "unsupported-media-type", "multipart/form-data; boundary=x"),
    typed("NDJSON, which comes later", 415, "unsupported-media-type", "application/x-ndjson"),
    typed("Arrow, which comes later", 415, "unsupported-media-type", "application/vnd.apache.arrow.stream"),
    typed("H19 UTF-16", 415, "unsupported-media-type", "application/json; charset=utf-16"),
    typed("H19 Latin-1 CSV", 415, "unsupported-media-type", 'text/csv; header=present; charset="latin1"'),
    coded(
        "H20 a small body that inflates beyond the limit",
        413,
        "payload-too-large",
        "gzip",
        gzip.compress(bytes(LIMIT + 1)),
    ),
    *(coded(f"H21 {coding}", 415, "unsupported-encoding", coding, GZIPPED) for coding in ("gzip, gzip", "br", "zstd")),
    coded("H22 truncated", 400, "invalid-encoding", "gzip", GZIPPED[:-9]),
    coded("H22 wrong CRC", 400, "invalid-encoding", "gzip", GZIPPED[:-8] + bytes(4) + GZIPPED[-4:]),
    coded("H22 trailing garbage", 400, "invalid-encoding", "gzip", GZIPPED + b"garbage"),
    coded("H22 10 000 members", 400, "invalid-encoding", "gzip", gzip.compress(b"") * 10_000),
    coded("H22 nothing", 400, "invalid-encoding", "gzip", b""),
    coded("H23 not gzip at all", 400, "invalid-encoding", "gzip", b"[[1, 2, 3]]"),
    *(
        Bad(f"H27 depth {depth}", 400, "nesting-too-deep", "[" * depth + "]" * depth)
        for depth in (17, 201, 1100, 1_000_000)
    ),
    Bad("H27 a million open brackets", 400, "nesting-too-deep", "[" * 1_000_000),
    Bad("H28 a key twice", 400, "duplicate-key", '{"instances": [[1, 2, 3]], "instances": [[2, 3, 4]]}'),
    Bad("H29 a key of 1 MB", 422, "unknown-field", {"k" * 1_000_000: [S]}),
    Bad("H29 100 000 keys", 422, "unknown-field", {"instances": [[1, 2, 3]], **{f"k{i}": S for i in range(100_000)}}),
    csv("CSV: text for a number", 422, "wrong-type", f"a,b,c\n1,2,3\n1,2,{SECRET_TEXT}\n", "/instances/1/2"),
    csv("CSV: infinite", 422, "non-finite", "1,2,1e400\n", "/instances/0/2"),
    csv("CSV: missing", 422, "missing-value", "1,,3\n", "/instances/0/1"),
    csv("CSV: no rows", 422, "empty-input", "a,b,c\n"),
    csv("CSV: nothing", 422, "empty-input", ""),
    csv("CSV: ragged", 400, "invalid-csv", "1,2,3\n1,2\n"),
    csv("CSV: two columns", 422, "feature-count", "1,2\n"),
    csv("CSV: unknown column", 422, "unknown-feature", "a,b,d\n1,2,3\n"),
    csv("CSV: column twice", 400, "invalid-csv", "a,b,b\n1,2,3\n"),
    csv("CSV: not UTF-8", 400, "invalid-csv", b"1,2,\xff\n"),
    csv("CSV: NUL", 400, "invalid-csv", b"1,2,\0\n"),
    csv("CSV: open quote", 400, "invalid-csv", f'1,2,"{SECRET_TEXT}\n'),
]


@pytest.mark.parametrize("path", ["/predict", "/predict_proba"])
@pytest.mark.parametrize("bad", [*CELLS, *SHAPES, *QUERIES, *ENVELOPES], ids=str)
def test_bad_requests_get_a_problem(client: Client, lane: Wire, bad: Bad, path: str) -> None:
    """Status, slug and place are as documented, nothing that was sent comes back, and the service goes on."""
    check_refused(client, lane, bad, path)


@pytest.mark.parametrize("path", ["/predict", "/predict_proba"])
def test_a_body_without_length_stops_at_the_limit(client: Client, path: str) -> None:
    """H5: a body of unknown length is refused as soon as it passes the limit; what follows is not read."""
    sent: list[int] = []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            sent.append(1 << 20)
            yield bytes(1 << 20)

    answer = client.post(path, content=endless())

    client.check_problem(answer, 413, "payload-too-large")
    assert answer.headers["connection"] == "close"
    assert sum(sent) == LIMIT + (1 << 20)
    client.check_alive()


def test_refusals_name_what_is_accepted(client: Client) -> None:
    """H18, H21: 415 says which media types or which coding would do."""
    media = client.post("/predict", content="x", headers={"content-type": "text/plain"})
    coding = client.post("/predict", content="x", headers={"content-encoding": "br"})

    assert media.headers["accept-post"] == "application/json, text/csv"
    assert coding.headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "BREW"])
def test_other_methods_are_told_what_is_allowed(client: Client, method: str) -> None:
    """H33: a POST route answers any other method with 405 and ``Allow: POST``."""
    answer = client.request(method, "/predict")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("given", [b"a\r\nSet-Cookie: x", b"x" * 10_240, "\u00e9\u2713".encode(), b"a b", b"", b"{}"])
def test_strange_request_ids_are_replaced(client: Client, given: bytes) -> None:
    """H35: an id that is not 1 to 128 plain characters is not repeated; the answer has one of ours."""
    answer = client.get("/livez", headers=[(b"x-request-id", given)])

    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_an_unknown_category_is_refused_without_naming_it(client: Client) -> None:
    """A text that training did not see is 422, and the hint lists known ones instead of repeating it."""
    record = client.get("/models/penguins/example").json()["instances"][0]

    answer = client.post("/predict?model=penguins", json={**record, "island": SECRET_TEXT})

    problem = client.check_problem(answer, 422, "unknown-category")
    assert SECRET_TEXT not in answer.text
    assert "'Biscoe'" in problem["hint"]


def test_names_in_messages_are_escaped_and_cut(client: Client) -> None:
    """P18: a name from outside is shown as ASCII and at most 64 characters of it."""
    answer = client.post("/predict?model=abc", json={"\u202e" + "n" * 1000: 1, "b": 2, "c": 3})

    assert "\\\\u202e" in answer.text
    assert answer.text.isascii()
    assert "n" * 65 not in answer.text


def test_a_refusal_names_the_version_that_refused(client: Client) -> None:
    """What does not fit a model's schema says which version's; what never came to a model names none."""
    misfit = client.post("/predict?model=abc", json={"instances": [[1.0]]})
    nonsense = client.post("/predict?model=nothing", json=GOOD)

    assert (misfit.status_code, misfit.headers["Model-Version"]) == (422, "abc/1")
    assert nonsense.status_code == 404
    assert "Model-Version" not in nonsense.headers
