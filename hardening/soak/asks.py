"""What well-behaved clients ask: good requests in all forms and sizes, bad ones, pages; each with the answers it may get."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass

from hardening.load.answers import END_OF_HEAD, post, request
from hardening.load.models import COLUMNS, SMALL, WIDE, rows

SIZES = (1, 3, 100, 2000, 10_000)
TOO_LONG = 9_000_000


@dataclass(frozen=True, slots=True)
class Ask:
    """A request.  kind: good, bad or page.  weight: how often, among the others.  expected: labels, see ``Answer``."""

    kind: str
    name: str
    wire: bytes
    expected: frozenset[str]
    weight: float = 1.0

    @property
    def is_repeatable(self) -> bool:
        """Whether the same version gives the same answer, to the byte."""
        return self.kind == "good"


def all_asks() -> list[Ask]:
    """Every one of them."""
    return [*_sizes(), *_forms(), *_bad(), *_pages()]


def _sizes() -> Iterator[Ask]:
    """JSON, CSV and gzip, from one row to ten thousand; the larger the rarer."""
    for name, n_columns in COLUMNS.items():
        for n_rows in SIZES:
            weight = 20 / n_rows**0.5
            json_body = json.dumps({"instances": rows(n_rows, n_columns)}).encode()
            csv_body = "\n".join(",".join(map(str, row)) for row in rows(n_rows, n_columns)).encode()
            for path in ("/predict", "/predict_proba"):
                target = f"{path}?model={name}"
                yield _good(f"json {n_rows}", post(target, json_body), weight)
                yield _good(f"csv {n_rows}", post(target, csv_body, "text/csv"), weight / 4)
                packed = gzip.compress(json_body, 1, mtime=0)
                yield _good(f"gzip {n_rows}", post(target, packed, content_encoding="gzip"), weight / 4)


def _forms() -> Iterator[Ask]:
    """The other forms of a body, and what else can be asked for."""
    table = rows(5, COLUMNS[SMALL])
    names = [f"x{column}" for column in range(COLUMNS[SMALL])]
    records = [dict(zip(names, row, strict=True)) for row in table]
    forms: dict[str, object] = {
        "records": {"instances": records},
        "columns": {"columns": names, "data": table},
        "bare rows": table,
        "bare record": records[0],
    }
    for name, body in forms.items():
        yield _good(name, post(f"/predict?model={SMALL}", json.dumps(body).encode()), 2)
    plain = json.dumps({"instances": table}).encode()
    for option in ("explain=true", "threshold=0.3"):
        yield _good(option, post(f"/predict?model={SMALL}&{option}", plain), 1)
    yield _good("a version", post(f"/predict?model={SMALL}/2", plain), 1)
    chunked = f"POST /predict?model={SMALL} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    yield _good("chunked", chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(plain), plain), 1)


def _good(name: str, wire: bytes, weight: float) -> Ask:
    return Ask("good", name, wire, frozenset({"200"}), weight)


def _bad() -> Iterator[Ask]:
    """A sample of bad input, with the refusal that each must get."""
    good = json.dumps({"instances": rows(1, COLUMNS[SMALL])}).encode()
    small = f"/predict?model={SMALL}"
    cells = {
        "NaN": "missing-value",
        "1e400": "non-finite",
        '"1.5"': "wrong-type",
        "true": "wrong-type",
        "null": "missing-value",
        "1]]": "invalid-json",
        "[1]": "wrong-type",
    }
    table = [
        ("empty", post(small, b""), "400 invalid-json"),
        ("no UTF-8", post(small, b"\xff" + good), "400 invalid-json"),
        ("deep", post(small, b"[" * 100_000), "400 nesting-too-deep"),
        ("key twice", post(small, b'{"instances":[[1,2,3,4]],"instances":[[1,2,3,4]]}'), "400 duplicate-key"),
        ("no gzip", post(small, good, content_encoding="gzip"), "400 invalid-encoding"),
        ("gzip bomb", post(small, gzip.compress(bytes(TOO_LONG)), content_encoding="gzip"), "413 payload-too-large"),
        ("announced", _announced(small), "413 payload-too-large"),
        ("br", post(small, good, content_encoding="br"), "415 unsupported-encoding"),
        ("text", post(small, good, "text/plain"), "415 unsupported-media-type"),
        ("5 columns", post(small, json.dumps(rows(1, 5)).encode()), "422 feature-count"),
        ("ragged", post(small, b"[[1,2,3,4],[1,2]]"), "422 ragged-rows"),
        ("no rows", post(small, b"[]"), "422 empty-input"),
        ("many rows", post(small, json.dumps([[1, 2, 3, 4]] * 10_001).encode()), "422 too-many-rows"),
        ("no model", post("/predict?model=nobody", good), "404 model-not-found"),
        ("no version", post(f"/predict?model={SMALL}/99", good), "404 version-not-found"),
        ("other site", post(small, good, origin="http://evil.example"), "403 cross-site"),
        ("get", request("GET", "/predict"), "405 method-not-allowed"),
        ("csv text", post(small, b"1,2,3,four\n", "text/csv"), "422 wrong-type"),
    ]
    for cell, slug in cells.items():
        status = 400 if slug == "invalid-json" else 422
        table.append((cell, post(small, b'{"instances": [[%b, 1, 1, 1]]}' % cell.encode()), f"{status} {slug}"))
    for name, wire, label in table:
        yield Ask("bad", name, wire, frozenset({label}))


def _announced(target: str) -> bytes:
    """The head of a body that is too long, and nothing of the body."""
    whole = post(target, b"")
    head = whole[: -len(END_OF_HEAD)].replace(b"Content-Length: 0", b"Content-Length: %d" % TOO_LONG)
    return head + END_OF_HEAD


def _pages() -> Iterator[Ask]:
    pages = (
        "/livez",
        "/readyz",
        "/metrics",
        "/models",
        f"/models/{WIDE}",
        f"/models/{SMALL}/versions/1",
        "/openapi.json",
    )
    for page in pages:
        yield Ask("page", page, request("GET", page), frozenset({"200"}))
