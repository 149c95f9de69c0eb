"""``TrainingSlot``: one training at a time, over all workers of a service; and the answers that it gave."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from service.errors import TrainerBusy, TrainInProgress

LOCK = "training.lock"
ANSWERS = "answers"
MAX_REMEMBERED_ANSWERS = 1000
DIGEST_BYTES = 64

# SHA-256 of the request, and what was answered.
Remembered: TypeAlias = tuple[str, dict[str, Any]]


class TrainingSlot:
    """Taken by one training at a time.

    run_directory: what the workers of one service share; None when this process is the service.  There the slot is a
    lock (``flock``) that dies with its holders: this process, and the child that it is handed on to.
    """

    def __init__(self, run_directory: Path | None) -> None:
        self._lock = None if run_directory is None else run_directory / LOCK
        self._current: bytes | None = None

    @contextmanager
    def taken(self, model: str) -> Iterator[tuple[int, ...]]:
        """Hold the slot for a training of ``model``; yields the file descriptors that keep it taken.

        Raises TrainInProgress when the same model is trained, TrainerBusy when it is another one.
        """
        wanted = _digest(model)
        if self._current is not None:
            raise _refusal(self._current, wanted)
        self._current = wanted
        try:
            with self._locked(wanted) as descriptors:
                yield descriptors
        finally:
            self._current = None

    @contextmanager
    def _locked(self, wanted: bytes) -> Iterator[tuple[int, ...]]:
        if self._lock is None:
            yield ()
            return
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                # Its holder wrote down what it trains.
                raise _refusal(os.pread(descriptor, DIGEST_BYTES, 0), wanted) from None
            os.pwrite(descriptor, wanted, 0)
            yield (descriptor,)
        finally:
            os.close(descriptor)


def _refusal(current: bytes, wanted: bytes) -> TrainInProgress | TrainerBusy:
    if current == wanted:
        return TrainInProgress("this model is being trained at this moment; wait for it to end")
    return TrainerBusy("another model is being trained, and one training runs at a time")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest().encode()


class Answers:
    """The newest answers by idempotency key, at most 1000: in memory, or as files that the workers share.

    Only who holds the slot remembers, so that there is one writer.
    """

    def __init__(self, run_directory: Path | None) -> None:
        self._folder = None if run_directory is None else run_directory / ANSWERS
        self._in_memory: OrderedDict[str, Remembered] = OrderedDict()

    def get(self, key: str) -> Remembered | None:
        """What was remembered under the key."""
        if self._folder is None:
            return self._in_memory.get(key)
        try:
            digest, answer = json.loads((self._folder / _digest(key).decode()).read_bytes())
        except FileNotFoundError:
            return None
        return digest, answer

    def remember(self, key: str, digest: str, answer: dict[str, Any]) -> None:
        """Keep an answer, and let go of the oldest beyond the bound."""
        if self._folder is None:
            self._in_memory[key] = digest, answer
            if len(self._in_memory) > MAX_REMEMBERED_ANSWERS:
                self._in_memory.popitem(last=False)
            return
        self._folder.mkdir(mode=0o700, exist_ok=True)
        known = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        for path in known[: max(0, len(known) + 1 - MAX_REMEMBERED_ANSWERS)]:
            path.unlink()
        # By a rename, so that no reader sees half of it.
        new = self._folder.with_suffix(".new")
        new.write_text(json.dumps([digest, answer]), encoding="utf-8")
        new.rename(self._folder / _digest(key).decode())
