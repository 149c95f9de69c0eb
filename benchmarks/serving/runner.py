"""Who runs when: in each round, shape by shape, the peers in turns, each turn with a server of its own."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.serving.closed_loop import closed_loop
from benchmarks.serving.environment import ROOT, Environment, NotInstalled, installed
from benchmarks.serving.memory import tree_mib
from benchmarks.serving.open_loop import OpenLoop, open_loop
from benchmarks.serving.peer import Peer, Place
from benchmarks.serving.pinning import LOAD_CPU, on_cpu
from benchmarks.serving.server import HOST, NotServing, Running, free_ports, serving
from benchmarks.serving.shapes import Shape

# Ports of a place: MLServer listens on three.
N_PORTS = 3
# Between the first answer and the look at the idle memory.
SETTLE_S = 0.5
# Latency is measured on this shape, at rates of which a peer's throughput leaves a margin.
LATENCY_SHAPE = "1x30"
LARGEST_LOAD = 0.9
# What ends a turn without a figure; anything else is a mistake of the benchmark.
FAILURES = (NotServing, subprocess.CalledProcessError, OSError)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each part of a turn takes in seconds, and the rates of the open loop."""

    rounds: int
    warm_s: int
    seconds: int
    rates: tuple[float, ...]
    latency_s: float


@dataclass(frozen=True, slots=True)
class Installation:
    """What is measured of a peer once: version, MiB of its packages, largest difference of its probabilities from ours."""

    peer: str
    version: str
    mib: float
    difference: float


@dataclass(frozen=True, slots=True)
class Turn:
    """One server on one shape in one round: answers a second, cold start, idle memory, latencies at fixed rates."""

    round: int
    shape: str
    peer: str
    requests_per_s: float
    failed: int
    cold_start_s: float
    idle_mib: float
    latencies: tuple[OpenLoop, ...]


@dataclass(frozen=True, slots=True)
class Remark:
    """Why a peer has no figures on a shape, or on none when the shape is empty."""

    peer: str
    shape: str
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that was measured.  facts: machine and settings."""

    facts: dict[str, str] = field(default_factory=dict)
    installations: list[Installation] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    def refused(self, peer: str, shape: str) -> bool:
        """Whether there is a reason why a peer has no figures on a shape."""
        return any(remark.peer == peer and remark.shape in {"", shape} for remark in self.remarks)

    def remark(self, peer: str, shape: str, error: Exception) -> None:
        """Keep the last line of an error as the reason."""
        said = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
        text = (said.strip().splitlines() or [type(error).__name__])[-1][:300]
        self.remarks.append(Remark(peer, shape, text))
        print(f"{peer} {shape}: {text}", flush=True)

    def to_json(self) -> str:
        """The outcome as text; ``from_json`` reads it back."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        """What ``to_json`` wrote."""
        read = json.loads(text)
        turns = [
            Turn(**{**each, "latencies": tuple(OpenLoop(**one) for one in each["latencies"])}) for each in read["turns"]
        ]
        installations = [Installation(**each) for each in read["installations"]]
        return cls(read["facts"], installations, turns, [Remark(**each) for each in read["remarks"]])


def install(outcome: Outcome, peers: Sequence[Peer], root: Path = ROOT) -> dict[str, Environment]:
    """The environments of peers by name; a peer without one has a remark."""
    environments = {}
    for peer in peers:
        try:
            environments[peer.name] = installed(peer.environment or peer.name, peer.installs, root)
        except NotInstalled as error:
            outcome.remark(peer.name, "", error)
    return environments


def measure(
    outcome: Outcome,
    peers: Sequence[Peer],
    shapes: Sequence[Shape],
    plan: Plan,
    environments: dict[str, Environment],
    after_round: Callable[[], None] = lambda: None,
) -> None:
    """Check that all peers give the same probabilities, then measure them in turns, into the outcome."""
    with tempfile.TemporaryDirectory() as scratch, on_cpu(LOAD_CPU):
        bench = _Bench(outcome, plan, environments, Path(scratch))
        for peer in peers:
            if peer.name in environments:
                bench.check(peer, [shape for shape in shapes if takes(peer, shape)])
        for number in range(plan.rounds):
            for shape in shapes:
                there = [peer for peer in peers if takes(peer, shape) and not outcome.refused(peer.name, shape.name)]
                # Every round in another order: what follows a heavy peer finds a warmer machine.
                turn = number % max(len(there), 1)
                for peer in [*there[turn:], *there[:turn]]:
                    bench.turn(number, peer, shape)
            after_round()


def takes(peer: Peer, shape: Shape) -> bool:
    """Whether a peer is measured on a shape."""
    return not peer.only or shape.name in peer.only


@dataclass(frozen=True, slots=True)
class _Bench:
    outcome: Outcome
    plan: Plan
    environments: dict[str, Environment]
    scratch: Path

    def check(self, peer: Peer, shapes: Sequence[Shape]) -> None:
        """Start the server for each shape and hold its answer against the model's; what fails is remarked.

        It is also the start that compiles bytecode and warms the page cache, which no timed start has to.
        """
        differences = []
        for shape in shapes:
            place = self._place(peer, shape)
            try:
                peer.prepare(place)
                with serving(peer, place) as running:
                    differences.append(running.difference)
            except FAILURES as error:
                self.outcome.remark(peer.name, shape.name, error)
        if differences:
            environment = self.environments[peer.name]
            version = environment.version(peer.package)
            self.outcome.installations.append(Installation(peer.name, version, environment.mib(), max(differences)))
            print(f"{peer.name} {version}: probabilities within {max(differences):.1e}", flush=True)

    def turn(self, number: int, peer: Peer, shape: Shape) -> None:
        """One server from its start to its end."""
        place = self._place(peer, shape)
        try:
            with serving(peer, place) as running:
                found = self._measured(number, peer, place, running)
        except FAILURES as error:
            self.outcome.remark(peer.name, shape.name, error)
            return
        self.outcome.turns.append(found)
        tails = ", ".join(f"p99 {each.p99_ms:.3g} ms at {each.rate:g}/s" for each in found.latencies)
        print(f"round {number} {shape.name} {peer.name}: {found.requests_per_s:.0f}/s {tails}", flush=True)

    def _measured(self, number: int, peer: Peer, place: Place, running: Running) -> Turn:
        time.sleep(SETTLE_S)
        idle_mib = tree_mib(running.pid)
        body, file, shape = peer.request(place.shape.rows()), place.folder / "body.json", place.shape
        file.write_bytes(body)
        for seconds in (self.plan.warm_s, self.plan.seconds):
            found = closed_loop(running.port, peer.path, file, connections=shape.connections, seconds=seconds)
        rates = self.plan.rates if shape.name == LATENCY_SHAPE else ()
        latencies = tuple(
            open_loop((HOST, running.port), peer.path, body, rate=rate, seconds=self.plan.latency_s)
            for rate in rates
            if rate <= LARGEST_LOAD * found.requests_per_s
        )
        return Turn(
            round=number,
            shape=shape.name,
            peer=peer.name,
            requests_per_s=found.requests_per_s,
            failed=found.failed,
            cold_start_s=running.cold_start_s,
            idle_mib=idle_mib,
            latencies=latencies,
        )

    def _place(self, peer: Peer, shape: Shape) -> Place:
        folder = self.scratch / peer.name / shape.name
        folder.mkdir(parents=True, exist_ok=True)
        return Place(self.environments[peer.name], folder, free_ports(N_PORTS), shape)
