"""The floor: uvicorn with uvloop and httptools, and a raw ASGI application that answers a constant."""

from __future__ import annotations

import json

from benchmarks.serving.model import CLASSES, drawn
from benchmarks.serving.peer import APPS, Peer, Place, instances, second
from benchmarks.serving.peers.ours import INSTALLS, OURS

NAME = "floor"


def _prepare(place: Place) -> None:
    """The answer that the service gives, so that both send as many bytes."""
    p = drawn(place.shape.n_columns).probabilities(place.shape.rows())
    rows = [[1.0 - each, each] for each in p.tolist()]
    answer = {"classes": CLASSES, "probabilities": rows, "model": "columns", "version": 1}
    (place.folder / "answer.json").write_text(json.dumps(answer, separators=(",", ":")), encoding="utf-8")


def _command(place: Place) -> list[str]:
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    return [place.program("uvicorn"), "--app-dir", str(APPS), "floor_app:app", "--port", place.port, *options]


FLOOR = Peer(
    name=NAME,
    package="uvicorn",
    installs=INSTALLS,
    environment=OURS,
    prepare=_prepare,
    command=_command,
    path="/",
    body=instances,
    read=lambda answer: second(answer["probabilities"]),
    note="uvicorn, uvloop, httptools; a constant answer",
)
