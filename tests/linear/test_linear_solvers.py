"""Every solver meets every problem, and says truly how far it came."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from problems import PROBLEMS, QUASI_SEPARATED, REFERENCE_ERROR, SEPARATED, Problem, drawn, reference_optimum

from service.errors import Diverged
from service.linear.certificate import damping
from service.linear.estimator import LogisticRegression
from service.linear.factor import factorise
from service.linear.solver import Solution, Solver, Status
from service.linear.solvers import SOLVER_NAMES, SOLVERS, GradientDescent, Newton
from service.linear.solvers.gradient_descent import safe_rate

every_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=str)
# A thousand steps are all on the curve.
SOLVERS_AT_WORK: tuple[Solver, ...] = (Newton(), GradientDescent(max_iter=1000))
# Here a thousand steps of gradient descent come to the optimum.
WELL_CONDITIONED = {"binary", "three-classes", "two-points", "weighted", "weighted-3", "no-intercept", "log-odds-3"}
# Values of P differ by their own rounding: some eps of its size.
ROUNDING = 8 * np.finfo(np.float64).eps


def minimise(solver: Solver, problem: Problem) -> Solution:
    return solver.minimise(problem.objective, np.zeros(problem.objective.n_params))


def named(name: str) -> Problem:
    return next(problem for problem in PROBLEMS if problem.name == name)


@every_problem
@pytest.mark.parametrize("solver", SOLVERS_AT_WORK, ids=lambda solver: solver.name)
def test_the_bound_covers_the_true_gap(solver: Solver, problem: Problem) -> None:
    """Wherever a solver stops, the optimum is no farther below than its bound."""
    solution = minimise(solver, problem)

    assert problem.true_gap(solution.w) <= solution.gap_bound + REFERENCE_ERROR * reference_optimum(problem)
    assert solution.objective == pytest.approx(problem.objective.value(solution.w), rel=ROUNDING)


@every_problem
def test_newton_reaches_the_known_minimum(problem: Problem) -> None:
    """Newton certifies its tolerance on every problem that has an optimum, in few steps."""
    solution = minimise(Newton(tol=1e-10), problem)

    assert solution.status is Status.OPTIMAL
    assert solution.gap_relative <= 1e-10
    assert problem.true_gap(solution.w) <= 1e-10 * reference_optimum(problem)
    assert solution.n_iter <= 25


@every_problem
def test_newton_falls_at_every_step(problem: Problem) -> None:
    """Newton's loss curve never rises, starts at the start, and ends at w."""
    solution = minimise(Newton(), problem)

    curve = solution.loss_curve * problem.objective.rows.total_weight
    assert len(curve) == solution.n_iter + 1
    assert curve[0] == pytest.approx(problem.objective.value(np.zeros(problem.objective.n_params)), rel=ROUNDING)
    assert curve[-1] == pytest.approx(solution.objective, rel=ROUNDING)
    assert (np.diff(curve) <= ROUNDING * curve[0]).all()


@every_problem
def test_gradient_descent_falls_at_every_step(problem: Problem) -> None:
    """At the safe rate every step of gradient descent lowers the loss, down to its rounding."""
    solution = minimise(GradientDescent(max_iter=1000, tol=1e-300), problem)

    assert solution.curve_stride == 1
    assert len(solution.loss_curve) == solution.n_iter + 1
    assert (np.diff(solution.loss_curve) <= ROUNDING * solution.loss_curve[:-1]).all()


@pytest.mark.parametrize("name", sorted(WELL_CONDITIONED))
def test_gradient_descent_comes_to_newtons_optimum(name: str) -> None:
    """Run to its end, gradient descent is at Newton's optimum to its certified gap."""
    problem = named(name)

    slow, fast = minimise(GradientDescent(max_iter=10_000), problem), minimise(Newton(), problem)

    assert slow.status is Status.OPTIMAL
    assert slow.objective - fast.objective <= slow.gap_bound + ROUNDING * fast.objective
    # P is quadratic at its optimum: a gap of 1e-10 is 1e-5 in the coefficients.
    np.testing.assert_allclose(slow.w, fast.w, atol=1e-4)


@given(seed=st.integers(0, 10_000), size=st.floats(1e-3, 30.0), K=st.integers(2, 4), l2=st.sampled_from([1e-6, 1.0]))
@settings(deadline=None, max_examples=60)
def test_the_damped_step_always_decreases(seed: int, size: float, K: int, l2: float) -> None:
    """Wherever there is curvature, a Newton step of length log(1 + u)/u does not raise the loss."""
    problem = Problem("drawn", *drawn(30, 3, K, seed=seed), C=1 / l2)
    objective = problem.objective
    w = size * np.random.default_rng(seed).normal(size=objective.n_params)
    value, gradient, hessian = objective.value_gradient_hessian(w)
    step = -factorise(hessian).solve(gradient)

    u = objective.largest_change(objective.raw_prediction(step))
    damped = objective.value(w + damping(u) * step)

    assert damped <= value * (1 + ROUNDING)


@pytest.mark.parametrize("u", [0.0, 1e-300, 1e-12, 1e-3, 1.0, 1e6, 1e300])
def test_damping_is_a_step_length(u: float) -> None:
    """The length is in (0, 1], full where the step changes nothing, and u times it grows like a logarithm."""
    length = damping(u)

    assert 0 < length <= 1
    assert length * u == pytest.approx(math.log1p(u), rel=1e-8)


@pytest.mark.parametrize("problem", [*SEPARATED, *QUASI_SEPARATED], ids=str)
def test_newton_says_when_there_is_no_optimum(problem: Problem) -> None:
    """Without a penalty on separated classes, Newton ends without a bound and says why."""
    solution = minimise(Newton(), problem)

    assert solution.status is Status.NO_FINITE_OPTIMUM
    assert solution.gap_bound == math.inf
    assert solution.gap_relative == math.inf


@pytest.mark.parametrize("solver", [Newton(max_iter=1), GradientDescent(max_iter=3)], ids=lambda solver: solver.name)
def test_a_spent_budget_is_an_outcome(solver: Solver) -> None:
    """A solver that runs out of steps returns where it is, having taken no more than it was given."""
    solution = minimise(solver, named("separable"))

    assert solution.status is Status.BUDGET_SPENT
    assert solution.n_iter <= 3
    assert math.isfinite(solution.objective)


def test_an_absurd_rate_overflows() -> None:
    """A learning rate at which the parameters leave the doubles raises Diverged, and warns of nothing else."""
    with pytest.raises(Diverged, match="lower the learning rate"):
        minimise(GradientDescent(learning_rate=1e300, max_iter=100), named("columns-1e6"))


def test_an_absurd_point_is_not_certified() -> None:
    """Where a huge step has taken all curvature away, no bound is known."""
    solution = minimise(GradientDescent(learning_rate=1e9, max_iter=5), named("binary-unpenalised"))

    assert solution.status is Status.BUDGET_SPENT
    assert solution.gap_bound == math.inf


def test_a_wide_descent_is_certified_without_a_hessian() -> None:
    """Beyond the size where a Hessian fits, gradient descent under a ridge has a finite bound, in little memory."""
    X = np.random.default_rng(0).normal(size=(12, 10_001))
    model = LogisticRegression(solver="gradient-descent", C=1e-3, max_iter=50)

    tracemalloc.start()
    with pytest.warns(UserWarning, match="max_iter"):
        model.fit(X, np.arange(12) % 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert np.isfinite(model.certificate_.gap_bound)
    assert peak < 100e6


def test_a_long_curve_is_thinned() -> None:
    """Beyond a thousand steps the curve keeps evenly spaced points, the first and the last among them."""
    solution = minimise(GradientDescent(max_iter=2500, tol=1e-300), named("separable"))

    assert solution.curve_stride == 3
    assert len(solution.loss_curve) == 1 + math.ceil(2500 / 3)
    assert solution.loss_curve[-1] * 60 == pytest.approx(solution.objective, rel=ROUNDING)


def test_the_safe_rate_is_that_of_the_curvature() -> None:
    """The safe rate is 1/L with L the largest curvature that the mean loss can have, a quarter for one column of ±1."""
    problem = Problem("signs", np.array([[-1.0], [1.0]]), np.array([0, 1]), C=2.0, fit_intercept=False)

    assert safe_rate(problem.objective) == pytest.approx(1 / (0.25 + 0.5 / 2), rel=1e-15)


def test_every_solver_is_listed() -> None:
    """The names that the estimator takes are those of the solvers, and "auto"."""
    assert [solver.name for solver in SOLVERS] == [
        "newton",
        "newton-cg",
        "row-space",
        "prox-newton",
        "gradient-descent",
    ]
    assert set(SOLVER_NAMES) == {"auto", "newton", "newton-cg", "row-space", "prox-newton", "gradient-descent"}
    assert [solver.promises_optimum for solver in SOLVERS] == [True, True, True, True, False]
