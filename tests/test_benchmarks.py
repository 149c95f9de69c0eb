"""The benchmark of training: what it measures with, and what it writes."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from benchmarks.training import shapes
from benchmarks.training.__main__ import write
from benchmarks.training.objective import Coefficients, value
from benchmarks.training.optimum import optimum
from benchmarks.training.ours import OURS
from benchmarks.training.peers import PEERS, contenders
from benchmarks.training.problem import Problem, load, save
from benchmarks.training.report import duration, markdown, reached
from benchmarks.training.runner import Outcome, Reference, Run, later_rungs, measure, spoken

SMALL = {
    "dense": shapes.dense(80, 3),
    "three classes": shapes.dense(80, 3, 3),
    "wide": shapes.dense(20, 50),
    "words": shapes.words(60, 90, 8),
    "one-hot": shapes.one_hot(50),
    "wide, L1": shapes.with_l1(shapes.dense(40, 120), 0.1, fit_intercept=True),
    "words, L1": shapes.with_l1(shapes.words(60, 90, 8), 0.1, fit_intercept=False),
}


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    found = Outcome([], [], {})
    measure(found, "A", contenders("A", [OURS, "newton-cholesky"]), rounds=2, limit_s=60.0)
    return found


def run(peer: str, tolerance: float, seconds: float, gap: float) -> Run:
    return Run("A", peer, 0, tolerance, seconds, 1.0, gap)


@pytest.fixture
def filed(tmp_path: Path) -> Problem:
    return shapes.in_file(300, 3, row_group=120)(np.random.default_rng(5), tmp_path)


@pytest.mark.parametrize("name", SMALL)
def test_reference_is_the_minimum(name: str) -> None:
    """Nothing is left to gain at the reference, and twenty steps away from it in all directions lead up."""
    problem = SMALL[name](np.random.default_rng(1))
    best = optimum(problem)
    shape = (len(best.at.coef), problem.X.shape[1] + 1)
    rng = np.random.default_rng(2)

    directions = rng.standard_normal((20, *shape)) * 1e-4
    directions[..., -1] *= problem.fit_intercept
    around = [value(problem, Coefficients(best.at.coef + d[:, :-1], best.at.intercept + d[:, -1])) for d in directions]

    assert best.gap <= 1e-14
    assert value(problem, best.at) == pytest.approx(best.value, rel=1e-15)
    assert min(around) >= best.value


def test_reference_agrees_with_scipy() -> None:
    """A minimiser that shares no code with the reference, given the value alone, ends at the same objective."""
    problem = SMALL["dense"](np.random.default_rng(1))

    found = minimize(lambda w: value(problem, Coefficients(w[None, :-1], w[-1:])), np.zeros(4), method="BFGS")

    assert found.fun == pytest.approx(optimum(problem).value, rel=1e-9)


@pytest.mark.parametrize(("name", "solver"), [("wide, L1", "saga"), ("words, L1", "liblinear")])
def test_sparse_reference_agrees_with_scikit_learn(name: str, solver: str) -> None:
    """Under L1 another implementation ends at the same objective, with the same columns at 0."""
    problem = SMALL[name](np.random.default_rng(1))
    model = LogisticRegression(
        C=problem.C, l1_ratio=1.0, fit_intercept=problem.fit_intercept, solver=solver, tol=1e-9, max_iter=100_000
    )

    model.fit(problem.X, problem.y)
    best = optimum(problem)

    found = value(problem, Coefficients(model.coef_, np.atleast_1d(model.intercept_)))
    assert found == pytest.approx(best.value, rel=1e-9)
    assert ((best.at.coef == 0) == (np.abs(model.coef_) < 1e-6)).all()
    assert 0 < np.count_nonzero(best.at.coef) < problem.X.shape[1]


@pytest.mark.parametrize("name", SMALL)
def test_a_problem_survives_its_folder(name: str, tmp_path: Path) -> None:
    """What a child process loads is what was drawn."""
    problem = SMALL[name](np.random.default_rng(3))

    save(problem, tmp_path)
    loaded = load(tmp_path)

    assert abs(loaded.X - problem.X).max() == 0
    assert (loaded.y == problem.y).all()
    assert (loaded.l1, loaded.l2, loaded.n_classes) == (problem.l1, problem.l2, problem.n_classes)
    assert loaded.fit_intercept == problem.fit_intercept


def test_rows_in_a_file_are_judged_from_the_file(filed: Problem, tmp_path: Path) -> None:
    """Written in row groups and loaded by a child, a file gives the logits of its rows in memory, in either order."""
    loaded = load(tmp_path)
    X, y = loaded.rows("F")

    assert loaded.X.shape == X.shape == (300, 3)
    assert (y == filed.y).all()
    assert (X == filed.in_memory().X).all()
    assert X.flags.f_contiguous
    assert loaded.X @ np.ones((3, 1)) == pytest.approx(X @ np.ones((3, 1)), rel=1e-14, abs=1e-14)
    assert (X[:50] == loaded.head(50).in_memory().X).all()


@pytest.mark.parametrize("peer", [OURS, "newton-cholesky"])
def test_peers_train_from_a_file(filed: Problem, peer: str) -> None:
    """A fit that begins with reading the file ends at the optimum of the rows in memory."""
    fit = PEERS[peer].prepare(filed, 1e-10)

    assert value(filed, fit()) == pytest.approx(optimum(filed.in_memory()).value, rel=1e-10)


def test_same_seed_draws_the_same_rows(tmp_path: Path) -> None:
    """A shape is a fixed problem: every run of the benchmark, on every machine, trains on the same rows."""
    first, second = shapes.drawn("A", tmp_path), shapes.drawn("A", tmp_path)

    assert (first.X == second.X).all()
    assert (first.y == second.y).all()


def test_a_shape_may_share_the_rows_of_another(tmp_path: Path) -> None:
    """L1F is F with another penalty and no intercept."""
    plain, penalised = shapes.drawn("F", tmp_path), shapes.drawn("L1F", tmp_path)

    assert (plain.X != penalised.X).nnz == 0
    assert (plain.y == penalised.y).all()
    assert (plain.l1_ratio, penalised.l1_ratio) == (0.0, 1.0)
    assert (plain.fit_intercept, penalised.fit_intercept) == (True, False)


def test_chosen_peers_may_be_those_that_are_slow() -> None:
    """By default a shape has its usual peers; a peer asked for by name runs wherever it can."""
    usual = [peer.name for peer in contenders("B", None)]

    assert OURS in usual
    assert "saga" not in usual
    assert [peer.name for peer in contenders("B", ["saga", "glum"])] == ["glum", "saga"]
    assert contenders("A3", ["glum"]) == []


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
