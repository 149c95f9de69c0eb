"""What was found, for people: medians and spread, ratios to the best peer at equal gap, in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from benchmarks.training.ours import OURS
from benchmarks.training.peers import PEERS
from benchmarks.training.runner import TARGETS, Outcome, Run
from benchmarks.training.shapes import SHAPES

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Reached:
    """The fastest tolerance of a peer whose every run reached a gap: seconds (median, low, high) and peak MiB."""

    peer: str
    tolerance: float
    seconds: float
    low: float
    high: float
    rounds: int
    peak_mib: float

    def __str__(self) -> str:
        spread = f" ({duration(self.low)} … {duration(self.high)})" if self.rounds > 1 else ""
        return duration(self.seconds) + spread


def reached(runs: Iterable[Run], target: float) -> Reached | None:
    """How one peer on one shape reached a gap, or None when it did not.

    Only tolerances measured in all rounds but one at most are compared: a single quick run is luck.
    """
    by_tolerance: dict[float, list[Run]] = {}
    for run in runs:
        by_tolerance.setdefault(run.tolerance, []).append(run)
    good = [_summary(group) for group in by_tolerance.values() if all(run.gap <= target for run in group)]
    enough = max((each.rounds for each in good), default=0) - 1
    return min((each for each in good if each.rounds >= enough), key=lambda each: each.seconds, default=None)


def _summary(group: list[Run]) -> Reached:
    seconds = [run.seconds for run in group]
    return Reached(
        peer=group[0].peer,
        tolerance=group[0].tolerance,
        seconds=median(seconds),
        low=min(seconds),
        high=max(seconds),
        rounds=len(group),
        peak_mib=median(run.peak_mib for run in group),
    )


def best_peer(outcome: Outcome, shape: str, target: float) -> Reached | None:
    """The fastest of the others at a gap."""
    found = [each for name in _names(outcome, shape) if name != OURS and (each := at_gap(outcome, shape, name, target))]
    return min(found, key=lambda each: each.seconds, default=None)


def markdown(outcome: Outcome, facts: dict[str, str]) -> str:
    """The whole report: the machine, a summary, and one table per shape."""
    shapes = [reference.shape for reference in outcome.references]
    lines = ["# Training, side by side with peers", "", "Written by `make bench-training`; see `../README.md`.", ""]
    lines += [f"- {name}: {fact}" for name, fact in facts.items()]
    lines += [f"- missing: {', '.join(missing_peers()) or 'no peer'}", "", "## Summary", "", *_summary_table(outcome)]
    for shape in shapes:
        lines += ["", f"## {shape}: {SHAPES[shape].text}", "", *_shape_section(outcome, shape)]
    return "\n".join(lines) + "\n"


def missing_peers() -> list[str]:
    """Peers that are not installed here."""
    return [peer.name for peer in PEERS.values() if peer.version is None]


def _summary_table(outcome: Outcome) -> list[str]:
    lines = [
        "Time of the fit alone; a ratio above 1 says that this service is so many times faster than the best peer.",
        "",
        row("shape", *(word for gap in TARGETS for word in (f"best peer, {gap:.0e}", OURS, "ratio")), "peak MiB"),
        row(*["---"] * (3 * len(TARGETS) + 2)),
    ]
    for reference in outcome.references:
        cells: list[str] = []
        for target in TARGETS:
            best, ours = best_peer(outcome, reference.shape, target), at_gap(outcome, reference.shape, OURS, target)
            cells += [f"{best.peer} {duration(best.seconds)}" if best else NOTHING]
            cells += [str(ours) if ours else _remark(outcome, reference.shape, OURS), ratio(best, ours)]
        lines.append(row(reference.shape, *cells, _peaks(outcome, reference.shape)))
    return lines


def _peaks(outcome: Outcome, shape: str) -> str:
    """Peak memory above the data at the tightest gap: the service's against the best peer's."""
    both = [at_gap(outcome, shape, OURS, TARGETS[-1]), best_peer(outcome, shape, TARGETS[-1])]
    return " against ".join(f"{each.peak_mib:.0f}" if each else NOTHING for each in both)


def _shape_section(outcome: Outcome, shape: str) -> list[str]:
    reference = next(each for each in outcome.references if each.shape == shape)
    lines = [
        f"Reference optimum {reference.value!r}, itself within {reference.gap:.1e}. Curves: `curves-{shape}.svg`.",
        "",
        row("peer", *(f"to {target:.0e}" for target in TARGETS), "rounds", "peak MiB", "smallest gap", "remark"),
        row(*["---"] * (len(TARGETS) + 5)),
    ]
    return lines + [_peer_row(outcome, shape, name) for name in _names(outcome, shape)]


def _peer_row(outcome: Outcome, shape: str, name: str) -> str:
    at = [at_gap(outcome, shape, name, target) for target in TARGETS]
    tightest = next((each for each in reversed(at) if each), None)
    runs = _runs(outcome, shape, name)
    solvers = ", ".join(dict.fromkeys(run.solver for run in runs if run.solver))
    remarks = [text for text in (outcome.remarks.get((shape, name), ""), PEERS[name].note, solvers) if text]
    return row(
        name,
        *(str(each) if each else NOTHING for each in at),
        str(tightest.rounds) if tightest else NOTHING,
        f"{tightest.peak_mib:.0f}" if tightest else NOTHING,
        f"{min(run.gap for run in runs):.1e}" if runs else NOTHING,
        "; ".join(remarks).replace("|", "/"),
    )


def _remark(outcome: Outcome, shape: str, name: str) -> str:
    return outcome.remarks.get((shape, name), NOTHING).replace("|", "/")


def _runs(outcome: Outcome, shape: str, peer: str) -> list[Run]:
    return [run for run in outcome.runs if (run.shape, run.peer) == (shape, peer)]


def at_gap(outcome: Outcome, shape: str, peer: str, target: float) -> Reached | None:
    """How a peer reached a gap on a shape, or None when it did not."""
    return reached(_runs(outcome, shape, peer), target)


def _names(outcome: Outcome, shape: str) -> list[str]:
    """Peers with a run or a remark on a shape, in the order of ``PEERS``."""
    seen = {run.peer for run in outcome.runs if run.shape == shape}
    seen |= {peer for where, peer in outcome.remarks if where == shape}
    return [name for name in PEERS if name in seen]


def ratio(peer: Reached | None, ours: Reached | None) -> str:
    """Peer's time over ours, with two digits."""
    return f"{peer.seconds / ours.seconds:.2g} ×" if peer and ours else NOTHING


def duration(seconds: float) -> str:
    """Three digits, in the unit that suits."""
    if not math.isfinite(seconds):
        return NOTHING
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def row(*cells: str) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |"
