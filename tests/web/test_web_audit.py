"""The audit: one line for every write over HTTP, allowed or refused."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import Client, MakeClient
from keys_on_disk import KeysOnDisk
from wire import on_wire, request

from service.serving.control_plane import ControlPlane

pytest_plugins = ("served",)

TRAIN = {"model": "new", "instances": [[1.0], [2.0], [3.0], [4.0], [2.5], [3.5]], "targets": list("aabbba")}
LIVE, SECOND = "/models/abc/aliases/live", "/models/new/versions/2"
PLAIN = {*vars(logging.makeLogRecord({})), "message", "asctime"}


@pytest.fixture
def keys(tmp_path: Path) -> KeysOnDisk:
    """A key of each scope."""
    return KeysOnDisk.made_in(tmp_path)


@pytest.fixture
def keyed(make_client: MakeClient, store_copy: Path, keys: KeysOnDisk) -> Client:
    """The application with keys, on a store for writing."""
    return make_client(store_copy, api_keys_file=str(keys.path))


@pytest.fixture
def audit(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What the audit tells."""
    with caplog.at_level(logging.INFO, "logitd.audit"):
        yield caplog


def lines(audit: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The fields of its lines, request ids apart."""
    found = [record for record in audit.records if record.name == "logitd.audit"]
    assert {record.message for record in found} <= {"a write"}
    shown = [{name: value for name, value in vars(record).items() if name not in PLAIN} for record in found]
    assert all(fields.pop("request_id") for fields in shown)
    for record, fields in zip(found, shown, strict=True):
        assert record.levelname == ("INFO" if fields["outcome"] == "done" else "WARNING")
    return shown


def test_writes_that_are_done(keyed: Client, keys: KeysOnDisk, audit: pytest.LogCaptureFixture) -> None:
    """Training, moving an alias and deleting leave a line each: what became of which version by whose key."""
    admin = {"key": "admin", "scope": "admin", "peer": "127.0.0.1"}
    keyed.post("/train", json=TRAIN, headers=keys.bearer("train"))
    keyed.post("/train", json={**TRAIN, "promote": False}, headers=keys.bearer("admin"))
    keyed.put("/models/new/aliases/other", json={"version": 1, "reason": "as agreed"}, headers=keys.bearer("admin"))
    keyed.delete(SECOND, headers={"X-API-Key": keys.by_scope["admin"]})

    trained = {"action": "train", "outcome": "done", "status": 201, "model": "new"}
    moved = {"action": "move-alias", "outcome": "done", "status": 200, "model": "new", "alias": "other", "version": 1}
    deleted = {"action": "delete", "outcome": "done", "status": 204, "model": "new", "version": 2}
    assert lines(audit) == [
        {**trained, "version": 1, "promoted": True, "key": "train", "scope": "train", "peer": "127.0.0.1"},
        {**trained, "version": 2, "promoted": False, **admin},
        {**moved, "reason": "as agreed", **admin},
        {**deleted, **admin},
    ]


MOVE = {"json": {"version": 1}}
ELSEWHERE = {"Origin": "http://elsewhere"}
CSV = {"content": "a,b\n1,2\n", "headers": {"Content-Type": "text/csv"}}
REFUSED = [
    # The request; the scope of its key; outcome, status and model of its line.
    ("PUT", LIVE, MOVE, None, ("key-missing", 401, "abc")),
    ("PUT", LIVE, MOVE, "train", ("scope-missing", 403, "abc")),
    ("PUT", LIVE, {**MOVE, "headers": ELSEWHERE}, "admin", ("cross-site", 403, "abc")),
    ("PUT", LIVE, {"content": b"{"}, "admin", ("invalid-json", 400, "abc")),
    ("PUT", LIVE, {"json": {"version": 9}}, "admin", ("version-not-found", 404, "abc")),
    ("PUT", f"{LIVE}?x=1", MOVE, "admin", ("unknown-field", 422, "abc")),
    ("PUT", "/models/a%1b%0a/aliases/live", MOVE, "admin", ("invalid-name", 422, None)),
    ("DELETE", "/models/abc/versions/1", {}, "admin", ("version-in-use", 409, "abc")),
    ("DELETE", "/models/none/versions/1", {}, "predict", ("scope-missing", 403, "none")),
    ("DELETE", "/models/abc/versions/x%0a", {}, "admin", ("invalid-version", 422, "abc")),
    ("POST", "/train", {"json": {}}, "predict", ("scope-missing", 403, None)),
    ("POST", "/train", {"json": {"model": "abc"}}, "train", ("invalid-input", 422, None)),
    ("POST", "/train?model=abc&target=z", CSV, "train", ("target-missing", 422, "abc")),
]
ACTIONS = {"PUT": "move-alias", "DELETE": "delete", "POST": "train"}


@pytest.mark.parametrize(("method", "target", "options", "scope", "expected"), REFUSED)
def test_writes_that_are_refused(
    keyed: Client,
    keys: KeysOnDisk,
    audit: pytest.LogCaptureFixture,
    method: str,
    target: str,
    options: dict[str, Any],
    scope: str | None,
    expected: tuple[str, int, str | None],
) -> None:
    """The line says why, by the problem's slug, and whose key it was; a name that is none is not repeated."""
    headers = options.get("headers", {}) | (keys.bearer(scope) if scope else {})
    answer = keyed.request(method, target, **{**options, "headers": headers})

    (line,) = lines(audit)
    assert (line["outcome"], line["status"], line.get("model")) == expected
    assert (line["status"], line["action"]) == (answer.status_code, ACTIONS[method])
    assert (line.get("key"), line.get("scope"), line["peer"]) == (scope, scope, "127.0.0.1")


def test_reading_and_predicting_are_no_writes(keyed: Client, keys: KeysOnDisk, audit: pytest.LogCaptureFixture) -> None:
    """No line for what changes nothing, with a key or without."""
    for path in ("/models", "/models/abc", LIVE, "/metrics", "/livez", "/"):
        keyed.get(path, headers=keys.bearer("admin"))
        keyed.get(path)
    keyed.post("/predict?model=abc", json=[[1, 2, 3]], headers=keys.bearer("predict"))
    keyed.post(LIVE, json={}, headers=keys.bearer("admin"))

    assert lines(audit) == []


def test_without_keys_the_address_is_all_there_is(
    make_client: MakeClient, store_copy: Path, audit: pytest.LogCaptureFixture
) -> None:
    """Neither key nor scope are in the line, also when one is presented; a long reason is cut."""
    client = make_client(store_copy)

    client.put(LIVE, json={"version": 1, "reason": "x" * 1000}, headers={"X-API-Key": "k" * 40})

    (line,) = lines(audit)
    done = {"action": "move-alias", "outcome": "done", "status": 200, "model": "abc", "alias": "live", "version": 1}
    assert line == {**done, "reason": "x" * 200, "peer": "127.0.0.1"}


def test_a_defect_is_an_outcome(
    make_client: MakeClient, store_copy: Path, audit: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a write ends by a defect nobody knows what it did; the line says so."""
    monkeypatch.delattr(ControlPlane, "delete")

    make_client(store_copy).delete("/models/abc/versions/1")

    assert [(line["outcome"], line["status"]) for line in lines(audit)] == [("internal", 500)]


@pytest.mark.parametrize(
    ("forwarded", "peer"),
    [("10.1.2.3", "10.1.2.3"), ("2001:db8::1", "2001:db8::1"), ("fe80::1%123456.789", "fe80::1"), ("secret", None)],
)
def test_a_proxy_names_the_client_by_its_address(
    make_client: MakeClient, store_copy: Path, audit: pytest.LogCaptureFixture, forwarded: str, peer: str | None
) -> None:
    """A proxy on this machine may say whom it speaks for; what is no address is left out."""
    with on_wire(make_client(store_copy).app) as wire:
        wire.send(request("DELETE", "/models/abc/versions/1", {"X-Forwarded-For": forwarded}))
        assert wire.reply().status == 409

    assert [line.get("peer") for line in lines(audit)] == [peer]


def test_a_client_that_leaves_early_is_cut_off(
    make_client: MakeClient, store_copy: Path, audit: pytest.LogCaptureFixture
) -> None:
    """A write whose request never became whole did not happen, and is told."""
    with on_wire(make_client(store_copy).app) as wire:
        wire.send(request("PUT", LIVE, {"Expect": "nothing"}, b'{"version": 1}')[:-3])
        while not wire.server.server_state.tasks:
            pass
        wire.close()

    assert [(line["action"], line["outcome"], line["status"]) for line in lines(audit)] == [
        ("move-alias", "cut-off", 0)
    ]
