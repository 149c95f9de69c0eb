"""Restarting two instances in turn while requests go to them at a steady rate."""

from __future__ import annotations

import itertools
import json
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.serving.server import free_ports
from hardening.load import generator
from hardening.load.answers import post
from hardening.load.generator import Outcome, Plan
from hardening.load.models import COLUMNS, SMALL, rows
from hardening.load.service import NotServing, Service, end, start
from hardening.restarts.balancer import Balancer, Instance

N_INSTANCES = 2
READY_S = 60.0
LOOK_S = 0.01
# Before the first restart and after the last, and between two: both take requests.
STEADY_S, BETWEEN_S = 1.0, 0.2
FOREVER_S = 1e6


@dataclass(frozen=True, slots=True)
class Restart:
    """Seconds from SIGTERM to the exit, from the start to being ready; and the exit code."""

    stop_s: float
    start_s: float
    exit_code: int


@dataclass(slots=True)
class Rolled:
    """What came of it.  events: what the balancer had to do besides forwarding."""

    offered: Outcome = field(default_factory=lambda: Outcome(0.0))
    restarts: list[Restart] = field(default_factory=list)
    events: dict[str, int] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    def findings(self) -> list[str]:
        """A line for each thing that is not as it must be."""
        lines = [f"{n} requests came to {label}" for label, n in self.offered.counts().items() if label != "200"]
        lines += [
            f"restart {number} ended with exit code {restart.exit_code}"
            for number, restart in enumerate(self.restarts, 1)
            if restart.exit_code != 0
        ]
        if not self.offered.count("200"):
            lines.append("nothing was answered")
        if self.complaints:
            lines.append(f"{len(self.complaints)} errors in the logs, the first: {self.complaints[0][:300]}")
        return lines


def roll(store: Path, count: int, rate: float, workers: int) -> Rolled:
    """Restart ``count`` times under so many requests a second.  Raises NotServing."""
    wire = post(f"/predict?model={SMALL}", json.dumps({"instances": rows(1, COLUMNS[SMALL])}).encode())
    rolled, ports = Rolled(), free_ports(N_INSTANCES)
    with Balancer(ports) as balancer, _instances(store, ports, workers) as services:
        for instance in balancer.instances:
            _wait_until_ready(instance, since=0.0)
        with _offering(Plan(balancer.port, wire, rate, FOREVER_S), rolled):
            time.sleep(STEADY_S)
            for number in itertools.islice(itertools.cycle(range(N_INSTANCES)), count):
                rolled.restarts.append(_restart(services, number, balancer.instances[number], store, workers))
                time.sleep(BETWEEN_S)
            time.sleep(STEADY_S)
        rolled.events = dict(balancer.events)
        rolled.complaints += [line for service in services for line in service.complaints()]
    return rolled


@contextmanager
def _instances(store: Path, ports: tuple[int, ...], workers: int) -> Iterator[list[Service]]:
    """The services; each is replaced in the list when it is restarted, and those that are in it at the end are ended."""
    services: list[Service] = []
    with ExitStack() as stack:
        for number, port in enumerate(ports):
            services.append(_started(store, port, workers))
            stack.callback(_end, services, number)
        yield services


def _end(services: list[Service], number: int) -> None:
    """Whichever is in this place by then."""
    end(services[number])


def _started(store: Path, port: int, workers: int) -> Service:
    return start(store, workers=workers, port=port, LOGITD_DEFAULT_MODEL=SMALL)


@contextmanager
def _offering(plan: Plan, rolled: Rolled) -> Iterator[None]:
    """Requests in a thread, until the end of the block."""
    stopped = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        offered = pool.submit(generator.run, plan, stopped.is_set)
        try:
            yield
        finally:
            stopped.set()
            rolled.offered = offered.result()


def _restart(services: list[Service], number: int, instance: Instance, store: Path, workers: int) -> Restart:
    began = time.monotonic()
    services[number].process.send_signal(signal.SIGTERM)
    exit_code = services[number].process.wait()
    ended = time.monotonic()
    services[number] = _started(store, instance.port, workers)
    _wait_until_ready(instance, since=ended)
    return Restart(ended - began, time.monotonic() - ended, exit_code)


def _wait_until_ready(instance: Instance, since: float) -> None:
    """Wait until the balancer has found it ready; raises NotServing."""
    given_up = time.monotonic() + READY_S
    while instance.ready_since is None or instance.ready_since < since:
        if time.monotonic() > given_up:
            raise NotServing(f"the instance on port {instance.port} was not ready after {READY_S:g} s")
        time.sleep(LOOK_S)
