"""What tests of the service have in common: a client of an application in this process, and trained models."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

import httpx
import numpy as np
from fastapi import FastAPI
from starlette.types import Message

from service.record import Provenance
from service.serving.control_plane import ControlPlane
from service.store.model_store import ModelStore
from service.tabular.datasets import load_dataset
from service.tabular.table import Table
from service.training.options import Promotion, TrainingOptions
from service.training.request import TrainingRequest, data_with_target

HERE = "http://127.0.0.1:8000"
PROBLEM_BYTES = 4096
PROVENANCE = Provenance(logitd="0", numpy="0", data="test", data_sha256=None, command=None)
GOOD = {"instances": [[1.0, 2.0, 3.0]]}  # for the model abc


class Client:
    """Blocking calls of an application in this process, all on one event loop."""

    def __init__(self, app: FastAPI, runner: asyncio.Runner) -> None:
        self.app = app
        self._runner = runner
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HERE)

    def request(self, method: str, target: str, **options: Any) -> httpx.Response:
        return self._runner.run(self._http.request(method, target, **options))

    def get(self, target: str, **options: Any) -> httpx.Response:
        return self.request("GET", target, **options)

    def post(self, target: str, **options: Any) -> httpx.Response:
        return self.request("POST", target, **options)

    def put(self, target: str, **options: Any) -> httpx.Response:
        return self.request("PUT", target, **options)

    def delete(self, target: str, **options: Any) -> httpx.Response:
        return self.request("DELETE", target, **options)

    def post_all(self, calls: Iterable[tuple[str, Any]]) -> list[httpx.Response]:
        """POST JSON bodies at the same time: (target, body) each; the answers in the same order."""

        async def together() -> list[httpx.Response]:
            return await asyncio.gather(*(self._http.post(target, json=body) for target, body in calls))

        return self._runner.run(together())

    def raw(self, method: str, target: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and body for a path exactly as it is written; the client leaves once it has sent its request."""
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": unquote(path),
            "raw_path": path.encode("latin-1", "replace"),
            "query_string": query.encode(),
            "headers": [(b"host", b"127.0.0.1:8000")],
        }
        messages: list[Message] = [{"type": "http.request", "body": body}]
        sent: list[Message] = []

        async def receive() -> Message:
            return messages.pop() if messages else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        async def call() -> None:
            await self.app(scope, receive, send)

        self._runner.run(call())
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])

    def check_problem(self, answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
        """The body of an error: RFC 9457, small, ends in a newline, and its ``type`` resolves here."""
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.content.endswith(b"}\n")
        assert len(answer.content) <= PROBLEM_BYTES
        problem: dict[str, Any] = answer.json()
        assert problem["type"] == f"/problems/{slug}"
        assert problem["status"] == status
        assert problem["title"]
        assert problem["detail"]
        assert problem["request_id"] == answer.headers["x-request-id"]
        assert len(problem.get("errors", [])) <= 10
        explained = self.get(problem["type"])
        assert explained.status_code == 200
        assert explained.json()["status"] == status
        return problem

    def check_alive(self) -> None:
        """The service lives and predicts."""
        assert self.get("/livez").status_code == 200
        assert self.post("/predict?model=abc", json=GOOD).status_code == 200


MakeClient: TypeAlias = Callable[..., Client]


def abc_table() -> Table:
    """The first three columns of the set ``random`` as a, b and c, and its classes as no and yes."""
    drawn = load_dataset("random").table
    target = np.where(drawn.column("y") == 1, "yes", "no").astype(object)
    return Table(("a", "b", "c", "y"), (*drawn.columns[:3], target), drawn.n_rows)


def train_into(
    root: Path,
    name: str,
    table: Table,
    target: str,
    *,
    missing_values: tuple[str, ...] = (),
    promote: Promotion = "certified",
    **options: Any,
) -> int:
    """Train a model by the real trainer, publish it in the store at ``root``, and return its version."""
    plane = ControlPlane(ModelStore(root), clock=lambda: datetime.now(UTC))
    data = data_with_target(table, target, missing_values)
    request = TrainingRequest(name, data, TrainingOptions(**options), promote)
    return plane.train(request, PROVENANCE).manifest.version
