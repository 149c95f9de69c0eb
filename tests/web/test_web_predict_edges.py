"""Requests to ``/predict`` and ``/predict_proba`` that are just good enough: at the limits, at ties, beside a swap."""

from __future__ import annotations

import gzip
import json
import math
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import Client, MakeClient, abc_table, train_into
from bad_requests import LIMIT
from wire import Wire, on_wire, request

from service.model import Label, Model
from service.record import VersionDraft
from service.store.model_store import ModelStore
from service.tabular.schema import NumericFeature, Schema
from service.tabular.table import Table

pytest_plugins = ("served",)

PATHS = ("/predict", "/predict_proba")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
LARGEST = 1.7976931348623157e308
LONGEST_NAME = "a" * 64
# Models that prefer no class: name, columns, classes.
FLAT: tuple[tuple[str, int, tuple[Label, ...]], ...] = (
    ("two", 1, ("no", "yes")),
    ("three", 1, (1, 2, 3)),
    ("truth", 1, (False, True)),
    ("widest", 4096, ("no", "yes")),
    ("largest", 4000, ("no", "yes")),
    (LONGEST_NAME, 1, ("no", "yes")),
)
# Cell, and the cell that it means the same as: see the rows.
SAME = [
    ("-0", "0"),
    ("-0.0", "0"),
    ("1e-999", "0"),
    ("5e-324", "0"),
    ("9007199254740993", "9007199254740992"),
]  # P6 to P8
SAME += [("1E5", "100000"), ("1e+5", "1e5"), ("0.1", "0.10000000000000000555"), ("0e999999999999999999", "0")]
SAME += [("18446744073709551616", "1.8446744073709552e19"), ("-9223372036854775809", "-9223372036854775808")]
SAME_IN_CSV = [*SAME, ("+1", "1"), ("1.", "1"), (".5", "0.5"), ("0" * 5000 + "7", "7"), ("1e-9999999999999", "0")]
SAME_IN_CSV += [('"1"', "1")]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("cell", "same_as"), SAME, ids=lambda text: text[:30])
def test_equal_numbers_get_equal_answers(client: Client, lane: Wire, path: str, cell: str, same_as: str) -> None:
    """P6 to P8: the sign of zero means nothing, underflow is 0, and every number is the nearest double."""
    bodies = [f"[[{text}, 1, 2]]" for text in (cell, same_as)]
    bodies.append(bodies[0].replace("[[", '{"columns": ["a", "b", "c"], "data": [[').replace("]]", "]]}"))

    answers = [client.post(f"{path}?model=abc", content=body) for body in bodies]
    lane.send(request("POST", f"{path}?model=abc", body=bodies[0].encode()))

    assert [answer.status_code for answer in answers] == [200] * 3
    assert {answer.content for answer in answers} == {lane.reply().body}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("cell", "same_as"), SAME_IN_CSV, ids=lambda text: text[:30])
def test_equal_numbers_get_equal_answers_in_csv(client: Client, path: str, cell: str, same_as: str) -> None:
    """P6 to P8: the same of CSV, where a plus sign, a bare point and leading zeros are numbers too."""
    answers = [
        client.post(f"{path}?model=abc", content=f"{text},1,2\n", headers={"content-type": "text/csv"})
        for text in (cell, same_as)
    ]

    assert answers[0].status_code == 200
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize("name", ["abc", "iris"])
def test_the_largest_cells_have_a_label(client: Client, name: str) -> None:
    """P9: where all cells are the largest doubles one class is certain, /predict names it, and nothing is logged."""
    width = 3 if name == "abc" else 4

    for cell in (LARGEST, -LARGEST):
        shares, labels = (client.post(f"{path}?model={name}", json=[[cell] * width]).json() for path in PATHS[::-1])

        (row,) = shares["probabilities"]
        assert sorted(row) == [*[0.0] * (len(row) - 1), 1.0]
        assert labels["predictions"] == [shares["classes"][row.index(1.0)]]


def put(root: Path, name: str, width: int, classes: tuple[Label, ...] = ("no", "yes")) -> None:
    """Publish a live model of so many numeric columns whose coefficients are 0: every probability is 1 / classes."""
    kept = ModelStore(root).load("abc", 1)
    k = 1 if len(classes) == 2 else len(classes)
    features = tuple(NumericFeature(name=f"x{i}", mean=0, minimum=0, maximum=1) for i in range(width))
    model = Model(Schema(features=features), classes, np.zeros((k, width)), np.zeros(k))
    draft = VersionDraft(**{field: getattr(kept.manifest, field) for field in VersionDraft.model_fields})
    draft = draft.model_copy(update={"classes": classes, "feature_schema": model.schema, "drop_first": False})
    store = ModelStore(root)
    store.put(name, draft, model, now=NOW)
    store.set_alias(name, "live", 1, reason="", now=NOW)


@pytest.fixture(scope="module")
def flat(make_client: MakeClient, trained_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Client:
    """The application over models without a preference, narrow and as wide as may be."""
    root = tmp_path_factory.mktemp("flat")
    shutil.copytree(trained_store / "abc", root / "abc")
    for name, width, classes in FLAT:
        put(root, name, width, classes)
    return make_client(root)


@pytest.mark.parametrize("name", ["two", "three", "truth", LONGEST_NAME], ids=lambda name: name[:9])
def test_a_tie_goes_to_the_first_class(flat: Client, name: str) -> None:
    """PP1, PP2: at equal probabilities, threshold 0.5 included, the label is the first of ``classes`` on both paths."""
    shares, labels = (flat.post(f"{path}?model={name}", json=[[7.5]]).json() for path in PATHS[::-1])
    (row,) = shares["probabilities"]
    n = len(shares["classes"])

    assert row == pytest.approx([1 / n] * n, rel=1e-15)
    assert abs(math.fsum(row) - 1) <= 1e-12
    assert labels["predictions"] == shares["classes"][:1]
    assert tuple(shares["classes"]) == {known: classes for known, _, classes in FLAT}[name]
    if n == 2:
        at_half = flat.post(f"/predict?model={name}&threshold=0.5", json=[[7.5]]).json()
        assert at_half["predictions"] == shares["classes"][:1]


LIMITS: dict[str, tuple[str, Callable[[], bytes], int]] = {
    "10 000 rows": ("two", lambda: json.dumps([[1]] * 10_000).encode(), 10_000),
    "10 000 rows of CSV": ("two", lambda: b"x0\n" + b"1\n" * 10_000, 10_000),
    "10 000 blank lines": ("two", lambda: b"\n" * 10_000 + b"1\n", 1),
    "4 096 columns": ("widest", lambda: json.dumps([[1] * 4096]).encode(), 1),
    "4 096 columns of CSV": ("widest", lambda: b",".join([b"1"] * 4096) + b"\n", 1),
    "2 000 000 cells": ("largest", lambda: json.dumps([[0] * 4000] * 500).encode(), 500),
    "2 000 000 cells, slowly": ("largest", lambda: json.dumps([[0] * 4000] * 500).replace("0", "0.0", 1).encode(), 500),
    "8 MiB": ("two", lambda: b"[[1]]" + b" " * (LIMIT - 5), 1),
    "a name of 64 characters": (LONGEST_NAME, lambda: b"[[1]]", 1),
    "a field of 131 072 characters": ("two", lambda: b'"' + b"0" * 131_071 + b'1"\n', 1),
    "4 300 digits behind the point": ("two", lambda: b"[[0." + b"1" * 4300 + b"]]", 1),
}


@pytest.mark.parametrize("is_gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("path", PATHS)
def test_a_request_at_a_limit_is_answered(flat: Client, path: str, limit: str, *, is_gzip: bool) -> None:
    """P27: each limit is inclusive, for bytes before and after inflating."""
    name, make, n_rows = LIMITS[limit]
    body = make()
    headers = {"content-type": "application/json" if body.startswith(b"[") else "text/csv"}
    if is_gzip:
        headers["content-encoding"] = "gzip"

    answer = flat.post(f"{path}?model={name}", content=gzip.compress(body, 1) if is_gzip else body, headers=headers)

    assert answer.status_code == 200, answer.text
    answered: dict[str, Any] = answer.json()
    assert len(answered["predictions" if path == "/predict" else "probabilities"]) == n_rows
    flat.check_alive()


def test_labels_alone_and_in_a_batch_are_the_same(lane: Wire) -> None:
    """P28: a thousand rows one by one get the labels that they get together."""
    rows = np.random.default_rng(6).normal(scale=3, size=(1000, 3)).tolist()

    def labels(some: list[list[float]]) -> list[str]:
        lane.send(request("POST", "/predict?model=abc", body=json.dumps(some).encode()))
        found: list[str] = json.loads(lane.reply().body)["predictions"]
        return found

    assert [label for row in rows for label in labels([row])] == labels(rows)


def test_a_request_beside_a_swap_is_answered_by_one_version(make_client: MakeClient, store_copy: Path) -> None:
    """P29: while ``live`` moves between versions of other columns each answer, good or bad, is wholly of one of them."""
    table = abc_table()
    two = Table(("a", "b", "y"), (*table.columns[:2], table.columns[3]), table.n_rows)
    assert train_into(store_copy, "abc", two, "y", C=1.0, promote="never") == 2
    app = make_client(store_copy).app
    is_over = threading.Event()
    bodies = (b"[[1, 2, 3]]", b'{"a": 1, "b": 2, "c": 3}', json.dumps([[1, 2, 3]] * 5000).encode(), b"[[1, null, 3]]")
    seen = set[tuple[int, str]]()

    def swap() -> None:
        store, version = ModelStore(store_copy), 1
        while not is_over.is_set():
            version = 3 - version
            store.set_alias("abc", "live", version, reason="", now=NOW)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        with on_wire(app) as wire:
            while len(seen) < 8:
                for index, body in enumerate(bodies):
                    wire.send(request("POST", "/predict_proba?model=abc", body=body))
                    reply = wire.reply()
                    by, said = reply.headers["model-version"], json.loads(reply.body)
                    seen.add((index, by))
                    if by == "abc/1" and index < 3:
                        assert (reply.status, said["version"]) == (200, 1)
                    else:
                        kinds = {"abc/1": ["missing-value"], "abc/2": ["feature-count", "unknown-feature"]}[by]
                        assert (reply.status, said["type"].removeprefix("/problems/") in kinds) == (422, True)
    finally:
        is_over.set()
        swapping.join()
