"""The benchmark of training: what it measures with, and what it writes."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from scipy.optimize import minimize

from benchmarks.training import shapes
from benchmarks.training.__main__ import write
from benchmarks.training.objective import Coefficients, optimum, value
from benchmarks.training.peers import OURS, PEERS
from benchmarks.training.report import duration, markdown, reached
from benchmarks.training.runner import Outcome, Reference, Run, later_rungs, measure, spoken

SMALL = {
    "dense": shapes.dense(80, 3),
    "three classes": shapes.dense(80, 3, 3),
    "wide": shapes.dense(20, 50),
    "words": shapes.words(60, 90, 8),
    "one-hot": shapes.one_hot(50),
}


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    found = Outcome([], [], {})
    measure(found, "A", [OURS, "newton-cholesky"], rounds=2, limit_s=60.0)
    return found


def run(peer: str, tolerance: float, seconds: float, gap: float) -> Run:
    return Run("A", peer, 0, tolerance, seconds, 1.0, gap)


@pytest.mark.parametrize("name", SMALL)
def test_reference_is_the_minimum(name: str) -> None:
    """Newton's decrement vanishes at the reference, and twenty steps away from it in all directions lead up."""
    problem = SMALL[name](np.random.default_rng(1))
    best = optimum(problem)
    shape = (len(best.at.coef), problem.X.shape[1] + 1)
    rng = np.random.default_rng(2)

    directions = rng.standard_normal((20, *shape)) * 1e-4
    around = [value(problem, Coefficients(best.at.coef + d[:, :-1], best.at.intercept + d[:, -1])) for d in directions]

    assert best.gap <= 1e-14
    assert value(problem, best.at) == pytest.approx(best.value, rel=1e-15)
    assert min(around) >= best.value


def test_reference_agrees_with_scipy() -> None:
    """A minimiser that shares no code with the reference, given the value alone, ends at the same objective."""
    problem = SMALL["dense"](np.random.default_rng(1))

    found = minimize(lambda w: value(problem, Coefficients(w[None, :-1], w[-1:])), np.zeros(4), method="BFGS")

    assert found.fun == pytest.approx(optimum(problem).value, rel=1e-9)


@pytest.mark.parametrize("name", SMALL)
def test_a_problem_survives_its_folder(name: str, tmp_path: Path) -> None:
    """What a child process loads is what was drawn."""
    problem = SMALL[name](np.random.default_rng(3))

    shapes.save(problem, tmp_path)
    loaded = shapes.load(tmp_path)

    assert abs(loaded.X - problem.X).max() == 0
    assert (loaded.y == problem.y).all()
    assert (loaded.l2, loaded.n_classes) == (problem.l2, problem.n_classes)


def test_same_seed_draws_the_same_rows() -> None:
    """A shape is a fixed problem: every run of the benchmark, on every machine, trains on the same rows."""
    first, second = shapes.drawn("A"), shapes.drawn("A")

    assert (first.X == second.X).all()
    assert (first.y == second.y).all()


def test_codes_are_the_one_hot_columns() -> None:
    """The levels given to peers that take categoricals say the same as the columns given to the others."""
    problem = SMALL["one-hot"](np.random.default_rng(4))
    assert problem.codes is not None
    starts = shapes.N_NUMERIC + np.concatenate([[0], np.cumsum(shapes.LEVELS)[:-1]])

    ones = problem.X.toarray()[np.arange(50)[:, None], problem.codes + starts]

    assert (ones == 1).all()


@pytest.mark.parametrize("peer", [OURS, "newton-cholesky"])
def test_real_runner_measures_to_both_gaps(outcome: Outcome, peer: str) -> None:
    """Through real child processes, this service and scikit-learn reach 1e-10 of the reference optimum."""
    runs = [run for run in outcome.runs if run.peer == peer]

    assert reached(runs, 1e-6) is not None
    assert reached(runs, 1e-10) is not None
    assert {run.round for run in runs} == {0, 1}


def test_outcome_survives_json(outcome: Outcome) -> None:
    """results.json holds all that was measured."""
    outcome_with_remark = Outcome(outcome.runs, outcome.references, {("A", "saga"): "over the limit"})

    assert Outcome.from_json(outcome_with_remark.to_json()) == outcome_with_remark


def test_results_are_written(outcome: Outcome, tmp_path: Path) -> None:
    """A report with a summary and each peer's row, the figures in JSON, and curves that are well-formed XML."""
    write(outcome, {"machine": "a machine"}, tmp_path)

    report = (tmp_path / "results.md").read_text()
    assert "- machine: a machine" in report
    assert "| A | newton-cholesky " in report
    assert f"| {OURS} | " in report
    assert Outcome.from_json((tmp_path / "results.json").read_text()) == outcome
    assert ET.parse(tmp_path / "curves-A.svg").getroot().tag.endswith("svg")


def test_refusals_and_missing_peers_are_named() -> None:
    """A peer without a figure stands in the report with the reason."""
    remarks = {("A", OURS): "TypeError: no", ("A", "glum"): "missing: not installed"}

    report = markdown(Outcome([], [Reference("A", 0.5, 0.0)], remarks), {})

    assert "TypeError: no" in report
    assert "missing: not installed" in report


def test_fastest_tolerance_that_always_reached_counts() -> None:
    """One run short of the gap disqualifies a tolerance; among the others the fastest median is the peer's."""
    runs = [
        *(run("lbfgs", 1e-3, 1.0, 1e-7), run("lbfgs", 1e-3, 1.0, 1e-5)),
        *(run("lbfgs", 1e-4, 2.0, 1e-7), run("lbfgs", 1e-4, 4.0, 1e-7), run("lbfgs", 1e-5, 9.0, 1e-9)),
    ]

    found = reached(runs, 1e-6)

    assert found is not None
    assert (found.tolerance, found.seconds, found.low, found.high) == (1e-4, 3.0, 2.0, 4.0)
    assert reached(runs, 1e-10) is None


def test_later_rounds_look_at_the_rung_before() -> None:
    """The rung that reached a gap is repeated with its looser neighbour; a peer that is far behind is not."""
    runs = [run("lbfgs", 1e-4, 1.0, 1e-11), run("saga", 1e-4, 10.0, 1e-11)]

    assert later_rungs(PEERS["lbfgs"], "A", runs) == (1e-3, 1e-4)
    assert later_rungs(PEERS["saga"], "A", runs) == ()


def test_child_past_its_limit_keeps_its_lines() -> None:
    """What was measured before the alarm ended a child is not lost."""
    code = "import os, signal; print('{\"gap\": 1}', flush=True); os.kill(os.getpid(), signal.SIGALRM)"

    lines, ended = spoken([sys.executable, "-c", code], 60.0)

    assert lines == [{"gap": 1}]
    assert "over the limit" in ended


def test_one_quick_run_is_luck() -> None:
    """A tolerance measured once does not count beside one that was measured in every round."""
    runs = [run("lbfgs", 1e-6, 0.1, 1e-9), *[run("lbfgs", 1e-4, seconds, 1e-7) for seconds in (1.0, 2.0, 3.0)]]

    found = reached(runs, 1e-6)

    assert found is not None
    assert found.tolerance == 1e-4


@pytest.mark.parametrize(("seconds", "words"), [(0.00123, "1.23 ms"), (12.34, "12.3 s"), (float("inf"), "–")])
def test_durations_carry_their_unit(seconds: float, words: str) -> None:
    """Three digits, in milliseconds below a second."""
    assert duration(seconds) == words
