"""What was found, for people: medians and spread over the rounds, and ratios within a round, in Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.serving.open_loop import OpenLoop
from benchmarks.serving.peers import PEERS
from benchmarks.serving.peers.floor import FLOOR
from benchmarks.serving.peers.ours import OURS, WITHOUT_METRICS
from benchmarks.serving.runner import LATENCY_SHAPE, Outcome, Turn
from benchmarks.serving.shapes import SHAPES

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of the rounds, the lowest and the highest."""

    middle: float
    low: float
    high: float
    rounds: int

    def shown(self, show: Callable[[float], str]) -> str:
        """The median, and the others behind it where there is more than one round."""
        between = f" ({show(self.low)} … {show(self.high)})" if self.rounds > 1 else ""
        return show(self.middle) + between


def spread(values: Sequence[float]) -> Spread | None:
    """What there is to say of the values of the rounds; None of none."""
    return Spread(median(values), min(values), max(values), len(values)) if values else None


def turns(outcome: Outcome, peer: str, shape: str) -> list[Turn]:
    """All rounds of a peer on a shape."""
    return [turn for turn in outcome.turns if (turn.peer, turn.shape) == (peer, shape)]


def throughput(outcome: Outcome, peer: str, shape: str) -> Spread | None:
    """Requests a second."""
    return spread([turn.requests_per_s for turn in turns(outcome, peer, shape)])


def ratio(outcome: Outcome, above: str, below: str, shape: str) -> Spread | None:
    """One peer's requests a second over another's, each pair from the same round."""
    others = {turn.round: turn.requests_per_s for turn in turns(outcome, below, shape)}
    pairs = [(turn.requests_per_s, others.get(turn.round)) for turn in turns(outcome, above, shape)]
    return spread([mine / theirs for mine, theirs in pairs if theirs])


def latency(outcome: Outcome, peer: str, rate: float, of: Callable[[OpenLoop], float]) -> Spread | None:
    """A figure of the open loop at a rate."""
    found = [one for turn in turns(outcome, peer, LATENCY_SHAPE) for one in turn.latencies if one.rate == rate]
    return spread([of(one) for one in found])


def once(outcome: Outcome, peer: str, of: Callable[[Turn], float]) -> Spread | None:
    """A figure of the process, such as the cold start, from the shape with the fewest cells: least of it is work."""
    shapes = sorted({turn.shape for turn in outcome.turns if turn.peer == peer}, key=_cells)
    return spread([of(turn) for turn in turns(outcome, peer, shapes[0])]) if shapes else None


def _cells(shape: str) -> int:
    return SHAPES[shape].n_rows * SHAPES[shape].n_columns


def markdown(outcome: Outcome) -> str:
    """The whole report: the machine, throughput by shape, latency by rate, the process, and who is missing and why."""
    lines = ["# Serving, side by side with peers", "", "Written by `make bench-serving`; see `../README.md`.", ""]
    lines += [f"- {name}: {fact}" for name, fact in outcome.facts.items()]
    lines += ["", "![Requests a second](throughput.svg)", "", *_load(outcome)]
    lines += ["## The process", "", *_process_table(outcome), *_missing(outcome)]
    return "\n".join(lines) + "\n"


def brief(outcome: Outcome) -> str:
    """What changes while one works on the service: throughput, latency, the price of metrics."""
    return "\n".join([*_load(outcome), *_missing(outcome)])


def _load(outcome: Outcome) -> list[str]:
    lines: list[str] = []
    for shape in [name for name in SHAPES if any(turn.shape == name for turn in outcome.turns)]:
        lines += [f"## {SHAPES[shape].text}", "", *_throughput_table(outcome, shape), ""]
    for rate in sorted({one.rate for turn in outcome.turns for one in turn.latencies}):
        lines += [f"## Latency at {rate:g} requests a second, {SHAPES[LATENCY_SHAPE].text}", ""]
        lines += [*_latency_table(outcome, rate), ""]
    return [*lines, *_metrics(outcome)]


def named(outcome: Outcome) -> list[str]:
    """The peers with a figure, in the order of ``PEERS``."""
    seen = {turn.peer for turn in outcome.turns}
    return [name for name in PEERS if name in seen]


def _throughput_table(outcome: Outcome, shape: str) -> list[str]:
    lines = [row("server", "requests/s", "rows/s", "to the floor", f"{OURS} is", "failed")]
    lines += [row(*["---"] * 6)]
    for name in named(outcome):
        found = throughput(outcome, name, shape)
        if found:
            failed = sum(turn.failed for turn in turns(outcome, name, shape))
            rows = number(found.middle * SHAPES[shape].n_rows)
            both = (ratio(outcome, name, FLOOR.name, shape), ratio(outcome, OURS, name, shape))
            lines.append(row(name, found.shown(number), rows, *(_times(each) for each in both), str(failed)))
    return lines


def _latency_table(outcome: Outcome, rate: float) -> list[str]:
    heads = ("p50", "p99", "p99.9", "max", "failed or unanswered", "the generator late, p99")
    lines = [row("server", *heads), row(*["---"] * (len(heads) + 1))]
    figures: tuple[Callable[[OpenLoop], float], ...] = (
        lambda one: one.p50_ms,
        lambda one: one.p99_ms,
        lambda one: one.p999_ms,
        lambda one: one.max_ms,
    )
    beyond = []
    for name in named(outcome):
        cells = [latency(outcome, name, rate, figure) for figure in figures]
        lost = latency(outcome, name, rate, lambda one: one.failed + one.unanswered)
        late = latency(outcome, name, rate, lambda one: one.late_p99_ms)
        if lost and late:
            shown = [each.shown(milliseconds) if each else NOTHING for each in cells]
            lines.append(row(name, *shown, f"{lost.high:.0f}", milliseconds(late.middle)))
        elif turns(outcome, name, LATENCY_SHAPE):
            beyond.append(name)
    return [*lines, "", f"Not asked, for it is beyond their throughput: {', '.join(beyond)}."] if beyond else lines


def _process_table(outcome: Outcome) -> list[str]:
    heads = ("version", "cold start", "idle memory", "install", "probabilities within", "what")
    lines = [row("server", *heads), row(*["---"] * (len(heads) + 1))]
    for each in outcome.installations:
        start = once(outcome, each.peer, lambda turn: turn.cold_start_s)
        idle = once(outcome, each.peer, lambda turn: turn.idle_mib)
        cells = [start.shown(seconds) if start else NOTHING, idle.shown(mebibytes) if idle else NOTHING]
        lines.append(
            row(each.peer, each.version, *cells, mebibytes(each.mib), f"{each.difference:.1e}", PEERS[each.peer].note)
        )
    return lines


def _metrics(outcome: Outcome) -> list[str]:
    found = ratio(outcome, OURS, WITHOUT_METRICS, LATENCY_SHAPE)
    sentence = f"With metrics on, {OURS} answers {_times(found)} as many requests as with them off."
    return [sentence, ""] if found else []


def _missing(outcome: Outcome) -> list[str]:
    if not outcome.remarks:
        return []
    lines = [f"- {each.peer}{each.shape and f' on {each.shape}'}: {each.text}" for each in outcome.remarks]
    return ["", "## Without a figure", "", *lines]


def _times(found: Spread | None) -> str:
    return found.shown(lambda value: f"{value:.3g} ×") if found else NOTHING


def number(value: float) -> str:
    """Three digits, thousands apart by a space: 52 300."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    step = 10 ** max(0, math.floor(math.log10(value)) - 2) if value >= 1 else 1
    return f"{round(value / step) * step:_}".replace("_", " ") if digits == 0 else f"{value:.{digits}f}"


def milliseconds(value: float) -> str:
    """Three digits and the unit."""
    return f"{value:.3g} ms" if value < 1000 else f"{value / 1000:.3g} s"


def seconds(value: float) -> str:
    """Two decimals and the unit."""
    return f"{value:.2f} s"


def mebibytes(value: float) -> str:
    """Whole MiB."""
    return f"{value:.0f} MiB"


def row(*cells: str) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
