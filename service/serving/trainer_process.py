"""``TrainerProcess``: one training at a time, in a child process that the service can afford to lose."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.errors import (
    FieldError,
    IdempotencyMismatch,
    ServiceError,
    TrainerBusy,
    TrainFailed,
    TrainInProgress,
    TrainTimeout,
    all_errors,
)

log = logging.getLogger("logitd.trainer")

CHILD = "service.serving.trainer_child"
MAX_REMEMBERED_ANSWERS = 1000
MODEL_IN_JSON = re.compile(rb'"model"\s*:\s*"([^"\\]{0,64})"')


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A body for ``/train`` as it arrived, and the query parameters that go with CSV."""

    body: bytes
    is_csv: bool
    parameters: Mapping[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides the answer."""
        parameters = json.dumps([self.is_csv, sorted(self.parameters.items())]).encode()
        return hashlib.sha256(hashlib.sha256(self.body).digest() + parameters).hexdigest()

    @property
    def model(self) -> str:
        """The model's name by a glance at the body; it only decides between "this" and "another" model is training."""
        if self.is_csv:
            return self.parameters.get("model", "")
        found = MODEL_IN_JSON.search(self.body)
        return found[1].decode(errors="replace") if found else ""


@dataclass(frozen=True, slots=True)
class TrainerLimits:
    """Bounds on one training: rows, columns, cells, and seconds from start to end."""

    max_rows: int
    max_features: int
    max_cells: int
    timeout_s: float


class TrainerProcess:
    """Runs jobs in children; refuses while one runs; remembers answers by idempotency key.

    environment: the variables that the child gets.
    """

    def __init__(self, store: str, limits: TrainerLimits, environment: Mapping[str, str]) -> None:
        self._store = store
        self._limits = limits
        self._environment = dict(environment)
        self._running: TrainingJob | None = None
        self._answers: OrderedDict[str, tuple[str, dict[str, Any]]] = OrderedDict()

    async def train(self, job: TrainingJob, idempotency_key: str | None = None) -> dict[str, Any]:
        """The answer of ``/train``.  A job goes on when its client leaves; it is killed when the service stops.

        Raises the errors of training and of the store, TrainInProgress (409: the same model), TrainerBusy (another
        one), TrainTimeout, OutOfMemory, TrainFailed, IdempotencyMismatch.
        """
        remembered = self._remembered(job, idempotency_key)
        if remembered is not None:
            return remembered
        if self._running is not None:
            if self._running.model == job.model:
                raise TrainInProgress("this model is being trained at this moment; wait for it to end")
            raise TrainerBusy("another model is being trained, and one training runs at a time")
        self._running = job
        try:
            answer = await self._in_child(job)
        finally:
            self._running = None
        if idempotency_key is not None:
            self._answers[idempotency_key] = (job.digest, answer)
            if len(self._answers) > MAX_REMEMBERED_ANSWERS:
                self._answers.popitem(last=False)
        return answer

    def _remembered(self, job: TrainingJob, key: str | None) -> dict[str, Any] | None:
        if key is None or key not in self._answers:
            return None
        digest, answer = self._answers[key]
        if digest != job.digest:
            raise IdempotencyMismatch("this Idempotency-Key was used with another body; use a new key")
        return answer

    async def _in_child(self, job: TrainingJob) -> dict[str, Any]:
        # A session of its own: a Ctrl-C in the terminal reaches the service alone, which ends the child itself.
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", CHILD),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=self._environment,
            start_new_session=True,
        )
        try:
            return await self._talk(child, job)
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()

    async def _talk(self, child: Process, job: TrainingJob) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                output, complaints = await child.communicate(self._header(job) + job.body)
        except TimeoutError:
            raise TrainTimeout(
                f"training was stopped after {self._limits.timeout_s:g} seconds; use `logitd train` offline"
            ) from None
        if complaints:
            log.warning("trainer: %s", complaints.decode(errors="replace").strip()[-2000:])
        try:
            result = json.loads(output)
        except ValueError:
            raise TrainFailed(f"the training process ended without a result (exit code {child.returncode})") from None
        if "error" in result:
            raise as_error(result["error"])
        answer: dict[str, Any] = result["answer"]
        return answer

    def _header(self, job: TrainingJob) -> bytes:
        header = {
            "store": self._store,
            "is_csv": job.is_csv,
            "parameters": dict(job.parameters),
            "data_sha256": hashlib.sha256(job.body).hexdigest(),
            "max_rows": self._limits.max_rows,
            "max_features": self._limits.max_features,
            "max_cells": self._limits.max_cells,
        }
        return json.dumps(header).encode() + b"\n"


def as_error(told: dict[str, Any]) -> ServiceError:
    """The error that the child told of, as its own class again."""
    kinds = {kind.__name__: kind for kind in all_errors()}
    kind = kinds.get(told["class"], TrainFailed)
    places = tuple(FieldError(e["pointer"], e["code"], e["detail"]) for e in told["errors"])
    return kind(told["detail"], errors=places, hint=told["hint"])
