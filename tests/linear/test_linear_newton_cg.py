"""Newton steps by conjugate gradients: the same optimum without a Hessian, certified by the ridge's bound."""

from __future__ import annotations

import math

import numpy as np
import pytest
from problems import PROBLEMS, REFERENCE_ERROR, Problem, drawn, reference_optimum

from service.errors import InvalidParameter
from service.linear.fit import Specification, choose_solver
from service.linear.objective_softmax import SoftmaxObjective
from service.linear.solver import Status
from service.linear.solvers import NewtonCG
from service.linear.solvers.newton_cg import solve

PENALISED = [
    problem
    for problem in PROBLEMS
    # Columns of 1e±150 have to be brought to scale first, which the estimator does; a penalty of 1e-20 bounds nothing.
    if problem.l2 > 1e-6
    and problem.X.size < 50_000
    and np.abs(problem.X).max(axis=0).min() > 1e-100
    and problem.X.max() < 1e5
]


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_products_are_those_of_the_hessian(n_classes: int, *, fit_intercept: bool) -> None:
    """A product and the diagonal are the Hessian's, the gauge apart, weights and several blocks included."""
    X, y = drawn(700, 300, n_classes, seed=2)
    weights = np.random.default_rng(0).uniform(0.1, 3, 700)
    objective = Problem("products", X, y, 2.0, weights, fit_intercept).objective
    rng = np.random.default_rng(1)
    w, v = 0.1 * rng.normal(size=(2, objective.n_params))
    _, _, hessian = objective.value_gradient_hessian(w)
    if isinstance(objective, SoftmaxObjective):
        v = v - np.tile(v.reshape(n_classes, -1).mean(axis=0), n_classes)

    product, diagonal = objective.hessian_product(w)

    np.testing.assert_allclose(product(v), hessian @ v, rtol=1e-11, atol=1e-11 * np.abs(hessian).max())
    if n_classes == 2:
        np.testing.assert_allclose(diagonal, np.diag(hessian), rtol=1e-12)


@pytest.mark.parametrize("problem", PENALISED, ids=str)
def test_every_penalised_problem_is_certified(problem: Problem) -> None:
    """The gap reaches the tolerance, and the true gap, in 80 bits, is below it."""
    solution = NewtonCG(tol=1e-9).minimise(problem.objective, np.zeros(problem.objective.n_params))

    assert solution.status is Status.OPTIMAL
    assert problem.true_gap(solution.w) <= solution.gap_bound + REFERENCE_ERROR * float(reference_optimum(problem))


def test_a_spent_budget_is_told() -> None:
    """One step does not reach the optimum of an ordinary problem, and the solution says so."""
    problem = Problem("budget", *drawn(100, 3, 2, seed=1))

    solution = NewtonCG(max_iter=1).minimise(problem.objective, np.zeros(4))

    assert solution.status is Status.BUDGET_SPENT
    assert solution.n_iter == 1
    assert problem.true_gap(solution.w) <= solution.gap_bound


def test_without_a_penalty_it_is_refused() -> None:
    """Its certificate rests on the penalty."""
    problem = Problem("unpenalised", *drawn(50, 3, 2, seed=1), math.inf)

    with pytest.raises(InvalidParameter, match="newton-cg"):
        NewtonCG().minimise(problem.objective, np.zeros(4))


def test_conjugate_gradients_solve_a_linear_system() -> None:
    """The residual falls below a tenth; a direction without curvature is returned as it is."""
    rng = np.random.default_rng(0)
    half = rng.normal(size=(30, 30))
    H, b = half @ half.T + np.eye(30), rng.normal(size=30)

    x, products = solve(lambda v: np.asarray(H @ v), np.diag(H), b)
    flat, _ = solve(np.zeros_like, np.ones(30), b)

    scale = 1 / np.diag(H)
    assert np.sqrt((b - H @ x) ** 2 @ scale) <= 0.1 * np.sqrt(b**2 @ scale)
    assert products <= 30
    np.testing.assert_array_equal(flat, b)


@pytest.mark.parametrize(
    ("shape", "C", "expected"),
    [
        ((1000, 30, 2), 1.0, "newton"),
        ((1000, 400, 10), 1.0, "newton-cg"),
        ((1000, 400, 10), math.inf, "newton"),
        ((100, 5000, 2), 1.0, "row-space"),
        ((9000, 5000, 2), 1.0, "newton-cg"),
    ],
)
def test_auto_picks_by_shape_and_says_why(shape: tuple[int, int, int], C: float, expected: str) -> None:
    """Rows, columns, classes and the penalty decide; the reason names the numbers."""
    specification = Specification(C, True, "auto", 1e-10, None, None, None)  # noqa: FBT003 — fields in order

    solver, reason = choose_solver(specification, *shape)

    assert solver.name == expected
    assert any(str(number) in reason for number in (shape[1], (shape[1] + 1) * (1 if shape[2] == 2 else shape[2])))
