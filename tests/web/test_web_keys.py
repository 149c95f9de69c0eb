"""Keys at the door: every route asks for the right one, on every way, and no log or answer tells one."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from asking import GOOD, Client, MakeClient
from fastapi.routing import APIRoute
from keys_on_disk import NOW, KeysOnDisk
from wire import on_wire, request

from service.errors import InvalidSettings
from service.web.app import routes
from service.web.call import Call
from service.web.dialects.native import NativeDialect
from service.web.fast_lane import Request
from service.web.keys import key_ring
from service.web.keys.gate import GRANTS, Access
from service.web.keys.key_file import Scope, add_key, read_keys, revoke_key

pytest_plugins = ("served",)

PUBLIC = {"/", "/livez", "/readyz", "/healthz", "/version", "/problems/{slug}", "/openapi.json", "/docs"}
PUBLIC |= {"/docs/{asset}"}
EVERYTHING = {"model": "abc", "version": "2", "alias": "other", "slug": "not-found", "asset": "favicon.png"}
TARGET = "/predict?model=abc"


@pytest.fixture
def keys(tmp_path: Path) -> KeysOnDisk:
    """A key file, and a key of each scope."""
    return KeysOnDisk.made_in(tmp_path)


@pytest.fixture
def keyed(make_client: MakeClient, store_copy: Path, keys: KeysOnDisk) -> Client:
    """An application with keys that listens beyond this machine."""
    return make_client(store_copy, host="0.0.0.0", api_keys_file=str(keys.path))


def every_route(client: Client) -> list[tuple[str, str, str]]:
    """Method, path as it is declared, and a path that it matches, of each route that the application has."""
    found = [route for route in client.app.routes if isinstance(route, APIRoute)]
    assert len(found) == len(client.app.routes)
    return [(method, route.path, route.path.format(**EVERYTHING)) for route in found for method in route.methods or ()]


def needed(client: Client) -> dict[tuple[str, str], Access]:
    """What the table of routes asks for, by method and path."""
    services = client.app.state.services
    table = routes(services, NativeDialect.__new__(NativeDialect))
    return {(method, path): access for path, methods, access, _ in table for method in methods}


@pytest.mark.parametrize("given", [None, *Scope])
def test_no_route_is_reached_without_the_right_key(keyed: Client, keys: KeysOnDisk, given: Scope | None) -> None:
    """T28: public routes need no key; others are 401 without one and 403 with one of another scope, all routes told."""
    table = needed(keyed)
    headers = {} if given is None else keys.bearer(given)

    for method, declared, path in every_route(keyed):
        access = table[method, declared]
        answer = keyed.request(method, path, headers=headers)

        assert (access is Access.PUBLIC) == (declared in PUBLIC)
        if access is Access.PUBLIC or (given is not None and access in GRANTS[given]):
            assert answer.status_code not in {401, 403}, (method, path)
        else:
            assert answer.status_code == (401 if given is None else 403), (method, path)


def test_scopes_are_what_they_say() -> None:
    """Predict and train do not include each other, admin includes all, and each key reads."""
    assert Access.TRAIN not in GRANTS[Scope.PREDICT]
    assert Access.PREDICT not in GRANTS[Scope.TRAIN]
    assert GRANTS[Scope.ADMIN] == set(Access)
    assert all(Access.ADMIN not in GRANTS[scope] for scope in (Scope.PREDICT, Scope.TRAIN))
    assert all(Access.READ in granted for granted in GRANTS.values())


def test_refusals_say_what_to_do(keyed: Client, keys: KeysOnDisk) -> None:
    """401 names the scheme and the two headers, 403 the scope that would do."""
    missing = keyed.check_problem(refused := keyed.post(TARGET, json=GOOD), 401, "key-missing")
    assert refused.headers["www-authenticate"] == "Bearer"
    assert "X-API-Key" in missing["hint"]

    other = keyed.post(TARGET, json=GOOD, headers={"X-API-Key": "x" * 43})
    keyed.check_problem(other, 401, "key-unknown")
    assert other.headers["www-authenticate"] == "Bearer"

    scoped = keyed.post(TARGET, json=GOOD, headers=keys.bearer("train"))
    assert "scope predict" in keyed.check_problem(scoped, 403, "scope-missing")["hint"]
    assert "www-authenticate" not in scoped.headers


@pytest.mark.parametrize("way", ["wire", "ahead", "routed"])
def test_a_key_is_taken_from_one_header(
    make_client: MakeClient, trained_store: Path, keys: KeysOnDisk, way: str
) -> None:
    """H34: X-API-Key goes first; twice, in a query string, cut off, padded or as Basic a key is none."""
    key = keys.by_scope["predict"]
    cases: list[tuple[list[tuple[str, str]], str, int]] = [
        ([("X-API-Key", key)], TARGET, 200),
        ([("Authorization", f"Bearer {key}")], TARGET, 200),
        ([("Authorization", f"bearer  {key}")], TARGET, 200),
        ([("X-API-Key", key), ("Authorization", "Basic abc")], TARGET, 200),
        ([("X-API-Key", "x" * 43), ("Authorization", f"Bearer {key}")], TARGET, 401),
        ([("X-API-Key", key), ("X-API-Key", key)], TARGET, 401),
        ([("Authorization", f"Bearer {key}"), ("Authorization", "Basic abc")], TARGET, 401),
        ([("Authorization", f"Basic {key}")], TARGET, 401),
        ([("Authorization", key)], TARGET, 401),
        ([("X-API-Key", key[:-1])], TARGET, 401),
        ([("X-API-Key", key + "A")], TARGET, 401),
        ([("X-API-Key", "")], TARGET, 401),
        ([("X-API-Key", "\xe9" * 43)], TARGET, 401),
        ([("Cookie", f"X-API-Key={key}")], TARGET, 401),
        ([], f"{TARGET}&api_key={key}", 401),
    ]
    client = make_client(trained_store, ahead_of_router=way != "routed", api_keys_file=str(keys.path))

    statuses = answered_on_wire(client, cases) if way == "wire" else [answered(client, *case[:2]) for case in cases]

    assert statuses == [status for _, _, status in cases]


def answered(client: Client, headers: list[tuple[str, str]], target: str) -> int:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return client.post(target, json=GOOD, headers=httpx.Headers(raw)).status_code


def answered_on_wire(client: Client, cases: list[tuple[list[tuple[str, str]], str, int]]) -> list[int]:
    """The status of each case, each sent twice, so that the second time its head is known."""
    statuses = []
    with on_wire(client.app) as wire:
        for headers, target, _ in cases:
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1")
            once = request("POST", target, body=b'{"instances":[[1,2,3]]}').replace(b"Host:", lines + b"Host:")
            for _ in range(2):
                wire.send(once)
                statuses.append(wire.reply().status)
    assert statuses[::2] == statuses[1::2]
    return statuses[::2]


def test_a_revoked_key_ends_with_the_file(
    make_client: MakeClient, trained_store: Path, keys: KeysOnDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head that the lane remembers is refused once its key is revoked, and a new key counts without a restart."""
    monkeypatch.setattr(key_ring, "LOOK_AGAIN_S", 0)
    app = make_client(trained_store, api_keys_file=str(keys.path)).app
    once = request("POST", TARGET, keys.bearer("predict"), b"[[1,2,3]]")

    with on_wire(app) as wire:
        statuses = []
        for _ in range(3):
            wire.send(once)
            statuses.append(wire.reply().status)
        assert len(wire.protocol.known_heads) == 1
        revoke_key(keys.path, "predict")
        wire.send(once)
        statuses.append(wire.reply().status)
        new, _ = add_key(keys.path, Scope.PREDICT, None, NOW)
        wire.send(request("POST", TARGET, {"X-API-Key": new}, b"[[1,2,3]]"))
        statuses.append(wire.reply().status)

    assert statuses == [200, 200, 200, 401, 200]


@pytest.mark.parametrize("path", ["/train", "/models", "/metrics", "/models/abc/versions/1", "/models/abc/example"])
def test_without_keys_only_predictions_leave_the_machine(
    make_client: MakeClient, trained_store: Path, path: str
) -> None:
    """Beyond loopback without keys all but predictions and public pages is 403, unless the network is trusted."""
    method = "POST" if path == "/train" else "GET"
    client = make_client(trained_store, host="0.0.0.0")
    trusting = make_client(trained_store, host="0.0.0.0", trust_network=True)

    problem = client.check_problem(client.request(method, path), 403, "predictions-only")

    assert all(name in problem["hint"] for name in ("LOGITD_API_KEYS_FILE", "LOGITD_TRUST_NETWORK=on"))
    assert client.post(TARGET, json=GOOD).status_code == 200
    assert client.get("/readyz").status_code == 200
    assert trusting.request(method, path).status_code not in {401, 403}


def test_keys_allow_writes_beyond_loopback(keyed: Client, keys: KeysOnDisk) -> None:
    """With a key of its scope, training and moving an alias work on any address, from no other site's page."""
    admin = keys.bearer("admin")
    body = {"model": "new", "instances": [[1.0], [2.0], [3.0], [4.0], [2.5], [3.5]], "targets": list("aabbba")}

    trained = keyed.post("/train", json=body, headers=keys.bearer("train"))
    moved = keyed.put("/models/new/aliases/other", json={"version": 1}, headers=admin)
    crossed = keyed.put("/models/new/aliases/other", json={"version": 1}, headers={**admin, "Origin": "http://evil"})
    neither = keyed.put("/models/new/aliases/other", json={"version": 1}, headers={"Origin": "http://evil"})

    assert (trained.status_code, moved.status_code) == (201, 200)
    keyed.check_problem(crossed, 403, "cross-site")
    keyed.check_problem(neither, 401, "key-missing")


def test_no_key_is_told(
    make_client: MakeClient,
    store_copy: Path,
    keys: KeysOnDisk,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither a key that is known nor one that is not is in an answer, a header, a log line or a repr, defects too."""
    marker = "marker" * 8
    digests = [key.digest.hex() for key in read_keys(keys.path)]
    told: list[str] = []
    clients = [
        make_client(store_copy, ahead_of_router=ahead, api_keys_file=str(keys.path), log_level="debug")
        for ahead in (True, False)
    ]
    presented = [marker, *keys.by_scope.values()]

    with caplog.at_level(logging.DEBUG):
        for client in clients:
            for method, _, path in every_route(client):
                for key in presented:
                    for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
                        answer = client.request(method, path, headers=headers)
                        told += [answer.text, str(answer.headers)]
        monkeypatch.setattr(NativeDialect, "_predict", broken)
        assert clients[0].post(TARGET, json=GOOD, headers={"X-API-Key": presented[1]}).status_code == 500

    told += [caplog.text, repr(read_keys(keys.path))]
    told += [repr(Call("/predict", b"", {"x-api-key": marker}, b"", "id", 0))]
    told += [repr(Request("/predict", b"", {"x-api-key": marker}, 0, keep_alive=True))]
    assert "a defect" in caplog.text
    assert [secret for secret in (*presented, *digests) if any(secret in text for text in told)] == []


def test_the_documentation_says_where_keys_go(keyed: Client, client: Client) -> None:
    """OpenAPI names both headers, for all operations but the public ones; without keys it asks for none."""
    document = keyed.get("/openapi.json").json()
    free = {path for path, verbs in document["paths"].items() for one in verbs.values() if one.get("security") == []}

    assert document["security"] == [{"bearer": []}, {"apiKey": []}]
    assert document["components"]["securitySchemes"].keys() == {"bearer", "apiKey"}
    assert free == PUBLIC & document["paths"].keys()
    assert "security" not in client.get("/openapi.json").json()


def broken(*_: Any) -> None:
    raise RuntimeError("broken on purpose")


@pytest.mark.parametrize("content", [None, b"", b"# nothing\n", b"predict abc\n"])
def test_the_service_does_not_start_without_keys_that_it_was_told_of(
    make_client: MakeClient, trained_store: Path, tmp_path: Path, content: bytes | None
) -> None:
    """A key file that is missing, empty or damaged is a mistake in the settings."""
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(InvalidSettings):
        make_client(trained_store, api_keys_file=str(path))


def test_a_full_service_still_asks_for_keys(keyed: Client, keys: KeysOnDisk) -> None:
    """What is refused at a glance is refused for its key first, by a new head and by one that is known."""
    body = gzip.compress(b"[[1,2,3]" + b",[1,2,3]" * 20_000 + b"]")
    presented: list[dict[str, str]] = [{"X-API-Key": "logitd_" + "x" * 43}, {}, *map(keys.bearer, ("train", "predict"))]
    statuses = []
    with on_wire(keyed.app) as wire:
        wire.protocol.desk.load.in_flight = wire.protocol.desk.load._most_in_flight
        for headers in presented * 2:
            wire.send(request("POST", TARGET, {"Content-Encoding": "gzip", **headers}, body))
            statuses.append(wire.reply().status)
        wire.protocol.desk.load.in_flight = 0

    assert statuses == [401, 401, 403, 503] * 2
