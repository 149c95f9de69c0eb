"""Every kind of fault at every call of every operation, and what each must leave behind."""

from __future__ import annotations

import resource
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hardening.crash.operations import OPERATIONS, Expectation, Operation
from hardening.crash.states import check_writable, observe
from hardening.crash.tracing import CALLS, Fault, Outcome, traced

STORE = "store"
CHANGING = ("openat", "write", "fsync", "ftruncate", "mkdir", "rmdir", "rename", "unlink", "unlinkat", "utimensat")
# What happens, in strace's words, and the calls at which it can happen.
KINDS = {
    "signal=SIGKILL": CALLS,
    "error=EIO": CALLS,
    "error=ENOSPC": CHANGING,
    "error=EROFS": CHANGING,
    "error=EINTR": ("openat", "read", "write", "fsync", "flock"),
    "retval=0": ("write",),  # a write that is short by all of its bytes, and says so
}
# Files of the operations are longer than the last of these: a write stops in the middle of each, for real.
FILE_SIZES = (0, 1, 7, 64, 100, 200, 300, 500, 1000, 1500, 2000)


@dataclass(frozen=True, slots=True)
class Case:
    """One operation with one fault: a call of strace's, or a longest file in bytes."""

    operation: Operation
    fault: Fault | int

    def __str__(self) -> str:
        fault = self.fault if isinstance(self.fault, Fault) else f"no file longer than {self.fault} bytes"
        return f"{self.operation.name}, {fault}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the operation ended, and what is wrong with that or with the store afterwards, if anything."""

    outcome: Outcome
    flaw: str | None = None


class Stage:
    """An operation with a prepared store, from which each case gets a copy."""

    def __init__(self, operation: Operation, folder: Path) -> None:
        self.operation = operation
        self._folder = folder
        self._prepared = folder / "prepared"
        self._prepared.mkdir(parents=True)
        operation.prepare(self._prepared / STORE)
        self.expected = Expectation.of(operation, self._prepared / STORE, self._copy())

    def cases(self) -> Iterator[Case]:
        """Every kind of fault at every call at which it can happen, and every size of file."""
        outcome, calls = traced(partial(self.operation.run, self._copy()), self._folder / "log")
        if outcome != "acknowledged":
            raise RuntimeError(f"{self.operation.name} fails without a fault")
        for how, chosen in KINDS.items():
            for call in chosen:
                # The first read is that of the word to begin.
                for at in range(1 + (call == "read"), calls[call] + 1):
                    yield Case(self.operation, Fault(call, how, at))
        yield from (Case(self.operation, size) for size in FILE_SIZES)

    def run(self, case: Case) -> Verdict:
        """The case on a fresh copy: a reader must find the state before or after, and a later writer must succeed."""
        store = self._copy()
        fault = case.fault if isinstance(case.fault, Fault) else None
        work = partial(self.operation.run, store) if fault else partial(self._cramped, store, case.fault)
        outcome, _ = traced(work, self._folder / "log", fault)
        try:
            flaw = self._flaw(store, outcome)
        except Exception as error:  # noqa: BLE001 — whatever it is, it is the flaw
            flaw = f"{type(error).__name__}: {error}"
        return Verdict(outcome, flaw)

    def _cramped(self, store: Path, size: object) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(str(size)), resource.RLIM_INFINITY))
        self.operation.run(store)

    def _flaw(self, store: Path, outcome: Outcome) -> str | None:
        if outcome == "broken":
            return "it ended with an error that is neither StoreFull nor StoreUnavailable"
        found = observe(store)
        if found not in {self.expected.before, self.expected.after}:
            return f"a reader finds neither the state before nor the one after: {found}"
        if outcome == "acknowledged" and found != self.expected.after:
            return "it was acknowledged, and a reader finds the state before"
        if self.operation.resumes:
            self.operation.run(store)
            if observe(store) != self.expected.after:
                return "the next call does not finish what was begun"
        check_writable(store)
        return None

    def _copy(self) -> Path:
        place = self._folder / "case"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self._prepared, place)
        return place / STORE


def run_all(folder: Path, *, every: int = 1) -> tuple[Counter[Outcome], list[str]]:
    """Every case, or every ``every``-th one, in ``folder``: how they ended, and a line for each that failed."""
    outcomes: Counter[Outcome] = Counter()
    failures: list[str] = []
    index = 0
    for number, operation in enumerate(OPERATIONS):
        stage = Stage(operation, folder / str(number))
        for case in stage.cases():
            index += 1
            if index % every:
                continue
            verdict = stage.run(case)
            outcomes[verdict.outcome] += 1
            if verdict.flaw:
                failures.append(f"{case}: {verdict.outcome}; {verdict.flaw}")
    return outcomes, failures
