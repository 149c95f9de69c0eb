"""One soak: the service, its clients, what is done to it, and a look at everything once a second."""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from hardening.load.models import SMALL, store_with_models
from hardening.load.processes import OTHER, Look, look_at, run_directories
from hardening.load.service import COMMAND, Service, serving
from hardening.soak.clients import drive
from hardening.soak.disturbances import Disturbances, timetable
from hardening.soak.leftovers import findings_in
from hardening.soak.lives import Lives, findings_at_rest
from hardening.soak.tally import Tally

LOOK_S, NEWS_S = 1.0, 10.0
# For connections to be closed, and for a worker that was just replaced to end.
REST_S = 15.0
JOIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Plan:
    """workers: of the service.  plant: a defect to put in, or nothing.

    samples, log: files to which is added what is seen each second, and what the service says.
    """

    seconds: float
    workers: int
    n_clients: int = 2
    plant: str | None = None
    samples: Path | None = None
    log: Path | None = None

    @property
    def command(self) -> tuple[str, ...]:
        """What starts the service."""
        return COMMAND if self.plant is None else (sys.executable, "-m", "hardening.soak.planted", self.plant)


@dataclass(slots=True)
class Evidence:
    """All that was seen.  before, after: the processes at rest.  exit_code: of the service at SIGTERM."""

    tally: Tally = field(default_factory=Tally)
    lives: Lives = field(default_factory=Lives)
    kills: list[float] = field(default_factory=list)
    hangups: list[float] = field(default_factory=list)
    before: list[Look] = field(default_factory=list)
    after: list[Look] = field(default_factory=list)
    exit_code: int = 0
    complaints: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)

    def findings(self) -> list[str]:
        """A line for everything that is out of bounds."""
        lines = [*self.tally.findings(self.kills), *self.lives.findings(), *findings_at_rest(self.before, self.after)]
        if self.exit_code != 0:
            lines.append(f"the service ended with exit code {self.exit_code}")
        if self.complaints:
            lines.append(f"{len(self.complaints)} errors in the log, the first: {self.complaints[0][:300]}")
        return [*lines, *self.leftovers]


def soak(plan: Plan, folder: Path) -> Evidence:
    """Run it in an empty folder.  Raises NotServing when the service does not start or does not end."""
    store, scratch = store_with_models(folder), folder / "scratch"
    scratch.mkdir()
    evidence = Evidence()
    with serving(
        store,
        command=plan.command,
        workers=plan.workers,
        LOGITD_DEFAULT_MODEL=SMALL,
        TMPDIR=str(scratch),
    ) as service:
        evidence.before = look_at(service.pid)
        shared = run_directories(service.pid)
        with _clients(service.port, plan.n_clients) as pipes:
            _watch(plan, service, pipes, evidence)
        evidence.after = _rest(service, evidence.before)
        evidence.exit_code = service.stop()
        evidence.complaints = service.complaints()
        if plan.log is not None:
            with plan.log.open("ab") as kept:
                kept.write(service.log.read_bytes())
    evidence.leftovers = findings_in(store, shared, scratch, evidence.kills)
    return evidence


@contextmanager
def _clients(port: int, count: int) -> Iterator[list[Connection]]:
    """Processes of clients that have begun; the pipes bring what they count.  At the end they have stopped."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for number in range(count):
        ours, theirs = context.Pipe()
        process = context.Process(
            target=drive, args=(theirs, port, 1000 * number), kwargs={"is_writer": number == 0}, daemon=True
        )
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    try:
        for pipe in pipes:
            pipe.poll(JOIN_S)
        yield pipes
    finally:
        for process in processes:
            process.join(JOIN_S)


def _watch(plan: Plan, service: Service, pipes: Sequence[Connection], evidence: Evidence) -> None:
    """Look at everything each second until the time is over; then stop the clients and hear their last words."""
    disturbances = Disturbances(service.pid, timetable(plan.seconds, plan.workers))
    evidence.kills, evidence.hangups = disturbances.kills, disturbances.hangups
    start, news_at = time.monotonic(), NEWS_S
    while (elapsed := time.monotonic() - start) < plan.seconds and service.process.poll() is None:
        heard = _hear(pipes)
        evidence.tally.merge(heard)
        looks = look_at(service.pid)
        evidence.lives.add(elapsed, looks)
        _keep(plan.samples, elapsed, heard, looks)
        disturbances.act(elapsed)
        if elapsed >= news_at:
            print(_news(elapsed, evidence.tally, looks), flush=True)
            news_at += NEWS_S
        time.sleep(max(0.0, start + elapsed + LOOK_S - time.monotonic()))
    for pipe in pipes:
        pipe.send("stop")
    for pipe in pipes:
        evidence.tally.merge(_last_words(pipe))


def _hear(pipes: Sequence[Connection]) -> Tally:
    """What the clients counted since the last time."""
    heard = Tally()
    for pipe in pipes:
        with suppress(EOFError):
            while pipe.poll():
                heard.merge(pipe.recv())
    return heard


def _last_words(pipe: Connection) -> Tally:
    """All that comes until the clients close the pipe."""
    heard = Tally()
    with suppress(EOFError):
        while pipe.poll(JOIN_S):
            heard.merge(pipe.recv())
    return heard


def _rest(service: Service, before: Sequence[Look]) -> list[Look]:
    """The processes once they are at rest, or as they are when they will not be."""
    given_up = time.monotonic() + REST_S
    while True:
        looks = look_at(service.pid)
        is_at_rest = len(looks) == len(before) and not findings_at_rest(before, looks)
        if is_at_rest or time.monotonic() > given_up:
            return looks
        time.sleep(0.1)


def _keep(samples: Path | None, elapsed: float, heard: Tally, looks: Sequence[Look]) -> None:
    """A line of JSON: what was answered in this second, and each process."""
    if samples is None:
        return
    outcomes = {f"{kind}: {label}": count for (kind, label), count in sorted(heard.counts.items())}
    processes = [[look.pid, look.role, look.rss_kib, look.n_descriptors, look.n_threads] for look in looks]
    with samples.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"at": round(elapsed, 2), "outcomes": outcomes, "processes": processes}) + "\n")


def _news(elapsed: float, tally: Tally, looks: Sequence[Look]) -> str:
    classes = ", ".join(f"{count} {name}" for name, count in tally.by_class().items())
    sizes = ", ".join(f"{look.rss_kib / 1024:.0f} MiB" for look in looks if look.role != OTHER)
    return f"  {elapsed:4.0f} s: {classes}, {tally.n_odd} odd; {sizes}"
