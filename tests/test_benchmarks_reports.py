"""What the benchmark of training says beside its results: the solvers, the README's table, predicting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.training.__main__ import write_own
from benchmarks.training.extra import descending, extra_markdown, measured, predicting
from benchmarks.training.ours import OURS, OWN
from benchmarks.training.own import auto_ratio, certified_seconds, own_markdown, verdict
from benchmarks.training.runner import Outcome, Reference, Run, measure
from benchmarks.training.summary import summary_table, with_summary


def own_run(solver: str, seconds: float, *, status: str = "optimal", gap: float = 1e-12, by: str = "") -> Run:
    return Run("A", OWN[solver].name, 0, 1e-10, seconds, 0.0, gap, by or solver, status)


def run(peer: str, seconds: float, gap: float) -> Run:
    return Run("A", peer, 0, 1e-6, seconds, 1.0, gap)


def test_own_solvers_are_measured_and_reported(tmp_path: Path) -> None:
    """Through real child processes: each solver's time, and the solver that "auto" chose, in own.md and own.json."""
    outcome = Outcome([], [], {})
    measure(outcome, "A", [OWN["auto"], OWN["newton"]], rounds=1, limit_s=60.0)

    write_own(outcome, {"machine": "a machine"}, tmp_path)

    report = (tmp_path / "own.md").read_text()
    assert {run.status for run in outcome.runs} == {"optimal"}
    assert "- machine: a machine" in report
    assert "| newton | " in next(line for line in report.splitlines() if line.startswith("| A |"))
    assert "- A, row-space: not run" in report
    assert Outcome.from_json((tmp_path / "own.json").read_text()) == outcome


def test_only_certified_fits_are_compared() -> None:
    """A solver that spent its budget, or whose certificate the judge contradicts, has a reason instead of a time."""
    runs = [
        own_run("auto", 3.0, by="newton"),
        own_run("newton", 2.0),
        own_run("gradient-descent", 1.0, status="budget spent"),
        own_run("newton-cg", 1.0, gap=1e-8),
    ]
    outcome = Outcome(runs, [Reference("A", 0.5, 0.0)], {("A", OWN["row-space"].name): "too large"})

    report = own_markdown(outcome, {})

    assert certified_seconds(outcome, "A", "gradient-descent") is None
    assert auto_ratio(outcome, "A") == 1.5
    assert "- A, gradient-descent: budget spent" in report
    assert "- A, newton-cg: certified, but the gap is 1.0e-08" in report
    assert "- A, row-space: too large" in report


@pytest.mark.parametrize(
    ("ratios", "words"),
    [
        ({"A": 1.0, "B": 1.2}, '"auto" is nowhere slower than 1.2 times the fastest.'),
        ({"A": 1.0, "B": 1.5}, '"auto" is slower than 1.2 times the fastest on B (1.5 ×).'),
        ({"A": 1.0, "B": None}, '"auto" is nowhere slower than 1.2 times the fastest; not known on B.'),
    ],
)
def test_verdict_names_the_shapes(ratios: dict[str, float | None], words: str) -> None:
    """Where "auto" is slower than it may be is said by name, and so is where that is not known."""
    assert verdict(ratios) == words


def test_summary_has_one_line_a_shape() -> None:
    """The best peer at the tight gap, both times, and the ratios at the tight and the loose gap."""
    runs = [run(OURS, 1.0, 1e-12), run("glum", 2.0, 1e-12), run("lbfgs", 0.5, 1e-8)]

    table = summary_table(Outcome(runs, [Reference("A", 0.5, 0.0), Reference("B", 0.5, 0.0)], {}))

    assert table.splitlines()[2:] == [
        "| 150×4 | glum | 2 s | 1 s | 2 × | 0.5 × |",
        "| 1e6×30 | – | – | – | – | – |",
    ]


def test_summary_replaces_its_block_alone() -> None:
    """The text around the markers stays."""
    before, after = "one\n<!-- training times: by hand -->\n", "<!-- end of training times -->\ntwo\n"
    outcome = Outcome([], [], {})

    assert with_summary(f"{before}old\n{after}", outcome) == before + summary_table(outcome) + after


@pytest.mark.filterwarnings("ignore:gradient-descent stopped")
def test_extra_tasks_have_equal_answers() -> None:
    """The same probabilities as scikit-learn in both precisions, and the tutorial's own coefficients."""
    pairs = [predicting(500, np.float64), predicting(500, np.float32), descending(300)]

    found = [measured(pair, rounds=2) for pair in pairs]

    assert found[0].difference <= 1e-14
    assert found[1].difference <= 1e-6
    assert found[2].difference <= 1e-12
    assert len(found[0].ours) == len(found[0].peer) == 2
    assert extra_markdown(found).count("\n| ") == 5
