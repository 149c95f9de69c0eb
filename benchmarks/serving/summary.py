"""The README's table of serving, made from results.json."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.serving.environment import PROJECT
from benchmarks.serving.peers.floor import FLOOR
from benchmarks.serving.peers.ours import OURS, WITHOUT_METRICS
from benchmarks.serving.report import (
    NOTHING,
    latency,
    mebibytes,
    milliseconds,
    named,
    number,
    once,
    ratio,
    row,
    seconds,
    throughput,
)
from benchmarks.serving.runner import LATENCY_SHAPE, Outcome
from benchmarks.serving.shapes import SHAPES

README = PROJECT / "README.md"
RESULTS = Path(__file__).with_name("results.json")
BLOCK = re.compile(r"(<!-- serving figures: [^>]*-->\n)(.*?)(<!-- end of serving figures -->)", re.DOTALL)
BATCH_SHAPE, RATE = "10000x30", 300.0


def summary_table(outcome: Outcome) -> str:
    """One line a server: requests, how many times as many ours answers, the tail, rows of a batch, and the process."""
    one, batch = SHAPES[LATENCY_SHAPE].text, SHAPES[BATCH_SHAPE].text
    heads = (f"{one}, requests/s", f"{OURS} is", f"p99 at {RATE:.0f}/s", f"{batch}, rows/s")
    lines = [row("server", *heads, "cold start", "idle memory", "install"), row(*["---"] * 8)]
    lines += [_line(outcome, name) for name in named(outcome) if name != WITHOUT_METRICS]
    return "\n".join(lines) + "\n"


def with_summary(text: str, outcome: Outcome) -> str:
    """The README's text with the table as these results make it; the same text where it has no such block."""
    return BLOCK.sub(lambda found: found[1] + summary_table(outcome) + found[3], text)


def committed() -> Outcome:
    """The results that the README speaks of."""
    return Outcome.from_json(RESULTS.read_text(encoding="utf-8"))


def _line(outcome: Outcome, name: str) -> str:
    one = throughput(outcome, name, LATENCY_SHAPE)
    times = ratio(outcome, OURS, name, LATENCY_SHAPE) if name != OURS else None
    tail = latency(outcome, name, RATE, lambda each: each.p99_ms)
    # The floor reads no rows.
    batch = throughput(outcome, name, BATCH_SHAPE) if name != FLOOR.name else None
    start = once(outcome, name, lambda turn: turn.cold_start_s)
    idle = once(outcome, name, lambda turn: turn.idle_mib)
    install = next((each.mib for each in outcome.installations if each.peer == name), None)
    return row(
        name,
        number(one.middle) if one else NOTHING,
        f"{times.middle:.2g} ×" if times else NOTHING,
        milliseconds(tail.middle) if tail else NOTHING,
        number(batch.middle * SHAPES[BATCH_SHAPE].n_rows) if batch else NOTHING,
        seconds(start.middle) if start else NOTHING,
        mebibytes(idle.middle) if idle else NOTHING,
        mebibytes(install) if install is not None and name != FLOOR.name else NOTHING,
    )
