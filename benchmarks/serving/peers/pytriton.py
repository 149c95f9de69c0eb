"""NVIDIA PyTriton: Triton's server in front of a Python function, without a GPU."""

from __future__ import annotations

import sysconfig
from typing import Any

from benchmarks.serving.peer import APPS, Peer, Place, export_estimator, requirements
from benchmarks.serving.peers.open_inference import second_of_output, tensor
from benchmarks.serving.shapes import Matrix


def _command(place: Place) -> list[str]:
    return [place.program("python"), str(APPS / "pytriton_app.py"), *map(str, place.ports)]


def _variables(_: Place) -> dict[str, str]:
    # Triton's Python process must not find the library of another Python of the system.
    return {"LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR"))}


def _body(X: Matrix) -> dict[str, Any]:
    return {"inputs": [tensor(X, "rows")]}


PYTRITON = Peer(
    name="pytriton",
    package="nvidia-pytriton",
    installs=requirements("pytriton"),
    prepare=export_estimator,
    command=_command,
    variables=_variables,
    path="/v2/models/model/infer",
    body=_body,
    read=second_of_output,
    note="a `@batch` function bound to Triton, on the CPU",
)
