"""The README's table of training times, made from results.json."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.training.ours import OURS
from benchmarks.training.report import at_gap, best_peer, duration, ratio, row
from benchmarks.training.runner import PROJECT, TARGETS, Outcome
from benchmarks.training.shapes import SHAPES

README = PROJECT / "README.md"
RESULTS = Path(__file__).with_name("results.json")
BLOCK = re.compile(r"(<!-- training times: [^>]*-->\n)(.*?)(<!-- end of training times -->)", re.DOTALL)
LOOSE, TIGHT = TARGETS


def summary_table(outcome: Outcome) -> str:
    """One line a shape: the best peer and its time to the tight gap, ours, and the ratios at both gaps."""
    lines = [
        row("shape", f"best peer to {TIGHT:.0e}", "its time", OURS, "ratio", f"ratio at {LOOSE:.0e}"),
        row(*["---"] * 6),
        *(_line(outcome, reference.shape) for reference in outcome.references),
    ]
    return "\n".join(lines) + "\n"


def with_summary(text: str, outcome: Outcome) -> str:
    """The README's text with the table as these results make it."""
    return BLOCK.sub(lambda found: found[1] + summary_table(outcome) + found[3], text)


def committed() -> Outcome:
    """The results that the README speaks of."""
    return Outcome.from_json(RESULTS.read_text(encoding="utf-8"))


def _line(outcome: Outcome, shape: str) -> str:
    (loose_best, loose_ours), (best, ours) = (
        (best_peer(outcome, shape, target), at_gap(outcome, shape, OURS, target)) for target in TARGETS
    )
    seconds = [duration(each.seconds) if each else "–" for each in (best, ours)]
    return row(
        SHAPES[shape].text, best.peer if best else "–", *seconds, ratio(best, ours), ratio(loose_best, loose_ours)
    )
