"""MLflow's scoring server, with its scikit-learn flavour."""

from __future__ import annotations

from typing import Any

from benchmarks.serving.peer import Peer, Place, export_estimator, requirements, second
from benchmarks.serving.shapes import Matrix


def _prepare(place: Place) -> None:
    export_estimator(place, "mlflow")


def _command(place: Place) -> list[str]:
    options = ["--host", "127.0.0.1", "--port", place.port, "--env-manager", "local", "--workers", "1"]
    return [place.program("mlflow"), "models", "serve", "--model-uri", "model", *options]


def _body(X: Matrix) -> dict[str, Any]:
    return {"inputs": X.tolist()}


MLFLOW = Peer(
    name="mlflow",
    package="mlflow",
    installs=requirements("mlflow"),
    prepare=_prepare,
    command=_command,
    path="/invocations",
    body=_body,
    read=lambda answer: second(answer["predictions"]),
    note="`mlflow models serve --env-manager local`",
)
