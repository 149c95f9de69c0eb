"""One overload: the peak in a closed loop, then a multiple of it in an open one, with probes beside it.

Goodput is measured once more after that, in turns: the speed of a machine that others use changes for seconds by more than
what a service may lose, and the turns tell what is the machine's.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.serving.pinning import LOAD_CPU
from hardening.load import generator
from hardening.load.answers import post, request
from hardening.load.generator import Outcome, Plan
from hardening.load.models import COLUMNS, SMALL
from hardening.load.probe import Probe, Probed, back_to_normal_s, p99_ms
from hardening.load.processes import look_at
from hardening.load.service import Service
from hardening.load.watching import watching
from hardening.overload.kinds import Kind

# How many connections keep it busy differs: it is measured with the best of these.
CONNECTIONS = (2, 4, 16)
QUIET_S, AFTER_S, GRACE_S = 3.0, 6.0, 10.0
# Of one turn under load, of the service's rest after it (see ``InlineWork``), and of the closed loop then.
TURN_S, REST_S, PEAK_TURN_S = 3.0, 0.75, 2.0
LIVEZ_PAUSE_S, NORMAL_PAUSE_S = 0.05, 0.05
PATIENCE_S = 5.0
# What a normal request takes varies: so many times its p99 in quiet, and the scheduler's milliseconds, are normal still.
NORMAL_TIMES, NORMAL_MORE_MS = 2.0, 5.0


@dataclass(frozen=True, slots=True)
class Turn:
    """Some seconds of overload.

    peak: answers a second in the closed loops before and after it, on average.  rate: of requests, as planned.
    """

    peak: float
    rate: float
    offered: Outcome

    @property
    def goodput(self) -> float:
        """Answers with 200 in ratio to the peak."""
        return self.offered.rate("200") / self.peak


@dataclass(frozen=True, slots=True)
class Overload:
    """What was measured.

    peaks: answers a second, closed loop, before and after.  livez: the probes under load.  growth_mib: of the service's
    memory at most, beyond what it had after the peak.  back_s: until a normal request takes its normal time again.
    turns: more of the same load, in pieces.
    """

    kind: Kind
    peaks: tuple[float, float]
    rate: float
    offered: Outcome
    livez: list[Probed]
    growth_mib: float
    quiet_ms: float
    back_s: float
    turns: list[Turn]

    @property
    def goodput(self) -> float:
        """Answers with 200 in ratio to the higher of the two peaks."""
        return self.offered.rate("200") / max(self.peaks)

    @property
    def goodput_in_turns(self) -> float:
        """The median over the turns."""
        return statistics.median(turn.goodput for turn in self.turns)


def overload(service: Service, kind: Kind, seconds: float, loop_s: float) -> Overload:
    """Load it with one kind of request.

    seconds: of the load, and of both peaks together.  loop_s: of each closed loop that the best is chosen by.  Raises OSError
    when nobody listens.
    """
    normal = post(f"/predict?model={SMALL}", b"[[%s]]" % b",".join([b"0.5"] * COLUMNS[SMALL]))
    with _generators() as generators:
        _, best = max((_peak(generators, service, kind, n, loop_s), n) for n in CONNECTIONS)
        # Anew, and with the one afterwards as long as the load: the best of some short ones is too high as a rule, by what
        # the machine did for it.
        peak = _peak(generators, service, kind, best, seconds / 2)
        time.sleep(1.0)
        plan = Plan(service.port, kind.request, kind.times * peak, seconds, grace_s=GRACE_S)
        with (
            watching(lambda: _mib(service)) as mib,
            Probe(service.port, request("GET", "/livez"), LIVEZ_PAUSE_S, PATIENCE_S) as livez,
        ):
            with Probe(service.port, normal, NORMAL_PAUSE_S, PATIENCE_S) as before:
                time.sleep(QUIET_S)
            began = time.monotonic()
            offering = _offer(generators, plan)
            time.sleep(seconds)
            ended = time.monotonic()
            with Probe(service.port, normal, NORMAL_PAUSE_S, PATIENCE_S) as after:
                time.sleep(AFTER_S)
            offered = offering.result()
        peaks = peak, _peak(generators, service, kind, best, seconds / 2)
        quiet = p99_ms(before.seen)
        back = back_to_normal_s(after.seen, ended, NORMAL_TIMES * quiet + NORMAL_MORE_MS)
        under_load = [one for one in livez.seen if began <= one.at <= ended]
        turns = list(_turns(generators, service, kind, best, max(1, round(seconds / TURN_S))))
        return Overload(kind, peaks, plan.rate, offered, under_load, max(mib) - mib[0], quiet, back, turns)


def _turns(
    generators: ProcessPoolExecutor, service: Service, kind: Kind, connections: int, n_turns: int
) -> Iterator[Turn]:
    before = _peak(generators, service, kind, connections, PEAK_TURN_S)
    for _ in range(n_turns):
        plan = Plan(service.port, kind.request, kind.times * before, TURN_S, grace_s=GRACE_S)
        offered = _offer(generators, plan).result()
        time.sleep(REST_S)
        after = _peak(generators, service, kind, connections, PEAK_TURN_S)
        yield Turn((before + after) / 2, plan.rate, offered)
        before = after


def _offer(generators: ProcessPoolExecutor, plan: Plan) -> Future[Outcome]:
    return generators.submit(generator.run, plan)


def _peak(generators: ProcessPoolExecutor, service: Service, kind: Kind, connections: int, seconds: float) -> float:
    """Answers a second when a number of clients wait for each other's."""
    plan = Plan(service.port, kind.request, rate=0, seconds=seconds, max_connections=connections)
    return _offer(generators, plan).result().rate("200")


@contextmanager
def _generators() -> Iterator[ProcessPoolExecutor]:
    """A process on the load's CPU, that has started."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=os.sched_setaffinity, initargs=(0, {LOAD_CPU})) as pool:
        pool.submit(os.getpid).result()
        yield pool


def _mib(service: Service) -> float:
    return sum(look.rss_kib for look in look_at(service.pid)) / 1024
