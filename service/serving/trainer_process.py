"""``TrainerProcess``: one training at a time, in a child process that the service can afford to lose."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import re
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.errors import Draining, IdempotencyMismatch, OutOfMemory, TrainFailed, TrainTimeout
from service.serving import confined
from service.serving.carried import as_error
from service.serving.processes import module_command
from service.serving.training_slot import Answers, TrainingSlot
from service.store.signing_keys import PublicKey

log = logging.getLogger("logitd.trainer")

CHILD = "service.serving.trainer_child"
MAX_COMPLAINT = 1000
MODEL_IN_JSON = re.compile(rb'"model"\s*:\s*"([^"\\]{0,64})"')


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A body for ``/train`` as it arrived, and the query parameters that go with CSV.

    timeout_s: for how long the client waits, where it says so.
    log_fields: what log lines say of the request.
    """

    body: bytes
    is_csv: bool
    parameters: Mapping[str, str]
    log_fields: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float | None = None

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
    """Bounds on one training: rows, columns, cells, seconds from start to end, and memory."""

    max_rows: int
    max_features: int
    max_cells: int
    timeout_s: float
    memory_bytes: int


class TrainerProcess:
    """Runs jobs in children; refuses while one runs; remembers answers by idempotency key.

    environment: the variables that the child gets.
    run_directory: what the workers of one service share, so that one training runs at a time over all of them; None
    when this process is the service.
    trusted: the key that versions must be signed with, if any.
    """

    def __init__(
        self,
        store: str,
        limits: TrainerLimits,
        environment: Mapping[str, str],
        run_directory: Path | None = None,
        trusted: PublicKey | None = None,
    ) -> None:
        self._store = store
        self._limits = limits
        self._environment = dict(environment)
        self._trusted = trusted
        self._slot = TrainingSlot(run_directory)
        self._answers = Answers(run_directory)
        self._child: Process | None = None
        self._is_stopped = False

    def stop(self) -> None:
        """End the training that runs, if one does, with everything that it started; its client is told Draining."""
        self._is_stopped = True
        if self._child is not None and self._child.returncode is None:
            kill(self._child)

    async def train(self, job: TrainingJob, idempotency_key: str | None = None) -> dict[str, Any]:
        """The answer of ``/train``.  A job goes on when its client leaves; it is killed when the service stops.

        Raises the errors of training and of the store, TrainInProgress (409: the same model), TrainerBusy (another
        one), TrainTimeout, OutOfMemory, TrainFailed, IdempotencyMismatch, Draining.
        """
        remembered = self._remembered(job, idempotency_key)
        if remembered is not None:
            return remembered
        with self._slot.taken(job.model) as descriptors:
            # Another worker may have answered meanwhile.
            answer = self._remembered(job, idempotency_key) or await self._in_child(job, descriptors)
            if idempotency_key is not None:
                self._answers.remember(idempotency_key, job.digest, answer)
        return answer

    def _remembered(self, job: TrainingJob, key: str | None) -> dict[str, Any] | None:
        found = None if key is None else self._answers.get(key)
        if found is None:
            return None
        digest, answer = found
        if digest != job.digest:
            raise IdempotencyMismatch("this Idempotency-Key was used with another body; use a new key")
        return answer

    async def _in_child(self, job: TrainingJob, descriptors: tuple[int, ...]) -> dict[str, Any]:
        # A session of its own: a Ctrl-C in the terminal reaches the service alone, which ends the child itself.
        try:
            child = await asyncio.create_subprocess_exec(
                *module_command(confined.__name__, str(os.getpid()), str(self._limits.memory_bytes), CHILD),
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env=self._environment,
                start_new_session=True,
                pass_fds=descriptors,
            )
        except OSError as error:
            # Too many files or processes, or too little memory, at this moment.
            raise TrainFailed("the training process could not be started; try again later") from error
        self._child = child
        try:
            return await self._talk(child, job)
        finally:
            self._child = None
            if child.returncode is None:
                kill(child)
                await child.wait()

    async def _talk(self, child: Process, job: TrainingJob) -> dict[str, Any]:
        timeout_s = min(self._limits.timeout_s, job.timeout_s or self._limits.timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                output, complaints = await child.communicate(self._header(job) + job.body)
        except TimeoutError:
            raise TrainTimeout(
                f"training was stopped after {timeout_s:g} seconds; use `logitd train` offline"
            ) from None
        if complaints:
            said = complaints.decode(errors="replace").strip()[-MAX_COMPLAINT:]
            log.warning("the training process complained", extra={**job.log_fields, "stderr": said})
        try:
            result = json.loads(output)
        except ValueError:
            if self._is_stopped:
                raise Draining("the service stops, and the training with it; nothing was published") from None
            if confined.NO_MEMORY.search(complaints.decode(errors="replace")):
                raise OutOfMemory(confined.NOT_ENOUGH) from None
            raise TrainFailed(f"the training process ended without a result (exit code {child.returncode})") from None
        if "defect" in result:
            log.error("a defect while training", extra={**job.log_fields, "exception": result["defect"]})
            raise TrainFailed("training met an internal error, which is in the log")
        if "error" in result:
            raise as_error(result["error"])
        answer: dict[str, Any] = result["answer"]
        return answer

    def _header(self, job: TrainingJob) -> bytes:
        header = {
            "store": self._store,
            "trusted": None if self._trusted is None else self._trusted.raw.hex(),
            "is_csv": job.is_csv,
            "parameters": dict(job.parameters),
            "data_sha256": hashlib.sha256(job.body).hexdigest(),
            "max_rows": self._limits.max_rows,
            "max_features": self._limits.max_features,
            "max_cells": self._limits.max_cells,
        }
        return json.dumps(header).encode() + b"\n"


def kill(child: Process) -> None:
    """End a child with everything that it started."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
