"""LitServe: an API with one worker."""

from __future__ import annotations

from typing import Any

from benchmarks.serving.peer import APPS, Peer, Place, export_estimator, requirements, second
from benchmarks.serving.shapes import Matrix


def _command(place: Place) -> list[str]:
    return [place.program("python"), str(APPS / "litserve_app.py"), place.port]


def _body(X: Matrix) -> dict[str, Any]:
    return {"input": X.tolist()}


LITSERVE = Peer(
    name="litserve",
    package="litserve",
    installs=requirements("litserve"),
    prepare=export_estimator,
    command=_command,
    path="/predict",
    body=_body,
    read=lambda answer: second(answer["output"]),
    note="a `LitAPI`, one worker, no batching",
)
