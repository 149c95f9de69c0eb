"""A process that reads the live version without pause, as a service and as a newcomer would."""

from __future__ import annotations

import json
import os
import select
from pathlib import Path
from types import TracebackType
from typing import Self

from hardening.crash.versions import NAME, check_whole
from service.errors import VersionNotFound
from service.serving.registry import ModelRegistry, Reload
from service.store.model_store import ModelStore
from service.store.names import LIVE, ModelRef


class Reader:
    """A fork that reads from entry to exit.

    answers: how many intact live versions it got.  complaints: why it stopped before the exit, or nothing.
    """

    def __init__(self, root: Path) -> None:
        self.answers = 0
        self.complaints: list[str] = []
        stopped, self._stop = os.pipe()
        self._report, says = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(self._stop)
            _read_until(stopped, root, says)
        os.close(stopped)
        os.close(says)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._stop)
        with os.fdopen(self._report) as report:
            self.answers, self.complaints = json.loads(report.read() or '[0, ["the reader died"]]')
        os.waitpid(self._child, 0)


def _read_until(stopped: int, root: Path, says: int) -> None:
    """Read until the other end of ``stopped`` is closed, then report on ``says``; never returns."""
    answers, complaints = 0, list[str]()
    store = ModelStore(root)
    reloads: list[Reload] = []
    registry = ModelRegistry(store, NAME, on_reload=reloads.append)
    try:
        while not select.select([stopped], [], [], 0)[0]:
            check_whole(registry.resolve(ModelRef(NAME)))
            _read_afresh(store)
            answers += 2
        complaints += [f"a reload failed after {n} others, and nothing is damaged" for n in _failed(reloads)]
    except Exception as error:  # noqa: BLE001 — whatever it is, it is the complaint
        complaints.append(f"the reader after {answers} answers: {type(error).__name__}: {error}")
    finally:
        os.write(says, json.dumps([answers, complaints]).encode())
        os._exit(0)


def _failed(reloads: list[Reload]) -> list[int]:
    return [number for number, reload in enumerate(reloads) if reload is Reload.FAILED]


def _read_afresh(store: ModelStore) -> None:
    """Load what ``live`` points to; it may be deleted meanwhile only where ``live`` has moved on."""
    while True:
        stamp = store.stamp(NAME)
        try:
            return check_whole(store.load(NAME, store.aliases(NAME)[LIVE].version))
        except VersionNotFound:
            if store.stamp(NAME) == stamp:
                raise
