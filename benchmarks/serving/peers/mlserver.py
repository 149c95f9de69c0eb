"""MLServer with its scikit-learn runtime: with one inference worker beside the server, and with none."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from benchmarks.serving.peer import Peer, Place, export_estimator, requirements
from benchmarks.serving.peers.open_inference import second_of_output, tensor
from benchmarks.serving.shapes import Matrix

NAME = "mlserver"
SETTINGS = {"debug": False, "host": "127.0.0.1"}
MODEL = {"name": "model", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": "./model.joblib"}}


def _prepare(place: Place) -> None:
    export_estimator(place)
    (place.folder / "settings.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    (place.folder / "model-settings.json").write_text(json.dumps(MODEL), encoding="utf-8")


def _command(place: Place) -> list[str]:
    return [place.program("mlserver"), "start", "."]


def _variables(workers: int, place: Place) -> dict[str, str]:
    ports = zip(("HTTP", "GRPC", "METRICS"), place.ports, strict=True)
    return {"MLSERVER_PARALLEL_WORKERS": str(workers)} | {f"MLSERVER_{name}_PORT": str(port) for name, port in ports}


def _body(X: Matrix) -> dict[str, Any]:
    return {"inputs": [tensor(X, "predict")], "outputs": [{"name": "predict_proba"}]}


def _peer(name: str, workers: int, note: str) -> Peer:
    return Peer(
        name=name,
        package="mlserver",
        installs=requirements(NAME),
        environment=NAME,
        prepare=_prepare,
        command=_command,
        variables=partial(_variables, workers),
        path="/v2/models/model/infer",
        body=_body,
        read=second_of_output,
        note=note,
    )


MLSERVER = _peer(NAME, 1, "mlserver-sklearn, its default: one inference worker")
MLSERVER_INLINE = _peer(f"{NAME}-inline", 0, "mlserver-sklearn, `parallel_workers: 0`")
