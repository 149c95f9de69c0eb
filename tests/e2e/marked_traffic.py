"""Requests of all kinds that hold marks: a number, a label and a key, which nothing may repeat that should not."""

from __future__ import annotations

import json
import socket
from contextlib import suppress

from keys_on_disk import KeysOnDisk
from service_process import PATIENCE, Service
from wire import request

NUMBER, LABEL, KEY = "123456.789", "marker-of-a-label", "marker-of-a-key-" * 3
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ROWS = [[float(n), float(NUMBER) + n % 3] for n in range(12)]
LABELS = [LABEL if n % 2 else "other" for n in range(12)]
TRAIN = {"model": "marked", "instances": ROWS, "targets": LABELS, "feature_names": ["a", "b"]}
CSV = "a,b,y\n" + "".join(f"{a},{b},{label}\n" for (a, b), label in zip(ROWS, LABELS, strict=True))
HOSTILE = ("\x1b[31mred", "two words", "\x9b2J", "x" * 10_000, "a\tb", "\u00e9")


def every_header(keys: KeysOnDisk, scope: str, given_id: str) -> dict[str, str]:
    return {**keys.bearer(scope), "X-Request-Id": given_id, "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}


def predict(service: Service, keys: KeysOnDisk) -> None:
    """Predictions that are answered, by all ways in."""
    plain = [[5.1, 3.5, 1.4, float(NUMBER)]]
    for path in ("/predict", "/predict_proba"):
        for body in (plain, plain * 2, {"instances": plain}, plain * 3000):
            headers = every_header(keys, "predict", "good-prediction")
            assert service.client.post(path, json=body, headers=headers).status_code == 200
    csv = every_header(keys, "predict", "good-prediction") | {"Content-Type": "text/csv"}
    assert service.client.post("/predict", content=f"5.1,3.5,1.4,{NUMBER}\n", headers=csv).status_code == 200


def predict_badly(service: Service, keys: KeysOnDisk) -> None:
    """Predictions that are refused for their body, their query, their model or their key."""
    headers = every_header(keys, "predict", "bad-prediction")
    bodies = [
        f"[[{NUMBER}]]",
        f'[["{LABEL}",1,2,{NUMBER}]]',
        f'[{{"{LABEL}":{NUMBER}}}]',
        f"{NUMBER}{LABEL}",
        f"[{NUMBER}e999]",
    ]
    targets = [
        f"?model={LABEL}",
        f"?threshold={NUMBER}",
        f"?{LABEL}={NUMBER}",
        f"?model={KEY}",
        "?model=%1B%5B31m%0A",
        f"/{NUMBER}",
    ]
    for path in ("/predict", "/predict_proba"):
        for body in bodies:
            assert service.client.post(path, content=body, headers=headers).status_code in {400, 422}
        for target in targets:
            assert service.client.post(path + target, content=bodies[0], headers=headers).status_code in {404, 422}
        for key in ({"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}, {}):
            assert service.client.post(path, content=bodies[0], headers=key).status_code == 401


def look_at_health(service: Service, _keys: KeysOnDisk) -> None:
    for path in ("/livez", "/readyz", "/healthz"):
        for method in ("GET", "HEAD", "POST"):
            service.client.request(method, path, headers={"X-Request-Id": "health"})


def write(service: Service, keys: KeysOnDisk) -> None:
    """One write of each kind."""
    client = service.client
    csv = every_header(keys, "train", "train-2") | {"Content-Type": "text/csv"}
    statuses = [
        client.post("/train", json=TRAIN, headers=every_header(keys, "train", "train-1")).status_code,
        client.post("/train?model=marked&target=y&promote=false", content=CSV, headers=csv).status_code,
        client.put(
            "/models/marked/aliases/other",
            json={"version": 1, "reason": f"\x1b[31m \u2028 {keys.by_scope['admin']}"},
            headers=every_header(keys, "admin", "move-1"),
        ).status_code,
        client.delete("/models/marked/versions/2", headers=every_header(keys, "admin", "delete-1")).status_code,
    ]
    assert statuses == [201, 201, 200, 204]


def write_badly(service: Service, keys: KeysOnDisk) -> None:
    """Writes that are refused at each door."""
    client = service.client
    bad = {**TRAIN, "instances": [[float(NUMBER), {LABEL: LABEL}]] * 12}
    for number, scope in enumerate(("predict", "train")):
        assert client.post(
            "/train", json=bad, headers=every_header(keys, scope, f"bad-train-{number}")
        ).status_code in {403, 422}
    unknown = {"X-API-Key": KEY, "X-Request-Id": "bad-train-2"}
    assert client.post("/train", json=TRAIN, headers=unknown).status_code == 401
    target = "/models/%1B%5B2J%E2%80%A8/aliases/live"
    assert (
        client.put(target, json={"version": LABEL}, headers=every_header(keys, "admin", "bad-move")).status_code == 422
    )
    gone = every_header(keys, "admin", "bad-delete")
    assert client.delete("/models/marked/versions/1", headers=gone).status_code == 409


def send_nonsense(service: Service, keys: KeysOnDisk) -> None:
    """Ids, traces and requests that no client library would send."""
    for given in HOSTILE:
        for name in ("X-Request-Id", "traceparent", "X-API-Key"):
            sent = request("GET", f"/models/{NUMBER}", {**keys.bearer("admin"), name: given})
            exchange(service, sent)
    for sent in (b"GET /\x1b HTTP/1.1\r\n\r\n", f"{LABEL} {NUMBER}\r\n\r\n".encode(), b"\x16\x03\x01\x02\r\n\r\n"):
        exchange(service, sent)
    whole = request("POST", "/train", every_header(keys, "train", "cut-off-train"), json.dumps(TRAIN).encode())
    cut = request("POST", "/predict", every_header(keys, "predict", "cut-off"), f"[[{NUMBER}]]".encode())[:-2]
    for sent in (whole[:-9], cut.replace(b"Content-Length", b"Expect: nothing\r\nContent-Length")):
        with socket.create_connection(("127.0.0.1", int(service.port)), PATIENCE) as connection:
            connection.sendall(sent)


def exchange(service: Service, sent: bytes) -> None:
    """Send, say that this is all, and read until the service is done."""
    with socket.create_connection(("127.0.0.1", int(service.port)), PATIENCE) as connection, suppress(OSError):
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 16):
            pass
