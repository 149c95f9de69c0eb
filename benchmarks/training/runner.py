"""Who runs when: shape by shape, the peers in turns, each (peer, shape, round) in a process of its own."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.training import shapes
from benchmarks.training.optimum import optimum
from benchmarks.training.ours import OURS
from benchmarks.training.peer import N_THREADS, Peer

TARGETS = (1e-6, 1e-10)
# A peer so many times slower than the fastest has shown its place in one round.
CLEAR = 5.0
SHORTEST_LIMIT_S = 3.0
# Loading and warming up (numba compiles) come on top of the limit.
START_S = 45.0
PROJECT = Path(__file__).parents[2]
THREADS = {
    f"{library}_NUM_THREADS": str(N_THREADS)
    for library in ("OMP", "OPENBLAS", "MKL", "NUMBA", "NUMEXPR", "VECLIB", "BLIS")
}


@dataclass(frozen=True, slots=True)
class Run:
    """One fit: its tolerance, seconds, peak memory above the data in MiB, and gap relative to the optimum.

    solver and status: who did it, and how it ended, where a peer says so.
    """

    shape: str
    peer: str
    round: int
    tolerance: float
    seconds: float
    peak_mib: float
    gap: float
    solver: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """f at the reference optimum, and how far it is from the minimum relative to f: see ``Optimum``."""

    shape: str
    value: float
    gap: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that was measured.  remarks: (shape, peer) → why a peer has no or few runs there."""

    runs: list[Run]
    references: list[Reference]
    remarks: dict[tuple[str, str], str]

    def to_json(self) -> str:
        """The outcome as text; ``from_json`` reads it back."""
        remarks = [{"shape": shape, "peer": peer, "remark": text} for (shape, peer), text in self.remarks.items()]
        runs, references = [asdict(run) for run in self.runs], [asdict(each) for each in self.references]
        return json.dumps({"references": references, "remarks": remarks, "runs": runs}, indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        """What ``to_json`` wrote."""
        read = json.loads(text)
        remarks = {(each["shape"], each["peer"]): each["remark"] for each in read["remarks"]}
        return cls([Run(**each) for each in read["runs"]], [Reference(**each) for each in read["references"]], remarks)


def measure(outcome: Outcome, name: str, peers: Sequence[Peer], *, rounds: int, limit_s: float) -> None:
    """Measure peers on one shape into the outcome.

    The first round climbs each peer's ladder until the tightest target is reached; later rounds repeat the rungs that
    reached a target, and the rung before each, unless the peer's place is clear.
    """
    for peer in peers:
        if peer.version is None:
            outcome.remarks[name, peer.name] = "missing: not installed"
    _measure_shape(name, [peer for peer in peers if peer.version is not None], outcome, rounds, limit_s)


def _measure_shape(name: str, peers: list[Peer], outcome: Outcome, rounds: int, limit_s: float) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        reference = _reference(name, folder)
        outcome.references.append(reference)
        for number in range(rounds):
            # Every round in another order: what follows a heavy peer finds a warmer machine.
            turn = number % max(len(peers), 1)
            for peer in [*peers[turn:], *peers[:turn]]:
                ladder = first_rungs(peer) if number == 0 else later_rungs(peer, name, outcome.runs)
                if ladder:
                    _measure_peer(peer, number, ladder, folder, reference, limit_s, outcome)


def _reference(name: str, folder: Path) -> Reference:
    """Draw the problem into the folder, and find its optimum."""
    print(f"{name}: drawing the rows and finding the optimum", flush=True)
    best = optimum(shapes.drawn(name, folder).in_memory())
    return Reference(name, best.value, best.gap)


def first_rungs(peer: Peer) -> tuple[float, ...]:
    """Every second decade of a long ladder; later rounds look between."""
    return peer.ladder if len(peer.ladder) <= 3 else peer.ladder[::2]


def later_rungs(peer: Peer, shape: str, runs: list[Run]) -> tuple[float, ...]:
    """The loosest rungs that reached each target, and the rung before each, when the peer is near the fastest."""
    wanted: set[float] = set()
    for target in TARGETS:
        reached = [run for run in runs if run.shape == shape and run.gap <= target]
        mine = [run for run in reached if run.peer == peer.name]
        if not mine or (peer.name != OURS and min(run.seconds for run in mine) > CLEAR * pace(runs, shape, target)):
            continue
        loosest = peer.ladder.index(max(run.tolerance for run in mine))
        wanted.update(peer.ladder[max(loosest - 1, 0) : loosest + 1])
    return tuple(sorted(wanted, reverse=True))


def pace(runs: list[Run], shape: str, target: float) -> float:
    """Seconds of the fastest peer so far, inf for none; the service sets no pace, or its peers would hardly run."""
    return min(
        (run.seconds for run in runs if run.shape == shape and run.gap <= target and run.peer != OURS), default=math.inf
    )


def _measure_peer(
    peer: Peer,
    number: int,
    ladder: tuple[float, ...],
    folder: Path,
    reference: Reference,
    limit_s: float,
    outcome: Outcome,
) -> None:
    if number == 0 and peer.name != OURS:
        limit_s = min(limit_s, max(SHORTEST_LIMIT_S, CLEAR * pace(outcome.runs, reference.shape, TARGETS[-1])))
    words = [str(folder), peer.name, repr(reference.value), str(limit_s), repr(TARGETS[-1]), *map(repr, ladder)]
    lines, ended = spoken([sys.executable, "-m", "benchmarks.training.child", *words], limit_s + START_S)
    for line in lines:
        if "refused" in line:
            outcome.remarks[reference.shape, peer.name] = ("not yet: " if peer.name == OURS else "") + line["refused"]
            return
        run = Run(reference.shape, peer.name, number, **line)
        outcome.runs.append(run)
        print(f"{run.shape} {number} {peer.name} tol {run.tolerance:.0e}: {run.seconds:.4g} s, gap {run.gap:.1e}")
    reached = any(line["gap"] <= TARGETS[-1] for line in lines)
    if ended and not reached and number == 0:
        outcome.remarks[reference.shape, peer.name] = ended.format(limit_s=limit_s)


def spoken(command: list[str], timeout_s: float) -> tuple[list[dict[str, Any]], str]:
    """The lines that a child wrote, and why it ended early, empty when it did not."""
    with subprocess.Popen(
        command, cwd=PROJECT, env={**os.environ, **THREADS}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            written, complaint = child.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            child.kill()
            written, complaint = child.communicate()
    lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
    if child.returncode in {-signal.SIGALRM, -signal.SIGKILL}:
        return lines, "over the limit of {limit_s:.3g} s"
    last = (complaint.strip().splitlines() or [""])[-1][:200].replace("{", "(").replace("}", ")")
    return lines, f"ended with code {child.returncode}: {last}" if child.returncode else ""
