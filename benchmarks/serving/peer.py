"""What a peer is: an environment, a command that serves on a port, a body, and how its answer is read."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving.environment import Environment, Installs
from benchmarks.serving.model import drawn, write_coefficients
from benchmarks.serving.shapes import Matrix, Shape, Vector

HERE = Path(__file__).parent
APPS = HERE / "peers" / "apps"
REQUIREMENTS = HERE / "peers" / "requirements"
# The same for all: a dot product gains nothing from threads, and there is one CPU.
THREADS = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB", "BLIS")}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a peer serves a shape: its environment, a folder of its own to start in, and free ports, the first for HTTP."""

    environment: Environment
    folder: Path
    ports: tuple[int, ...]
    shape: Shape

    @property
    def port(self) -> str:
        """The port of the requests."""
        return str(self.ports[0])

    def program(self, name: str) -> str:
        """The path of a program of the environment."""
        return str(self.environment.programs / name)


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to serve the model.

    package: the distribution whose version is reported.  installs: arguments of pip, one list a call.
    prepare: writes into the place's folder what the server needs.  command: serves until it is ended.
    body, read: the request's JSON of rows; P(second class) from the answer's JSON, (n_rows,).
    variables: of the environment.  environment: the name, where it is shared.  only: shapes, where not all.
    """

    name: str
    package: str
    installs: Installs
    prepare: Callable[[Place], None]
    command: Callable[[Place], list[str]]
    path: str
    body: Callable[[Matrix], Any]
    read: Callable[[Any], Any]
    variables: Callable[[Place], dict[str, str]] = lambda _: {}
    environment: str = ""
    only: tuple[str, ...] = ()
    note: str = ""

    def request(self, X: Matrix) -> bytes:
        """The body that asks for the rows."""
        return json.dumps(self.body(X), separators=(",", ":")).encode()

    def probabilities(self, answer: bytes) -> Vector:
        """P(second class) of each row; raises ValueError, KeyError, IndexError or TypeError for another answer."""
        return np.asarray(self.read(json.loads(answer)), dtype=np.float64)


def requirements(name: str) -> Installs:
    """What ``peers/requirements/<name>.txt`` lists."""
    return (("--requirement", str(REQUIREMENTS / f"{name}.txt")),)


def variables(peer: Peer, place: Place) -> dict[str, str]:
    """The environment variables of a server: this process's without settings of the service, and its own programs first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOGITD_")}
    folder = str(place.folder)
    path = f"{place.environment.programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**kept, **THREADS, "PATH": path, "HOME": folder, "TMPDIR": folder, **peer.variables(place)}


def instances(X: Matrix) -> dict[str, Any]:
    """The body that most protocols take."""
    return {"instances": X.tolist()}


def second(rows: list[list[float]]) -> list[float]:
    """The second column of rows of probabilities."""
    return [row[1] for row in rows]


def export_estimator(place: Place, *flavour: str) -> None:
    """Write scikit-learn's estimator with the drawn coefficients, by the peer's own scikit-learn: see ``apps/export.py``.

    Raises CalledProcessError.
    """
    write_coefficients(drawn(place.shape.n_columns), place.folder / "coefficients.json")
    command = [place.program("python"), str(APPS / "export.py"), *flavour]
    subprocess.run(command, cwd=place.folder, check=True, capture_output=True, text=True)
