"""The service's own solvers beside each other: time to the same certified gap, and what "auto" made of it."""

from __future__ import annotations

from statistics import median

from benchmarks.training.ours import AUTO, OWN, OWN_TOLERANCE
from benchmarks.training.report import NOTHING, duration, row
from benchmarks.training.runner import Outcome, Run
from service.linear.solver import Status

# "auto" may be so many times slower than the fastest of the others before the report names the shape.
ALLOWED = 1.2


def own_markdown(outcome: Outcome, facts: dict[str, str]) -> str:
    """The report of ``--own``: a table of shapes and solvers, the verdict on "auto", and who did not finish and why."""
    shapes = [reference.shape for reference in outcome.references]
    lines = ["# Our own solvers, side by side", "", "Written by `python -m benchmarks.training --own`.", ""]
    lines += [f"- {name}: {fact}" for name, fact in facts.items()]
    lines += ["", f"Time to a certified gap of {OWN_TOLERANCE:.0e}, and its ratio to the fastest of the solvers.", ""]
    lines += [row("shape", *OWN, "auto chose", "auto / fastest other"), row(*["---"] * (len(OWN) + 3))]
    lines += [_shape_row(outcome, shape) for shape in shapes]
    lines += ["", verdict({shape: auto_ratio(outcome, shape) for shape in shapes})]
    unfinished = [
        (shape, solver, why) for shape in shapes for solver in OWN if (why := _unfinished(outcome, shape, solver))
    ]
    lines += ["", "Without a figure:", ""] if unfinished else []
    return "\n".join([*lines, *(f"- {shape}, {solver}: {why}" for shape, solver, why in unfinished)]) + "\n"


def certified_seconds(outcome: Outcome, shape: str, solver: str) -> float | None:
    """The median time of a solver; None when a run is not certified, or the judge's gap is above the certified one."""
    runs = _runs(outcome, shape, solver)
    good = all(run.status == Status.OPTIMAL.value and run.gap <= OWN_TOLERANCE for run in runs)
    return median(run.seconds for run in runs) if runs and good else None


def auto_ratio(outcome: Outcome, shape: str) -> float | None:
    """The time of "auto" over that of the fastest other solver; None without both."""
    auto = certified_seconds(outcome, shape, AUTO)
    others = [certified_seconds(outcome, shape, solver) for solver in OWN if solver != AUTO]
    fastest = min((seconds for seconds in others if seconds), default=None)
    return auto / fastest if auto and fastest else None


def verdict(ratios: dict[str, float | None]) -> str:
    """Whether "auto" is never slower than it may be, in one sentence."""
    slow = [f"{shape} ({ratio:.2g} ×)" for shape, ratio in ratios.items() if ratio and ratio > ALLOWED]
    unknown = [shape for shape, ratio in ratios.items() if ratio is None]
    where = f"slower than {ALLOWED} times the fastest on {', '.join(slow)}"
    sentence = f'"auto" is {where if slow else f"nowhere slower than {ALLOWED} times the fastest"}'
    return f"{sentence}; not known on {', '.join(unknown)}." if unknown else f"{sentence}."


def _shape_row(outcome: Outcome, shape: str) -> str:
    seconds = {solver: certified_seconds(outcome, shape, solver) for solver in OWN}
    fastest = min((each for each in seconds.values() if each), default=1.0)
    cells = [f"{duration(each)} ({each / fastest:.2g} ×)" if each else NOTHING for each in seconds.values()]
    chosen = {run.solver for run in _runs(outcome, shape, AUTO)}
    ratio = auto_ratio(outcome, shape)
    return row(shape, *cells, ", ".join(sorted(chosen)) or NOTHING, f"{ratio:.2g} ×" if ratio else NOTHING)


def _unfinished(outcome: Outcome, shape: str, solver: str) -> str:
    """Why a solver has no figure, empty when it has one."""
    if certified_seconds(outcome, shape, solver):
        return ""
    runs = _runs(outcome, shape, solver)
    found = [f"{run.status}, gap {run.gap:.1e}" for run in runs if run.status != Status.OPTIMAL.value]
    broken = [f"certified, but the gap is {run.gap:.1e}" for run in runs if run.gap > OWN_TOLERANCE]
    return (found or broken or [outcome.remarks.get((shape, OWN[solver].name), "not run")])[0]


def _runs(outcome: Outcome, shape: str, solver: str) -> list[Run]:
    return [run for run in outcome.runs if (run.shape, run.peer) == (shape, OWN[solver].name)]
