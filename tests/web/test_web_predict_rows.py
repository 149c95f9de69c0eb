"""More that is wrong with a request to ``/predict`` and ``/predict_proba``: places in every layout, numbers, CSV, queries."""

from __future__ import annotations

import gzip
import json
import re
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from asking import Client, MakeClient, abc_table, train_into
from bad_requests import LIMIT, SECRET_TEXT, SECRETS, Bad, S, asked, check_refused, coded, csv
from wire import Wire

from service.errors import ServiceError
from service.store.model_store import ModelStore
from service.tabular.csv_reader import csv_table
from service.tabular.limits import Limits
from service.tabular.table import Table

pytest_plugins = ("served",)

PATHS = ("/predict", "/predict_proba")


def placed(name: str, slug: str, body: str, pointer: str, query: str = "model=abc") -> Bad:
    return Bad(name, 422, slug, body, pointer, query)


PLACES = [
    placed("P1 in a bare row", "missing-value", f"[[1, 2, 3], [1, NaN, {S}]]", "/1/1"),
    placed("P1 in a record", "missing-value", f'[{{"c": null, "b": 2, "a": {S}}}]', "/0/c"),
    placed("P1 in a bare record", "missing-value", f'{{"c": NaN, "b": 2, "a": {S}}}', "/c"),
    placed("P1 in columns", "missing-value", f'{{"columns": ["c", "b", "a"], "data": [[null, 2, {S}]]}}', "/data/0/0"),
    placed("P2 in a record", "non-finite", f'{{"instances": [{{"a": {S}, "b": 2, "c": 1e400}}]}}', "/instances/0/c"),
    placed("P2 in columns", "non-finite", f'{{"columns": ["b", "c", "a"], "data": [[1e400, {S}, 1]]}}', "/data/0/0"),
    placed("P5 in a bare record", "wrong-type", f'{{"a": true, "b": 2, "c": {S}}}', "/a"),
    placed("P10 in bare rows", "ragged-rows", f"[[1, 2, {S}], [1, 2, 3], [1]]", "/2"),
    placed("P10 in columns", "ragged-rows", '{"columns": ["a", "b", "c"], "data": [[1, 2, 3], [1, 2]]}', "/data/1"),
    placed("P12 in bare rows", "feature-count", "[[], []]", "/0"),
    placed("P14 a flat bare list", "wrong-shape", f"[1, 2, {S}]", "/0"),
    placed("P14 nothing among rows", "wrong-shape", "[[1, 2, 3], null]", "/1"),
    placed("P15 an empty bare record", "missing-feature", "{}", ""),
    placed("P16 another name for a prototype", "unknown-feature", f'[{{"a":1,"b":2,"c":3,"__proto__":{S}}}]', "/0"),
    # There is no layout of one list a column: the lists are cells of a wrong type, be they of one length or not.
    placed("P20 columns of other lengths", "wrong-type", '{"a": [1, 2], "b": [2], "c": [3]}', "/a"),
    placed(
        "P20 a column twice", "duplicate-feature", '{"columns": ["a", "b", "b"], "data": [[1, 2, 3]]}', "/columns/2"
    ),
    placed("P9 terms", "numeric-overflow", f"[[{S}, 2, 3], [1.7e308, 1.7e308, 1.7e308]]", "/1", "model=abc&explain=1"),
    # The first is told; who mends it asks again.  The answer stays small however many there are.
    Bad("P22 100 020 wrong cells", 422, "wrong-type", [[SECRET_TEXT] * 30] * 3334, "/0/0", "model=breast-cancer"),
]
# Beside a good 1 and 2, so that what stands here alone is wrong.
NO_JSON_NUMBERS: tuple[str, ...] = (
    "00",
    "01",
    "1.",
    ".5",
    "1e",
    "1e+",
    "+1",
    "-",
    "--1",
    "0x1",
    "0b1",
    "1_0",
    "1f",
    "1n",
    "\u0661",
)
NO_JSON_NUMBERS += ("\uff11", "\u22121", "nan", "inf", "-NaN", "+Infinity", "1,5,", "1 0", "1e5.5", "1'0")
TOO_LARGE = ("1E400", "-1E+400", "1e99999999999999999999", "1.7976931348623159e308", "1" + "0" * 309, "1" * 4300)
NUMBERS = [
    *(Bad(f"P3 {text}", 400, "invalid-json", f"[[{text}, 1, 2]]") for text in NO_JSON_NUMBERS),
    *(placed(f"P2 {text[:30]}", "non-finite", f"[[{text}, {S}, 2]]", "/0/0") for text in TOO_LARGE),
]
NO_CSV_NUMBERS: tuple[str, ...] = (
    "--1",
    ".",
    "e5",
    "1e",
    "1e5e5",
    "0x1A",
    "1_000",
    "1 000",
    " 1",
    "1 ",
    '"1,5"',
    "TRUE",
    "=1+1",
    "#REF!",
)
NO_CSV_NUMBERS += (
    "\u0661",
    "\uff11",
    "\u22121",
    "infinit",
    "NA",
    "nan",
    "null",
    "1\x0b",
    "1\u2028",
    "'1'",
    '1"2',
    "\\1",
)
WIDE = ",".join(["1"] * 10_000)
CSVS = [
    *(csv(f"P4 CSV {cell!a}", 422, "wrong-type", f"{cell},{S},2\n", "/instances/0/0") for cell in NO_CSV_NUMBERS),
    *(
        csv(f"P2 CSV {cell[:30]}", 422, "non-finite", f"1,{S},2\n{cell},1,2\n", "/instances/1/0")
        for cell in ("1e400", "-1e400", "inf", "-Infinity", "+INF", "1e9999999999999999", "1" * 400, "9" * 4301)
    ),
    csv("P10 CSV a longer row", 400, "invalid-csv", f"1,2,3\n1,2,3,{S}\n"),
    csv("P13 CSV a comma too many", 422, "feature-count", f"1,2,{S},\n", "/instances/0"),
    csv("P19 CSV a header cell twice", 400, "invalid-csv", f"a,b,c,c\n1,2,3,{S}\n"),
    csv("P18 CSV a space in the header", 422, "unknown-feature", f" a,b,c\n1,2,{S}\n"),
    csv("P18 CSV a header cell without name", 400, "invalid-csv", f"a,,c\n1,2,{S}\n"),
    csv("P21 CSV 10 001 rows", 422, "too-many-rows", "1,2,3\n" * 10_001),
    csv("P21 CSV 10 001 rows and a header", 422, "too-many-rows", "a,b,c\n" + "1,2,3\n" * 10_001),
    csv("P21 CSV 10 000 columns", 422, "too-many-features", WIDE + "\n"),
    csv("P21 CSV 10 000 columns by name", 422, "too-many-features", WIDE.replace("1", "x") + "\n" + WIDE + "\n"),
    csv("P21 CSV nothing but commas", 422, "too-many-features", "," * 100_000),
    csv("P21 CSV 10 001 blank lines", 400, "invalid-csv", "\n" * 10_001 + "1,2,3\n"),
    csv("P4 CSV two byte order marks", 422, "wrong-type", "\ufeff\ufeff1,2,3\n", "/instances/0/0"),
    csv("P4 CSV a header twice", 422, "wrong-type", f"a,b,c\na,b,c\n1,2,{S}\n", "/instances/0/0"),
    csv("CSV a field of 131 073 characters", 400, "invalid-csv", '"' + "1" * 131_073 + '",2,3\n'),
    csv("CSV a quote that never ends", 400, "invalid-csv", '1,"' + "2\n" * 10_000),
    csv("CSV a quote of 8 MiB", 400, "invalid-csv", '"' + "x" * (LIMIT - 1)),
    csv("CSV text after a quote", 400, "invalid-csv", f'1,"2"{SECRET_TEXT},3\n'),
    csv("CSV semicolons", 400, "invalid-csv", f"1;2;{SECRET_TEXT}\n"),
    csv("CSV tabs", 400, "invalid-csv", f"1\t2\t{SECRET_TEXT}\n"),
    csv("CSV a lone carriage return", 400, "invalid-csv", "1,2,3\r4,5,6\r"),
    csv("CSV two carriage returns", 400, "invalid-csv", "1,2,3\r\r\n"),
    csv("CSV UTF-16", 400, "invalid-csv", "1,2,3\n".encode("utf-16")),
    csv("CSV UTF-16 without mark", 400, "invalid-csv", "1,2,3\n".encode("utf-16-be")),
    csv("CSV NUL in the header", 400, "invalid-csv", "a\0,b,c\n1,2,3\n"),
    csv("CSV overlong UTF-8", 400, "invalid-csv", b"1,2,\xc0\xaf\n"),
    csv("CSV half a surrogate pair", 400, "invalid-csv", b"1,2,\xed\xa0\x80\n"),
]
QUERIES = [
    asked("a parameter a thousand times", 422, "invalid-parameter", "&".join(["model=abc"] * 700)),
    asked("a thousand parameters", 422, "unknown-field", "&".join(f"k{i}=1" for i in range(1000))),
    asked("a parameter of 7 000 characters", 422, "unknown-field", "k" * 7000 + "=1"),
    asked("another case", 422, "unknown-field", "Model=abc"),
    asked("no name", 422, "unknown-field", "model=abc&=1"),
    asked("NUL in a parameter's name", 422, "unknown-field", "mod%00el=abc"),
    asked("invalid UTF-8 in a parameter's name", 422, "unknown-field", "%ff=1"),
    asked("a second question mark", 422, "unknown-field", "?model=abc"),
    asked("interval of labels", 422, "unknown-field", "model=abc&intervals=0.95"),
    *(
        asked(f"P24 {name[:20]}", 422, "invalid-name", f"model={name}")
        for name in ("a" * 7000, "abc%00", "%ff%fe", "%C3%A9", "%EF%BD%81bc", "abc%0d%0aSet-Cookie:x", "%zz", "%")
    ),
    *(
        asked(f"P24 {name}", 422, "invalid-name", f"model={name}")
        for name in ("abc@live@live", "abc/1@live", "abc@live/1", "+abc", "abc%20", "abc;threshold=1", "abc?x=1")
    ),
    asked("P23 7 000 digits", 404, "version-not-found", "model=abc/" + "1" * 7000),
    asked("P23 a slash too many", 422, "invalid-version", "model=abc%2f1%2f1"),
    *(
        asked(f"PP3 threshold {text[:20]}", 422, "invalid-parameter", f"model=abc&threshold={text}")
        for text in ("0.5%00", "%EF%BC%91", "%2B0.5", "-0", "%200.5", "1e5000", "0.5e", "1_0", "%D9%A0", "9" * 7000)
    ),
    asked("explain twice", 422, "invalid-parameter", "model=abc&explain=1&explain=1"),
    asked("explain without a value", 422, "invalid-parameter", "model=abc&explain"),
]
PADDED = b"[[1, 2, 3]]" + b" " * (LIMIT - 11)
GZIPS = [
    coded("a byte more than the limit, inflated", 413, "payload-too-large", "gzip", gzip.compress(PADDED + b" ")),
    coded("gzip of gzip", 400, "invalid-json", "gzip", gzip.compress(gzip.compress(b"[[1, 2, 3]]"))),
    coded("17 members", 400, "invalid-encoding", "gzip", gzip.compress(b"") * 16 + gzip.compress(b"[[1, 2, 3]]")),
    coded("zeros after the end", 400, "invalid-encoding", "gzip", gzip.compress(b"[[1, 2, 3]]") + bytes(100)),
    coded("a wrong length", 400, "invalid-encoding", "gzip", gzip.compress(b"[[1, 2, 3]]")[:-4] + bytes(4)),
    coded("reserved flags", 400, "invalid-encoding", "gzip", b"\x1f\x8b\x08\xe0" + bytes(20)),
    coded("a name that never ends", 400, "invalid-encoding", "gzip", b"\x1f\x8b\x08\x08" + bytes(6) + b"x" * 10**6),
    coded(
        "blocks without content",
        400,
        "invalid-encoding",
        "gzip",
        b"\x1f\x8b\x08" + bytes(6) + b"\xff" + b"\0\0\0\xff\xff" * 10_000,
    ),
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("bad", [*PLACES, *NUMBERS, *CSVS, *QUERIES, *GZIPS], ids=str)
def test_more_bad_requests_get_a_problem(client: Client, lane: Wire, bad: Bad, path: str) -> None:
    """Status, slug and the place in the body that was sent are as documented, on all ways, and the service goes on."""
    check_refused(client, lane, bad, path)


@pytest.mark.parametrize("path", PATHS)
def test_refusals_help(client: Client, path: str) -> None:
    """P14 tells to wrap the row, P15 names the column that is missing, P12 and P13 say how many cells are expected."""
    said: dict[str, Any] = {
        body: client.post(f"{path}?model=abc", content=body).json()["detail"]
        for body in ("[1, 2, 3]", '[{"a": 1, "b": 2}]', "[[]]", "[[1, 2]]")
    }

    assert "wrap the row: [[1, 2, 3]]" in said["[1, 2, 3]"]
    assert "'c' is missing" in said['[{"a": 1, "b": 2}]']
    assert "expected 3, got 0" in said["[[]]"]
    assert "expected 3, got 2" in said["[[1, 2]]"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "written", ["\u00c9", "e\u0301", "e", "\u0435\u0301", "\u00e9 ", "\u00e9\u200b", "\u00e8"], ids=ascii
)
def test_names_are_compared_as_they_are(
    make_client: MakeClient, tmp_path: Path, abc_renamed: Table, written: str, path: str
) -> None:
    """P18: another case or normal form, a homoglyph or an invisible character is another name, told in ASCII."""
    train_into(tmp_path, "accents", abc_renamed, "y", C=1.0)
    client = make_client(tmp_path)

    right = client.post(f"{path}?model=accents", json={"\u00e9": 1, "b": 2, "c": 3})
    wrong = client.post(f"{path}?model=accents", json={written: 1, "b": 2, "c": 3})

    assert right.status_code == 200
    client.check_problem(wrong, 422, "unknown-feature")
    assert wrong.content.isascii()


@pytest.fixture
def abc_renamed() -> Table:
    """The table of abc, its first column called e with an acute accent, in normal form C."""
    table = abc_table()
    return Table(("\u00e9", *table.names[1:]), table.columns, table.n_rows)


@pytest.mark.parametrize("body", ["1\n", "\n", "x\n", "1,2,3\n", ",", "11,", '"",'], ids=ascii)
def test_a_long_csv_body_takes_no_more_memory_than_json(trained_store: Path, body: str) -> None:
    """A body of very many rows, blank lines or cells is refused after those that are allowed, in bounded memory."""
    schema = ModelStore(trained_store).load("abc", 1).model.schema
    text = (body * (2_000_000 // len(body))).encode()
    tracemalloc.start()

    with pytest.raises(ServiceError):
        csv_table(text, schema, Limits())

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * len(text)


def test_a_value_is_never_told(client: Client) -> None:
    """Whatever cell of a good body is replaced by a text, the answer does not hold the text."""
    example = client.get("/models/penguins/example").json()["instances"][0]

    for name in example:
        record = {**example, name: SECRET_TEXT}
        for body in (record, [record], {"instances": [record]}, {"columns": [*record], "data": [[*record.values()]]}):
            answer = client.post("/predict?model=penguins", content=json.dumps(body))
            assert answer.status_code == 422
            assert not any(secret in answer.content for secret in SECRETS)


def test_every_row_of_the_tables_is_named() -> None:
    """Each row P1 to P29, PP1 to PP3 and T1 to T30 of the tables of bad input is named by a test that tries it."""
    rows = [*(f"P{i}" for i in range(1, 30)), *(f"PP{i}" for i in range(1, 4)), *(f"T{i}" for i in range(1, 31))]
    tests = Path(__file__).parents[1].rglob("test_*.py")
    text = "\n".join(path.read_text().partition("def test_every_row_of_the_tables")[0] for path in tests)

    spans = {
        f"{kind}{number}"
        for kind, first, last in re.findall(r"\b(PP?|T)(\d+) to \1(\d+)\b", text)
        for number in range(int(first), int(last) + 1)
    }

    assert [row for row in rows if row not in spans and not re.search(rf"\b{row}\b", text)] == []
