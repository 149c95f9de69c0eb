"""The log of the real service under traffic of all kinds: one JSON object a line, and nothing that was sent."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from keys_on_disk import NOW, KeysOnDisk
from logs_page import Line, examples, fields_of, kind_of
from marked_traffic import (
    KEY,
    LABEL,
    NUMBER,
    TRACE,
    TRAIN,
    every_header,
    look_at_health,
    predict,
    predict_badly,
    send_nonsense,
    write,
    write_badly,
)
from service_process import PATIENCE, Service, serving

from service.web.keys.key_file import Scope, add_key

PROJECT = Path(__file__).parents[2]
# Breaks what explains a prediction and what trains the model "broken", with words that hold what was sent.
SABOTAGE = """
import sys, warnings
if {"service.cli.worker", "service.serving.confined"} & set(sys.orig_argv):
    from service.serving.control_plane import ControlPlane
    from service.serving.data_plane import DataPlane
    predict, train = DataPlane.predict, ControlPlane.train
    def broken_predict(self, stored, rows, **options):
        if options["explain"]:
            warnings.warn(str(rows), RuntimeWarning)
            raise RuntimeError(f"no sense in {rows} for 123456.789")
        return predict(self, stored, rows, **options)
    def broken_train(self, request, provenance, **options):
        if request.model == "broken":
            warnings.warn("marker-of-a-label", RuntimeWarning)
            raise ValueError(f"{request.data} with marker-of-a-label")
        return train(self, request, provenance, **options)
    DataPlane.predict, ControlPlane.train = broken_predict, broken_train
"""


@dataclass
class Told:
    """What a service wrote after its greeting, as lines and as one text."""

    keys: KeysOnDisk
    text: str = ""
    lines: list[Line] = field(default_factory=list)

    def of(self, request_id: str) -> list[Line]:
        """The lines of one request."""
        return [line for line in self.lines if line.get("request_id") == request_id]


def wait_until(holds: Callable[[], bool]) -> None:
    """Return when it holds; fails after a while."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The log, at the level debug, of two workers with keys, through good, bad and hostile requests and accidents."""
    folder = tmp_path_factory.mktemp("logs")
    store = Path(shutil.copytree(PROJECT / "model_store", folder / "store"))
    (folder / "sitecustomize.py").write_text(SABOTAGE)
    told = Told(KeysOnDisk.made_in(folder))
    paths = os.pathsep.join([str(folder), str(PROJECT)])
    settings = {"API_KEYS_FILE": str(told.keys.path), "LOG_LEVEL": "debug", "LOG_FORMAT": "json", "WORKERS": "2"}
    variables = {f"LOGITD_{name}": value for name, value in settings.items()}

    with serving(store, prefix=(), trusted=None, PYTHONPATH=paths, **variables) as service:
        found: list[str] = []
        reader = threading.Thread(target=lambda: found.extend(service.process.stderr or ()))
        reader.start()
        for act in (predict, predict_badly, look_at_health, write, write_badly, send_nonsense, fail):
            act(service, told.keys)
        meet_with_accidents(service, told.keys, found)
        assert service.stop() == 0
        reader.join()
    told.text = "".join(found)
    told.lines = [json.loads(line) for line in found]
    return told


def fail(service: Service, keys: KeysOnDisk) -> None:
    """Defects in a prediction and in a training."""
    body = {"instances": [[1.0, 2.0, 3.0, float(NUMBER)]]}
    headers = every_header(keys, "predict", "defect")
    assert service.client.post("/predict?explain=true", json=body, headers=headers).status_code == 500
    train = every_header(keys, "train", "defect-train")
    assert service.client.post("/train", json={**TRAIN, "model": "broken"}, headers=train).status_code == 503


def meet_with_accidents(service: Service, keys: KeysOnDisk, found: list[str]) -> None:
    """A damaged version, a new key, a crashed worker, and workers that are replaced."""
    for file in (service.store / "marked/versions/1").glob("*.safetensors"):
        file.chmod(0o600)
        file.write_bytes(b"\0" * 100)
    add_key(keys.path, Scope.PREDICT, "another", NOW)
    fresh = httpx.Limits(max_keepalive_connections=0)

    def is_told(event: str) -> bool:
        with httpx.Client(base_url=service.url, limits=fresh) as client, suppress(httpx.TransportError):
            client.post("/predict?model=marked", json=[[1, 2]], headers=keys.bearer("predict"))
        return any(f'"event":"{event}"' in line for line in found)

    wait_until(lambda: is_told("a model was not reloaded") and is_told("the key file was read again"))
    os.kill(service.children()[0], signal.SIGSEGV)
    wait_until(lambda: is_told("a worker died: it is replaced"))
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: is_told("replacing the workers one by one"))


def test_every_line_is_one_json_object(told: Told) -> None:
    """Each line has the same first fields, holds no control character, and is as short as a pipe takes at once."""
    assert len(told.lines) > 80
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\U0010ffff]", told.text)
    assert max(map(len, told.text.splitlines())) <= 4095
    for line in told.lines:
        assert list(line)[:5] == ["timestamp", "level", "logger", "event", "pid"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["timestamp"])


def test_nothing_that_was_sent_is_told(told: Told) -> None:
    """No cell, no label and no key is anywhere in the log, wherever they were sent."""
    secrets = [NUMBER, LABEL, KEY, *told.keys.by_scope.values()]

    assert [secret for secret in secrets if secret in told.text] == []


def test_health_and_predictions_leave_no_line(told: Told) -> None:
    """Also not at the level debug."""
    assert told.of("health") == []
    assert told.of("good-prediction") == []
    assert {line.get("route") for line in told.lines}.isdisjoint({"/livez", "/readyz", "/healthz"})


def test_refusals_are_told_at_debug(told: Told) -> None:
    """With the slug, the route's template and the ids of request and trace."""
    refused = told.of("bad-prediction")

    assert {(line["level"], line["event"]) for line in refused} == {("debug", "a request failed")}
    assert {line["route"] for line in refused} == {"/predict", "/predict_proba", "(none)"}
    assert {line["trace_id"] for line in refused} == {TRACE}
    assert {"feature-count", "wrong-type", "invalid-json", "model-not-found"} <= {line["slug"] for line in refused}


@pytest.mark.parametrize(
    ("given_id", "expected"),
    [
        ("train-1", ("train", "done", 201, "marked", 1, "train")),
        ("train-2", ("train", "done", 201, "marked", 2, "train")),
        ("move-1", ("move-alias", "done", 200, "marked", 1, "admin")),
        ("delete-1", ("delete", "done", 204, "marked", 2, "admin")),
        ("bad-train-0", ("train", "scope-missing", 403, None, None, "predict")),
        ("bad-train-1", ("train", "wrong-type", 422, None, None, "train")),
        ("bad-train-2", ("train", "key-unknown", 401, None, None, None)),
        ("bad-move", ("move-alias", "invalid-name", 422, None, None, "admin")),
        ("bad-delete", ("delete", "version-in-use", 409, "marked", 1, "admin")),
        ("cut-off-train", ("train", "cut-off", 0, None, None, "train")),
        ("defect-train", ("train", "train-failed", 503, None, None, "train")),
    ],
)
def test_each_write_leaves_one_audit_line(told: Told, given_id: str, expected: tuple[Any, ...]) -> None:
    """Who asked for what, and what came of it."""
    (line,) = (line for line in told.of(given_id) if line["logger"] == "logitd.audit")

    names = ("action", "outcome", "status", "model", "version", "key")
    assert tuple(line.get(name) for name in names) == expected
    assert line["peer"] == "127.0.0.1"


def test_a_reason_is_told_without_the_key_in_it(told: Told) -> None:
    """Its author's text, escaped, and what looks like a key blotted out."""
    (line,) = told.of("move-1")

    assert line["reason"] == "\x1b[31m \u2028 lgt_***"


def test_a_defect_is_one_line(told: Told) -> None:
    """With the exception's class and places as a field; the warning before it is a line of its own."""
    (line,) = told.of("defect")
    warned = [line["warning"] for line in told.lines if line["event"] == "a warning by Python"]

    assert re.fullmatch(
        r"RuntimeError at web/dialects/native.py:\d+ .+ \S+/sitecustomize.py:\d+ \S+", line["exception"]
    )
    assert len(warned) == 1
    assert re.fullmatch(r"RuntimeWarning at \S+/sitecustomize.py:\d+", warned[0])


def test_the_page_shows_the_lines_as_they_are(told: Told) -> None:
    """Every example has a real line of its kind, level and fields; the silent worker has a test of its own."""
    silent = "a worker was silent: it is replaced"
    real: dict[Any, list[tuple[str, list[str]]]] = {}
    for line in told.lines:
        real.setdefault(kind_of(line), []).append((line["level"], fields_of(line)))
    missing = [
        kind
        for kind, line in examples().items()
        if line["event"] != silent and (line["level"], fields_of(line)) not in real.get(kind, [])
    ]

    assert missing == []
