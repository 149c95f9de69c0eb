"""The child process of ``/train``: reads one job, trains, publishes, answers, and ends.

Standard input: one line of JSON (``Job``), then the request body.  Standard output: one JSON object, ``{"answer": …}``,
``{"error": {…}}`` or ``{"defect": "…"}``.  Whatever happens here, the service does not share the memory it happens in.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from pydantic import BaseModel, ConfigDict

import service
from service.errors import OutOfMemory, ServiceError
from service.record import Provenance
from service.serving import views
from service.serving.carried import as_json
from service.serving.confined import NO_MEMORY, NOT_ENOUGH
from service.serving.control_plane import ControlPlane
from service.serving.defects import in_short, tell_warnings
from service.store.model_store import ModelStore
from service.store.signing_keys import PublicKey
from service.tabular.limits import Limits
from service.training.request import request_from_csv, request_from_json


class Job(BaseModel):
    """What the parent says of a training besides the body.

    trusted: the public key that versions must be signed with, hexadecimal, or None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    store: str
    trusted: str | None
    is_csv: bool
    parameters: dict[str, str]
    data_sha256: str
    max_rows: int
    max_features: int
    max_cells: int


def run(job: Job, body: bytes) -> dict[str, Any]:
    """The answer of ``/train``; raises ServiceError."""
    limits = Limits(job.max_rows, job.max_features, job.max_cells)
    request = request_from_csv(body, job.parameters, limits) if job.is_csv else request_from_json(body, limits)
    provenance = Provenance(
        logitd=service.__version__,
        numpy=np.__version__,
        data="request body",
        data_sha256=job.data_sha256,
        command="POST /train",
    )
    trusted = None if job.trusted is None else PublicKey(bytes.fromhex(job.trusted))
    plane = ControlPlane(ModelStore(Path(job.store), trusted), clock=lambda: datetime.now(UTC))
    return views.training_answer(plane.train(request, provenance))


def main(stdin: BinaryIO, stdout: BinaryIO) -> None:
    tell_warnings(lambda warning: sys.stderr.write(f"{warning}\n"))
    job = Job.model_validate_json(stdin.readline())
    try:
        result: dict[str, Any] = {"answer": run(job, stdin.read())}
    except ServiceError as error:
        result = {"error": as_json(error)}
    except MemoryError:
        result = {"error": as_json(OutOfMemory(NOT_ENOUGH))}
    except Exception as error:  # noqa: BLE001 — Python would write its message, which may hold a cell, to the log
        is_for_memory = NO_MEMORY.search(str(error)) is not None
        result = {"error": as_json(OutOfMemory(NOT_ENOUGH))} if is_for_memory else {"defect": in_short(error)}
    stdout.write(json.dumps(result, allow_nan=False).encode())


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
