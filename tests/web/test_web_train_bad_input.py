"""Everything that is wrong with a body of ``/train``: its slug and place, by the code that the trainer's child runs.

One request of each family goes through HTTP and a real child process.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import PROBLEM_BYTES, PROVENANCE, Client, MakeClient

from service.errors import ServiceError, all_errors
from service.serving.control_plane import ControlPlane
from service.store.model_store import ModelStore
from service.tabular.limits import Limits
from service.training.request import TrainingRequest, request_from_csv, request_from_json
from service.web.errors import status_of

pytest_plugins = ("served",)

LIMITS = Limits(max_rows=2_000_000, max_features=4096, max_cells=2_000_000)
SECRET = "hush-8f3a"
RNG = np.random.default_rng(7)
X: list[list[Any]] = np.round(RNG.normal(size=(40, 2)), 3).tolist()
Y = ["a" if row[0] + noise > 0 else "b" for row, noise in zip(X, RNG.normal(size=40), strict=True)]
GOOD: dict[str, Any] = {"model": "new", "instances": X, "targets": Y}
WIDE = {"instances": RNG.normal(size=(3, 50)).tolist(), "targets": ["a", "b", "a"]}
SEPARATED = {"instances": [[i] for i in range(20)], "targets": ["a"] * 10 + ["b"] * 10}
NO_OBJECTS: list[Any] = [[], 0, False, "", "x"]
NO_LISTS: list[Any] = ["ab", 5, {}]
NO_PROMOTIONS: list[Any] = [None, 1, "yes", "never", []]
NO_LABELS: list[Any] = [None, [1], {}, "x" * 10_000, "", "a\nb"]
NO_WEIGHTS: list[Any] = [-1, float("nan"), "1", True, None, 10**400]
CSV = "x,z,y\n1,1,a\n2,2,b\n1,3,a\n3,4,b\n2,5,a\n2,0,b\n"


def with_cell(cell: str) -> bytes:
    """The good body with one cell, row 7 of column 0, written as ``cell``."""
    rows = [*X[:7], ["CELL", 1.0], *X[8:]]
    return json.dumps({**GOOD, "instances": rows}).replace('"CELL"', cell).encode()


def first(value: Any) -> dict[str, Any]:
    return {"targets": [value, *Y[1:]]}


def weights(*given: Any) -> dict[str, Any]:
    return {"sample_weight": [*given, *[1.0] * (40 - len(given))]}


def options(**given: Any) -> dict[str, Any]:
    return {"options": given}


def written(**given: str) -> bytes:
    """The good body with one option, its value as it is written."""
    ((name, text),) = given.items()
    return json.dumps({**GOOD, "options": {name: "VALUE"}}).replace('"VALUE"', text).encode()


MANY_WEIGHTS = {f"k{index}": -1 for index in range(100_000)}
BODIES: list[tuple[str, str | None, Any]] = [
    # slug, pointer, what replaces a part of the good body (bytes: all of it)
    ("single-class", "/targets", {"targets": ["a"] * 40}),  # T1
    ("separation", None, {**SEPARATED, **options(C="inf")}),  # T3
    ("underdetermined", None, {**WIDE, **options(C="inf")}),  # T4
    ("duplicate-feature", "/feature_names/1", {"feature_names": ["a", "a"]}),  # T5
    ("mixed-label-types", "/targets", {"targets": [0, "0", True, 1.0] * 10}),  # T6
    *(("not-categorical", "/targets/0", first(value)) for value in NO_LABELS),  # T7
    *(("not-categorical", "/targets/0", first(value)) for value in (0.5, 1e300, float("nan"), float("inf"))),  # T8
    ("too-many-classes", "/targets", {"targets": list(range(40))}),  # T9
    ("too-many-classes", "/targets", {"instances": [[0]] * 2002, "targets": [i // 2 for i in range(2002)]}),
    ("length-mismatch", "/targets", {"targets": Y[1:]}),  # T10
    ("empty-input", "/instances", {"instances": [], "targets": []}),
    ("empty-input", "/targets", {"targets": []}),
    ("too-few-rows", "/targets", {"instances": X[:1], "targets": Y[:1]}),
    *(("missing-value", "/instances/7/0", with_cell(cell)) for cell in ("null", "NaN")),  # T11
    *(("non-finite", "/instances/7/0", with_cell(cell)) for cell in ("Infinity", "-Infinity", "1e400", "9" * 400)),
    *(("wrong-type", "/instances/7/0", with_cell(cell)) for cell in ("true", "{}", "[]", '"1.5"', f'"{SECRET}"')),
    ("ragged-rows", "/instances/3", {"instances": [*X[:3], [1], *X[4:]]}),
    ("invalid-json", None, b"{"),
    ("duplicate-key", None, b'{"model": "a", "model": "b"}'),
    ("numeric-overflow", None, {"instances": [[a * 1e300, b] for a, b in X], **options(C="inf")}),  # T12
    *(
        ("invalid-parameter", "/options/C", options(C=value))
        for value in (0, -1, float("nan"), float("inf"), "1", True)
    ),
    ("invalid-parameter", "/options/C", json.dumps({**GOOD, **options(C=7)}).replace("7}", "1e400}").encode()),
    *(("invalid-parameter", "/options/max_iter", options(max_iter=value)) for value in (0, 10**9, 1.5, "9")),
    *(("invalid-parameter", "/options/tol", options(tol=value)) for value in (0, -1, 2, float("nan"))),
    *(("invalid-parameter", "/options/seed", options(seed=value)) for value in (-1, 2**64, 0.5)),
    *(
        ("invalid-parameter", f"/options/{name}", options(**{name: SECRET}))
        for name in ("solver", "missing", "standardize")
    ),
    ("invalid-parameter", "/options/validation_fraction", options(validation_fraction=1)),
    ("invalid-parameter", "/options/l1_ratio", options(l1_ratio=1.5)),
    ("invalid-parameter", "/options/class_weight", options(class_weight=SECRET)),
    ("invalid-parameter", "/options/C", options(C=0, tol=0)),
    ("invalid-parameter", "/options/tol", options(C=0, tol=0)),
    ("invalid-weights", None, options(class_weight={SECRET: 1})),
    ("unknown-field", "/options", options(penalty="l3")),
    ("unknown-field", "/options", options(c=1)),
    *(("wrong-type", "/options", {"options": value}) for value in NO_OBJECTS),
    ("diverged", None, options(solver="gradient-descent", learning_rate=1e6)),
    ("too-many-features", None, {"instances": [[0] * 5000, [1] * 5000], "targets": ["a", "b"]}),  # T15
    *(
        ("invalid-input", "/feature_names/0", {"feature_names": [name, "b"]})
        for name in ("", "a" * 1024, "a\n", "\u202e")
    ),
    *(("wrong-type", "/feature_names", {"feature_names": value}) for value in NO_LISTS),  # T26
    ("wrong-type", "/feature_names/1", {"feature_names": ["a", 1]}),
    ("feature-count", "/instances/0", {"feature_names": ["a"]}),
    *(("invalid-weights", "/sample_weight/0", weights(value)) for value in NO_WEIGHTS),
    ("invalid-weights", "/sample_weight", {"sample_weight": [0] * 40}),  # T27
    ("length-mismatch", "/sample_weight", {"sample_weight": [1] * 39}),
    ("wrong-type", "/sample_weight", {"sample_weight": 1}),
    ("single-class", None, {"sample_weight": [float(label == "a") for label in Y]}),
    *(("invalid-parameter", "/promote", {"promote": value}) for value in NO_PROMOTIONS),
    *(("invalid-name", None, {"model": name}) for name in ("..", "", "New", "a/b", "a" * 65)),
    *(("wrong-type", "/model", {"model": name}) for name in (None, 1, ["new"])),
    ("unknown-field", "", {"instnces": X}),
    ("invalid-input", "", b'{"model": "new", "targets": [1]}'),
    ("wrong-type", "", b"[1]"),
]
RECORDS: list[dict[str, Any]] = [{"p": a, "q": b} for a, b in X]
ROWS: dict[str, tuple[str, str | None, Any]] = {
    "T6 booleans and numbers": ("mixed-label-types", "/targets", {"targets": [True, 0] * 20}),
    "T6 numbers and texts": ("mixed-label-types", "/targets", {"targets": [1, "1"] * 20}),
    "T7 half a surrogate pair": ("invalid-json", None, {"targets": ["\ud800", "a"] * 20}),
    "T7 an override of the direction": ("not-categorical", "/targets/0", {"targets": ["\u202ea", "a"] * 20}),
    "T7 257 characters": ("not-categorical", "/targets/1", {"targets": ["a", "b" * 257] * 20}),
    "T7 NUL": ("not-categorical", "/targets/0", {"targets": ["a\0", "a"] * 20}),
    "T7 no list": ("wrong-type", "/targets", {"targets": "ab"}),
    "T8 2^53 + 1": ("not-categorical", "/targets/1", {"targets": [0, 2**53 + 1] * 20}),
    "T8 10^400": ("not-categorical", "/targets/1", {"targets": [0, 10**400] * 20}),
    "T9 10 001 labels": (
        "too-many-classes",
        "/targets",
        {"instances": [[0]] * 20_002, "targets": [i // 2 for i in range(20_002)]},
    ),
    "T10 too many": ("length-mismatch", "/targets", {"targets": Y * 2}),
    "T11 P3 4 301 digits": ("invalid-json", None, with_cell("1" * 4301)),
    **{
        f"T11 P4 {text}": ("wrong-type", "/instances/7/0", with_cell(f'"{text}"'))
        for text in ("NaN", "0x1", " 1", "1e5")
    },
    "T11 P1 in a record": (
        "missing-value",
        "/instances/3/q",
        {"instances": [*RECORDS[:3], {"p": 1, "q": None}, *RECORDS[4:]]},
    ),
    "T11 P2 in a record": ("non-finite", "/instances/1/p", {"instances": [RECORDS[0], {"p": 10**400, "q": 1}]}),
    "T11 P12 no columns": ("feature-count", "/instances/0", {"instances": [[]] * 40}),
    "T11 P14 a flat list": ("wrong-shape", "/instances/0", {"instances": [1, 2]}),
    "T11 P14 three dimensions": ("wrong-shape", "/instances/0/0", {"instances": [[[1]]]}),
    "T11 P14 nothing": ("wrong-shape", "/instances", {"instances": None}),
    "T11 P15 a key less": ("missing-feature", "/instances/1", {"instances": [RECORDS[0], {"p": 1}]}),
    "T11 P16 another key": ("unknown-feature", "/instances/1", {"instances": [RECORDS[0], {"p": 1, "r": SECRET}]}),
    "T11 P19 a key twice": ("duplicate-key", None, b'{"instances": [{"p": 1, "p": 2}], "targets": [1], "model": "a"}'),
    "T13 an exponent without end": ("invalid-parameter", "/options/C", written(C="1e400")),
    "T13 C below the doubles": ("invalid-parameter", "/options/C", written(C="1e-400")),
    "T13 C that is all but 0": ("invalid-parameter", "/options/C", written(C="5e-324")),
    "T13 400 digits": ("invalid-parameter", "/options/max_iter", written(max_iter="9" * 400)),
    "T13 a whole number with a point": ("invalid-parameter", "/options/max_iter", written(max_iter="1.0")),
    **{
        f"T13 {name} {text}": ("invalid-parameter", f"/options/{name}", written(**{name: text}))
        for name, texts in {
            "tol": ("1e400", "1e-400", '"1"', "null"),
            "seed": ("-1", "4294967296", "NaN", '"1"', "1e0"),
            "learning_rate": ("0", "-1", "NaN", "1e400", '"1"', "true"),
            "l1_ratio": ("-0.1", "NaN", "1e400", "null"),
            "validation_fraction": ("-0.1", "NaN", "1e400", '"0.2"'),
            "fit_intercept": ("1", "null", '"false"'),
            "class_weight": ('{"a": -1}', '{"a": NaN}', '{"a": 1e400}', '{"a": "1"}', "[1]", "true"),
        }.items()
        for text in texts
    },
    "T13 100 000 wrong weights": ("invalid-parameter", "/options/class_weight", options(class_weight=MANY_WEIGHTS)),
    "T13 100 000 options": ("unknown-field", "/options", {"options": MANY_WEIGHTS}),
    "T13 an option of 100 000 letters": ("unknown-field", "/options", options(**{"a" * 100_000: 1})),
    "T15 2 001 000 cells": ("too-many-cells", None, {"instances": [[0] * 2001] * 1000, "targets": ["a", "b"] * 500}),
    **{
        f"T26 {name[:9]!a}": ("invalid-input", "/feature_names/0", {"feature_names": [name, "b"]})
        for name in ("\ufeffa", "\u200b", "a\0", "\x1b[2J", "x" * 257, "x" * 100_000)
    },
    "T26 no name in a record": ("invalid-input", "/feature_names/0", {"instances": [{"": 1}] * 40}),
    "T27 overflow": ("invalid-weights", "/sample_weight/1", weights(1, 1e308)),
    "T27 a number beyond the doubles": ("invalid-weights", "/sample_weight/0", weights(10**400)),
    "T27 no list": ("wrong-type", "/sample_weight", {"sample_weight": {}}),
    "T27 one row counts": ("single-class", None, weights(1, *[0] * 39)),
}
TABLES: list[tuple[str, str | None, str, dict[str, str]]] = [
    ("invalid-input", "", CSV, {"model": "new"}),
    ("invalid-input", "", CSV, {"target": "y"}),
    ("target-missing", None, CSV, {"model": "new", "target": "w"}),
    ("unknown-field", "/options", CSV, {"model": "new", "target": "y", "max_itr": "5"}),
    *(
        ("invalid-parameter", "/options/C", CSV, {"model": "new", "target": "y", "C": c})
        for c in ("0", "nan", "1e400", "x")
    ),
    ("invalid-parameter", "/promote", CSV, {"model": "new", "target": "y", "promote": "maybe"}),
    ("missing-value", "/instances/1/1", CSV.replace("2,2,b", "2,,b"), {"model": "new", "target": "y"}),
    ("missing-value", "/targets/1", CSV.replace("2,2,b", "2,2,"), {"model": "new", "target": "y"}),
    ("not-categorical", "/targets/0", CSV.replace("a", "1.5").replace("b", "2"), {"model": "new", "target": "y"}),
    ("invalid-csv", None, CSV.replace("2,2,b", f"2,{SECRET},b"), {"model": "new", "target": "y"}),
    ("invalid-csv", None, CSV + "1,2\n", {"model": "new", "target": "y"}),
    ("invalid-csv", None, CSV.replace("z", "x"), {"model": "new", "target": "y"}),
    ("empty-input", None, "x,y\n", {"model": "new", "target": "y"}),
    ("invalid-input", None, "y\na\nb\n", {"model": "new", "target": "y"}),
    ("unknown-feature", None, CSV, {"model": "new", "target": "y", "categorical": "w"}),
]


def body_of(change: Any) -> bytes:
    return change if isinstance(change, bytes) else json.dumps({**GOOD, **change}).encode()


def check_refused(read: Callable[[], TrainingRequest], root: Path, slug: str, pointer: str | None) -> None:
    plane = ControlPlane(ModelStore(root), clock=lambda: datetime.now(UTC))

    with pytest.raises(ServiceError) as raised:
        plane.train(read(), PROVENANCE)

    told = [raised.value.detail, raised.value.hint or "", *(place.detail for place in raised.value.errors)]
    assert len("".join(told)) < PROBLEM_BYTES // 2
    assert raised.value.slug == slug
    assert pointer in {None, *(place.pointer for place in raised.value.errors)}
    assert SECRET not in "".join(told)
    assert not root.exists()


@pytest.mark.parametrize(("slug", "pointer", "change"), BODIES)
def test_bad_json_publishes_nothing(tmp_path: Path, slug: str, pointer: str | None, change: Any) -> None:
    """T1 to T13, T15, T26, T27: the slug says what is wrong, the pointer where, and the store stays as it was."""
    check_refused(lambda: request_from_json(body_of(change), LIMITS), tmp_path / "store", slug, pointer)


@pytest.mark.parametrize("row", ROWS)
def test_each_bad_row_publishes_nothing(tmp_path: Path, row: str) -> None:
    """T6 to T15, T26, T27: the same by the codes of the table."""
    slug, pointer, change = ROWS[row]

    check_refused(lambda: request_from_json(body_of(change), LIMITS), tmp_path / "store", slug, pointer)


@pytest.mark.parametrize(("slug", "pointer", "text", "parameters"), TABLES)
def test_bad_csv_publishes_nothing(
    tmp_path: Path, slug: str, pointer: str | None, text: str, parameters: dict[str, str]
) -> None:
    """The same of CSV, whose model, target and options are query parameters."""
    check_refused(lambda: request_from_csv(text.encode(), parameters, LIMITS), tmp_path / "store", slug, pointer)


def test_every_refusal_is_a_client_error() -> None:
    """Each slug of the tables above has a status of 400 or 422."""
    status = {kind.slug: status_of(kind) for kind in all_errors()}

    assert {status[case[0]] for case in [*BODIES, *ROWS.values()]} | {status[case[0]] for case in TABLES} == {400, 422}


@pytest.mark.parametrize(
    ("status", "slug", "change"),
    [
        (422, "single-class", {"targets": ["a"] * 40}),
        (422, "missing-value", with_cell("null")),
        (422, "invalid-parameter", options(C=0, tol=0)),
        (422, "separation", {**SEPARATED, **options(C="inf")}),
        (400, "invalid-json", b""),
    ],
)
def test_refusals_come_through_the_child(client: Client, status: int, slug: str, change: Any) -> None:
    """What the child refuses keeps its class, places and hint on the way to the client."""
    answer = client.post("/train", content=body_of(change))

    problem = client.check_problem(answer, status, slug)
    assert slug != "invalid-parameter" or len(problem["errors"]) == 2
    assert client.get("/models/new").status_code == 404
    client.check_alive()


@pytest.mark.parametrize(
    ("status", "slug", "query", "headers", "content"),
    [
        (415, "unsupported-media-type", "", {"content-type": "text/plain"}, b"x"),
        (415, "unsupported-encoding", "", {"content-encoding": "br"}, b"x"),
        (422, "unknown-field", "?model=new", {}, b"{}"),
        (422, "invalid-parameter", "", {"idempotency-key": "a b"}, b"{}"),
        (422, "invalid-parameter", "", {"idempotency-key": "k" * 257}, b"{}"),
        (413, "payload-too-large", "", {"content-length": str(33 << 20)}, b""),
        (403, "cross-site", "", {"origin": "https://evil.example"}, b"{}"),
    ],
)
def test_no_child_is_started_for_a_bad_envelope(
    client: Client, status: int, slug: str, query: str, headers: dict[str, str], content: bytes
) -> None:
    """Media type, coding, parameters, size and origin are refused by the service itself."""
    answer = client.post(f"/train{query}", content=content, headers=headers)

    client.check_problem(answer, status, slug)
    client.check_alive()


@pytest.mark.parametrize(
    ("settings", "slug"), [({"host": "0.0.0.0"}, "predictions-only"), ({"train": False}, "training-disabled")]
)
def test_training_needs_permission(
    make_client: MakeClient, trained_store: Path, settings: dict[str, Any], slug: str
) -> None:
    """Beyond loopback without keys, and with LOGITD_TRAIN=off, /train is 403 and predictions go on."""
    client = make_client(trained_store, **settings)

    client.check_problem(client.post("/train", json=GOOD), 403, slug)
    client.check_alive()
