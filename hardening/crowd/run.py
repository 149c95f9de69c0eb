"""The same traffic three times: alone, beside the crowd, and alone again."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hardening.crowd.loiterers import loiter
from hardening.load import generator
from hardening.load.answers import post
from hardening.load.generator import Outcome, Plan
from hardening.load.models import COLUMNS, SMALL, rows
from hardening.load.processes import look_at
from hardening.load.service import Service
from hardening.load.watching import LOOK_S, watching

WARM_S = 1.0
# For the crowd to come, and for the service to close what the crowd left.
COME_S, REST_S = 60.0, 10.0
# The p99 of the same traffic varies from one half minute to the next.
MOST_TIMES, MOST_MORE_MS = 2.0, 2.0
LEAST_CROWD = 0.9
SLACK_DESCRIPTORS = 4


@dataclass(frozen=True, slots=True)
class Size:
    """Of the crowd."""

    half_open: int = 500
    trickling: int = 500

    @property
    def total(self) -> int:
        return self.half_open + self.trickling


@dataclass(frozen=True, slots=True)
class Crowded:
    """The traffic, the descriptors of the service before, at most and after, and what it did to the crowd."""

    size: Size
    alone: Outcome
    beside: Outcome
    alone_again: Outcome
    before: int
    most: int
    after: int
    closed: dict[tuple[str, str], int]

    @property
    def times(self) -> float:
        """The p99 beside the crowd in ratio to that without it."""
        return self.beside.took_ms("200", 0.99) / self.alone_ms

    @property
    def alone_ms(self) -> float:
        """The p99 without the crowd, of the slower time: what else the machine does comes and goes."""
        return max(outcome.took_ms("200", 0.99) for outcome in (self.alone, self.alone_again))

    def parts(self) -> dict[str, Outcome]:
        """The three by name."""
        return {"alone": self.alone, "beside the crowd": self.beside, "alone again": self.alone_again}

    def findings(self) -> list[str]:
        """A line for each thing that is out of bounds."""
        lines = [
            f"{name}: {n} requests came to {label}"
            for name, outcome in self.parts().items()
            for label, n in outcome.counts().items()
            if label != "200"
        ]
        beside = self.beside.took_ms("200", 0.99)
        if not beside <= MOST_TIMES * self.alone_ms + MOST_MORE_MS:
            lines.append(f"p99 is {beside:.1f} ms beside the crowd, and {self.alone_ms:.1f} ms without it")
        if self.most - self.before < LEAST_CROWD * self.size.total:
            lines.append(f"the crowd was never there: {self.most - self.before} of {self.size.total} connections")
        if self.after > self.before + SLACK_DESCRIPTORS:
            lines.append(f"the service holds {self.after} descriptors, and held {self.before} before the crowd came")
        if refused := sum(n for (_, label), n in self.closed.items() if label == "refused"):
            lines.append(f"{refused} connections of the crowd were refused")
        return lines


def crowded(service: Service, size: Size, rate: float, seconds: float) -> Crowded:
    """Each of the three for so many seconds.  Raises OSError when nobody listens."""
    wire = post(f"/predict?model={SMALL}", json.dumps({"instances": rows(1, COLUMNS[SMALL])}).encode())
    generator.run(Plan(service.port, wire, rate, WARM_S))
    time.sleep(LOOK_S)
    before = _descriptors(service)
    alone = generator.run(Plan(service.port, wire, rate, seconds))
    with watching(lambda: _descriptors(service)) as seen, _crowd(service.port, size) as closed:
        beside = generator.run(Plan(service.port, wire, rate, seconds))
    after = _at_rest(service, before)
    alone_again = generator.run(Plan(service.port, wire, rate, seconds))
    return Crowded(size, alone, beside, alone_again, before, max(seen), after, dict(closed))


@contextmanager
def _crowd(port: int, size: Size) -> Iterator[Counter[tuple[str, str]]]:
    """The crowd, all of it there at first; what is yielded is filled at the end."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=loiter, args=(theirs, port, size.half_open, size.trickling), daemon=True)
    process.start()
    closed: Counter[tuple[str, str]] = Counter()
    try:
        if ours.poll(COME_S):
            ours.recv()
        yield closed
        ours.send("leave")
        closed.update(ours.recv())
    finally:
        process.join(REST_S)
        process.kill()


def _at_rest(service: Service, before: int) -> int:
    """The descriptors once they are as before, or after a while."""
    given_up = time.monotonic() + REST_S
    while (count := _descriptors(service)) > before and time.monotonic() < given_up:
        time.sleep(LOOK_S)
    return count


def _descriptors(service: Service) -> int:
    return sum(look.n_descriptors for look in look_at(service.pid))
