"""L1 penalties and the elastic net: the optimum, its conditions, and a certificate that holds everywhere."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from l1_problems import L1_PROBLEMS, SMALL_L1, L1Problem, reference_minimiser, reference_optimum
from problems import REFERENCE_ERROR, Problem, drawn
from sklearn.linear_model import LogisticRegression as Peer

from service.errors import InvalidParameter
from service.linear.certificate_l1 import DualGap
from service.linear.columns.arrays import Vector
from service.linear.solver import Status
from service.linear.solvers import ProxNewton, prox_newton, working_set

every_problem = pytest.mark.parametrize("problem", L1_PROBLEMS, ids=str)
# Values of P differ by their own rounding: some eps of its size.
ROUNDING = 8 * np.finfo(np.float64).eps


@every_problem
def test_the_optimum_is_certified(problem: L1Problem) -> None:
    """Every problem is solved to a relative gap of 1e-10 in few steps, and the true gap, in 80 bits, is below the bound."""
    solution = ProxNewton().minimise(problem.objective, problem.start)

    assert solution.status is Status.OPTIMAL
    assert solution.gap_relative <= 1e-10
    assert problem.true_gap(solution.w) <= solution.gap_bound + REFERENCE_ERROR * float(reference_optimum(problem))
    assert solution.objective == pytest.approx(problem.objective.value(solution.w), rel=ROUNDING)
    assert solution.n_iter <= 25


@every_problem
def test_the_conditions_of_the_optimum_hold(problem: L1Problem) -> None:
    """The slope of the smooth part is -κ times the sign of a coefficient, and within κ where it is 0."""
    w = ProxNewton(tol=1e-12).minimise(problem.objective, problem.start).w

    gradient, l1 = problem.objective.value_and_gradient(w)[1], problem.objective.l1_params
    size = DualGap(problem.objective).column_norms.max() * math.sqrt(problem.objective.rows.total_weight)
    np.testing.assert_allclose((gradient + l1 * np.sign(w))[w != 0], 0.0, atol=1e-6 * size)
    assert (np.abs(gradient) <= l1 + 1e-6 * size)[w == 0].all()


@pytest.mark.parametrize("problem", SMALL_L1, ids=str)
def test_the_bound_holds_at_every_step(problem: L1Problem) -> None:
    """Wherever the budget ends, the optimum is no farther below than the bound."""
    noise = REFERENCE_ERROR * float(reference_optimum(problem))

    for max_iter in range(1, 12):
        solution = ProxNewton(tol=1e-300, max_iter=max_iter).minimise(problem.objective, problem.start)

        assert problem.true_gap(solution.w) <= solution.gap_bound + noise


@pytest.mark.parametrize("problem", SMALL_L1, ids=str)
def test_the_gap_by_duality_holds_everywhere(problem: L1Problem) -> None:
    """Around the optimum at all distances, the true gap is at most the gap by duality, and that is finite."""
    rng, best = np.random.default_rng(0), reference_minimiser(problem).astype(np.float64)
    norms = np.tile(DualGap(problem.objective).column_norms, len(best) // problem.objective.rows.width)
    noise = REFERENCE_ERROR * float(reference_optimum(problem))

    for distance in 10.0 ** np.arange(-9, 3):
        w = best + distance * rng.normal(size=len(best)) / np.where(norms > 0, norms, 1.0)
        gap = DualGap(problem.objective).at(w, problem.objective.raw_prediction(w)).gap

        assert problem.true_gap(w) <= gap + noise
        assert math.isfinite(gap)


@every_problem
def test_it_falls_at_every_step(problem: L1Problem) -> None:
    """The loss curve never rises, starts at the best constant, and ends at w."""
    solution = ProxNewton().minimise(problem.objective, problem.start)

    curve = solution.loss_curve * problem.objective.rows.total_weight
    assert len(curve) == solution.n_iter + 1
    assert curve[0] <= problem.objective.value(problem.start) * (1 + ROUNDING)
    assert curve[-1] == pytest.approx(solution.objective, rel=ROUNDING)
    assert (np.diff(curve) <= 2 * ROUNDING * curve[0]).all()


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
@pytest.mark.parametrize("weighted", [False, True])
def test_scikit_learn_agrees(K: int, l1_ratio: float, *, weighted: bool) -> None:
    """scikit-learn's saga, run to its end, has the same probabilities, coefficients, and zeros, and no lower objective."""
    X, y = drawn(120, 8, K, seed=3, spread=0.4)
    weights = np.random.default_rng(3).uniform(0.2, 2.0, 120) if weighted else None
    problem = L1Problem(Problem("peer", X, y, C=0.15, weights=weights), l1_ratio)

    ours = ProxNewton(tol=1e-13).minimise(problem.objective, problem.start)

    peer = Peer(C=0.15, l1_ratio=l1_ratio, solver="saga", tol=1e-9, max_iter=100_000).fit(X, y, weights)
    theirs = np.column_stack([peer.coef_, peer.intercept_]).ravel()
    # saga stops at a change of 1e-9 a pass: its objective is good to some 1e-12.
    assert ours.objective <= problem.objective.value(theirs) + ours.gap_bound + 1e-12
    np.testing.assert_allclose(ours.w, theirs, atol=1e-5)
    np.testing.assert_array_equal(ours.w == 0, np.abs(theirs) < 1e-9)


def test_liblinear_agrees() -> None:
    """So does liblinear, which has an intercept only as one more penalised column."""
    X, y = drawn(200, 12, seed=5, spread=0.4)
    problem = L1Problem(Problem("peer", X, y, C=0.1, fit_intercept=False), 1.0)

    ours = ProxNewton(tol=1e-13).minimise(problem.objective, problem.start)

    peer = Peer(C=0.1, l1_ratio=1.0, solver="liblinear", tol=1e-10, max_iter=10_000, fit_intercept=False).fit(X, y)
    np.testing.assert_allclose(ours.w, peer.coef_[0], atol=1e-6)


@pytest.mark.parametrize("K", [2, 3])
def test_beyond_the_largest_useful_penalty_all_is_zero(K: int) -> None:
    """From κ = max |Xᵀs (y - share)| on every coefficient is 0 exactly; just below it one is not."""
    X, y = drawn(50, 6, K, seed=2)
    shares = np.bincount(y) / len(y)
    largest = float(np.abs(X.T @ (np.eye(K)[y] - shares)).max())
    coefs = []

    for l1 in (largest, 10 * largest, 0.999 * largest):
        problem = L1Problem(Problem("all-zero", X, y, C=1 / l1), 1.0)
        w = ProxNewton().minimise(problem.objective, problem.start).w
        coefs.append(w.reshape(-1, 7)[:, :-1])

    assert not coefs[0].any()
    assert not coefs[1].any()
    assert 1 <= np.count_nonzero(coefs[2]) <= 2


def test_a_spent_budget_is_told() -> None:
    """One step does not reach the optimum, and the solution says so, with the bound that it has."""
    problem = next(problem for problem in L1_PROBLEMS if problem.problem.name == "wide")

    solution = ProxNewton(max_iter=1).minimise(problem.objective, problem.start)

    assert solution.status is Status.BUDGET_SPENT
    assert solution.n_iter == 1
    assert 0 < problem.true_gap(solution.w) <= solution.gap_bound < math.inf


def test_it_ends_where_rounding_hides_the_rest() -> None:
    """A tolerance below rounding ends the run long before its budget, at what can be certified."""
    problem = L1_PROBLEMS[0]

    solution = ProxNewton(tol=1e-300).minimise(problem.objective, problem.start)

    assert solution.status is Status.BUDGET_SPENT
    assert solution.n_iter < 20
    assert solution.gap_relative < 1e-13


def test_a_penalty_of_nothing_is_not_certified() -> None:
    """Equal columns with a vanishing penalty have no certificate of 1e-10; nothing less is called optimal."""
    X, y = drawn(60, 3)
    problem = L1Problem(Problem("vanishing", np.column_stack([X, X[:, 0]]), y, C=1e20), 1.0)

    solution = ProxNewton().minimise(problem.objective, problem.start)

    assert solution.status is Status.BUDGET_SPENT
    assert solution.gap_relative > 1e-10


@pytest.mark.parametrize("l1", [np.zeros(0), np.zeros(3), np.array([1.0, 0.0, 1.0])])
def test_every_column_needs_an_absolute_penalty(l1: Vector) -> None:
    """A column without one is refused: other solvers are for it."""
    objective = Problem("smooth", *drawn(30, 3)).objective

    with pytest.raises(InvalidParameter, match="l1_ratio above 0"):
        ProxNewton().minimise(replace(objective, rows=replace(objective.rows, l1=l1)), np.zeros(4))


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_where_hessians_are_dear_a_sample_serves(monkeypatch: pytest.MonkeyPatch, K: int, l1_ratio: float) -> None:
    """With Hessians of a sample of the rows, kept and renewed, the optimum is the same and certified."""
    problem = L1Problem(Problem("tall", *drawn(6000, 6, K, seed=7, spread=0.5), C=0.02), l1_ratio)
    exact = ProxNewton().minimise(problem.objective, problem.start)

    monkeypatch.setattr(working_set, "CHEAP_HESSIAN", 0.0)
    monkeypatch.setattr(working_set, "ROWS_PER_PARAM", 10)
    sampled = ProxNewton().minimise(problem.objective, problem.start)

    assert sampled.status is Status.OPTIMAL
    assert problem.true_gap(sampled.w) <= sampled.gap_bound
    # P is quadratic at its optimum: a gap of 1e-10 is 1e-5 in the coefficients.
    np.testing.assert_allclose(sampled.w, exact.w, atol=1e-4)


@pytest.mark.parametrize("K", [2, 3])
def test_where_hessians_are_too_large_products_serve(monkeypatch: pytest.MonkeyPatch, K: int) -> None:
    """Without any Hessian the optimum is the same, certified by duality alone."""
    problem = L1Problem(Problem("products", *drawn(150, 40, K, seed=7, spread=0.3), C=0.2), 1.0)
    exact = ProxNewton().minimise(problem.objective, problem.start)

    monkeypatch.setattr(working_set, "MOST_DENSE", 0)
    by_products = ProxNewton(tol=1e-9).minimise(problem.objective, problem.start)

    assert by_products.status is Status.OPTIMAL
    np.testing.assert_allclose(by_products.w, exact.w, atol=1e-4)


def test_a_step_that_overshoots_is_shortened() -> None:
    """From a start where the curvature is almost gone, the full step would raise P; what is taken lowers it."""
    problem = L1Problem(Problem("far", *drawn(60, 3), C=10.0), 1.0)
    start = np.array([40.0, -40.0, 40.0, 0.0])

    solution = ProxNewton().minimise(problem.objective, start)

    assert solution.status is Status.OPTIMAL
    assert (np.diff(solution.loss_curve) <= ROUNDING * solution.loss_curve[:-1]).all()


def test_the_start_has_the_best_intercepts() -> None:
    """Without coefficients the start is the log-odds, whatever the imbalance; a start with coefficients stays."""
    y = (np.arange(10_000) == 0).astype(np.intp)
    objective = L1Problem(Problem("rare", drawn(10_000, 2)[0], y), 1.0).objective
    given = np.array([0.1, 0.0, 0.0])

    cold, warm = (prox_newton.with_intercepts(objective, start) for start in (np.zeros(3), given))

    np.testing.assert_allclose(cold, [0.0, 0.0, -math.log(9999)], rtol=1e-9)
    np.testing.assert_array_equal(warm, given)
