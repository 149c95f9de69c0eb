"""BentoML: a service with one worker, without batching."""

from __future__ import annotations

from typing import Any

from benchmarks.serving.peer import APPS, Peer, Place, export_estimator, requirements, second
from benchmarks.serving.shapes import Matrix


def _command(place: Place) -> list[str]:
    options = ["--working-dir", str(APPS), "--host", "127.0.0.1", "--port", place.port]
    return [place.program("bentoml"), "serve", "bentoml_app:Linear", *options]


def _variables(place: Place) -> dict[str, str]:
    # The working directory is that of the service's source.
    return {"MODEL": str(place.folder / "model.joblib"), "BENTOML_DO_NOT_TRACK": "True"}


def _body(X: Matrix) -> dict[str, Any]:
    return {"rows": X.tolist()}


BENTOML = Peer(
    name="bentoml",
    package="bentoml",
    installs=requirements("bentoml"),
    prepare=export_estimator,
    command=_command,
    path="/predict_proba",
    body=_body,
    read=second,
    variables=_variables,
    note="a `@bentoml.service`, one worker, no batching",
)
