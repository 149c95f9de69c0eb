"""Value, gradient and Hessian are those of the formula, by differences and by 80-bit numbers."""

from dataclasses import replace

import numpy as np
import pytest
from problems import PROBLEMS, SMALL, Problem, Wide, value_gradient_hessian

from service.linear.columns import dense
from service.linear.columns.arrays import Vector
from service.linear.objective import Objective
from service.linear.objective_binary import BinaryObjective
from service.linear.objective_softmax import SoftmaxObjective

small_problems = pytest.mark.parametrize("problem", SMALL, ids=str)
# Central differences of step h err by h² f''' and by eps f / h: at h = 1e-5 both are near 1e-10 of the derivative.
BY_DIFFERENCES = 1e-6


def point(problem: Problem, size: float = 1.0, seed: int = 0) -> Vector:
    """A random w, of margins about ``size`` whatever the units of the columns."""
    unit = np.abs(problem.X).max(axis=0, initial=0.0)
    per_logit = np.append(np.where(unit > 0, unit, 1.0), np.ones(int(problem.fit_intercept)))
    n_logits = problem.objective.n_params // len(per_logit)
    drawn = np.random.default_rng(seed).normal(size=problem.objective.n_params)
    return np.asarray(size * drawn / np.tile(per_logit, n_logits), dtype=np.float64)


def differences(objective: BinaryObjective | SoftmaxObjective, w: Vector) -> tuple[Vector, Vector]:
    """∇P and ∇²P by central differences of the value and of the gradient."""
    steps = 1e-5 * np.eye(len(w))
    gradient = [(objective.value(w + step) - objective.value(w - step)) / 2e-5 for step in steps]
    pairs = [(objective.value_and_gradient(w + step)[1], objective.value_and_gradient(w - step)[1]) for step in steps]
    return np.array(gradient), np.array([(after - before) / 2e-5 for after, before in pairs])


def without_gauge(objective: Objective, hessian: Vector) -> Vector:
    """The Hessian less what it holds along the directions that move all classes alike, the penalty excepted."""
    K = objective.n_params // objective.rows.width
    if K == 1:
        return hessian
    centre = np.kron(np.full((K, K), 1 / K), np.eye(objective.rows.width))
    return np.asarray(hessian - centre @ (hessian - np.diag(objective.l2_params)) @ centre)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("has_offset", [True, False])
@pytest.mark.parametrize("K", [2, 3])
def test_derivatives_are_those_of_the_value(K: int, *, has_offset: bool, fit_intercept: bool) -> None:
    """The gradient and the Hessian are the central differences of the value, with weights, offset and intercept."""
    rng = np.random.default_rng(K)
    weights, y = rng.uniform(0.5, 2.0, 20), np.arange(20) % K
    problem = Problem("drawn", rng.normal(size=(20, 3)), y, 2.0, weights, fit_intercept)
    offset = rng.normal(size=20 if K == 2 else (20, K))
    objective = replace(problem.objective, offset=offset) if has_offset else problem.objective
    w = point(problem)

    value, gradient, hessian = objective.value_gradient_hessian(w)

    expected_gradient, expected_hessian = differences(objective, w)
    assert value == pytest.approx(objective.value(w), rel=1e-14)
    for computed, expected in ((gradient, expected_gradient), (without_gauge(objective, hessian), expected_hessian)):
        np.testing.assert_allclose(computed, expected, rtol=BY_DIFFERENCES, atol=BY_DIFFERENCES)


@small_problems
@pytest.mark.parametrize("size", [0.0, 1.0, 30.0])
def test_value_is_exact_to_rounding(problem: Problem, size: float) -> None:
    """The value agrees with 80-bit numbers to the rounding of the logits and of the sum."""
    w = point(problem, size)

    exact = float(value_gradient_hessian(problem, w.astype(np.longdouble))[0])

    wobble = problem.objective.gradient_rounding(w) @ np.abs(w)
    assert abs(problem.objective.value(w) - exact) <= wobble + 1e-15 * exact


@small_problems
@pytest.mark.parametrize("size", [0.0, 1.0, 30.0, 1e3])
def test_gradient_rounding_bounds_the_error(problem: Problem, size: float) -> None:
    """No gradient is farther from the 80-bit one than ``gradient_rounding`` says."""
    w = point(problem, size)

    exact: Wide = value_gradient_hessian(problem, w.astype(np.longdouble))[1]

    bound = problem.objective.gradient_rounding(w)
    for gradient in (problem.objective.value_and_gradient(w)[1], problem.objective.value_gradient_hessian(w)[1]):
        assert (np.abs(gradient - exact) <= bound).all()


@small_problems
def test_gradient_function_is_the_gradient(problem: Problem) -> None:
    """The function for many calls gives the gradient, to eps of the rows' sizes, at small and at absurd points."""
    objective = problem.objective
    gradient_at = objective.gradient_function()
    scale = objective.rows.sample_weight @ np.abs(objective.rows.augmented())
    for size in (0.0, 1.0, 1e4):
        w = point(problem, size)

        with np.errstate(over="ignore"):
            gradient = gradient_at(w).copy()

        error = np.abs(gradient - objective.value_and_gradient(w)[1]).reshape(-1, len(scale))
        # z is some ten thousand eps off at the largest size, and the residual by a quarter of that.
        assert (error <= 1e-11 * scale).all()


@pytest.mark.parametrize("K", [2, 3])
def test_blocks_add_up(K: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows read in many blocks, the last one short, give what one block gives."""
    rng = np.random.default_rng(0)
    problem = Problem("blocks", rng.normal(size=(1000, 4)), np.arange(1000) % K, weights=rng.uniform(0.1, 2, 1000))
    w = point(problem)
    whole = problem.objective.value_gradient_hessian(w)
    leverage = problem.objective.largest_leverage(np.eye(problem.objective.n_params))

    monkeypatch.setattr(dense, "FEWEST_ROWS", 300)
    monkeypatch.setattr(dense, "FEWEST_PASSED", 300)
    monkeypatch.setattr(dense, "GRAM_NUMBERS", 300)
    monkeypatch.setattr(dense, "PASS_NUMBERS", 300)
    blocked = problem.objective.value_gradient_hessian(w)

    assert len(list(problem.objective.rows.parts())) == len(list(problem.objective.rows.dense_parts())) == 4
    assert problem.objective.largest_leverage(np.eye(problem.objective.n_params)) == pytest.approx(leverage, rel=1e-14)
    # The terms are the same; only the order of a thousand additions is not.
    assert blocked[0] == pytest.approx(whole[0], rel=1e-12)
    np.testing.assert_allclose(blocked[1], whole[1], rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(blocked[2], whole[2], rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("problem", [problem for problem in PROBLEMS if problem.fit_intercept], ids=str)
def test_intercept_only_is_the_same_loss(problem: Problem) -> None:
    """With the coefficients held, the loss as a function of the intercepts is the loss less the penalty."""
    w = point(problem)

    inner, intercept = problem.objective.restricted(np.zeros(0, dtype=np.intp), w)

    penalty = 0.5 * (problem.objective.l2_params * w) @ w
    at_intercept = inner.value_at(inner.raw_prediction(intercept), intercept)
    # The logits are summed in another order, and the penalty is subtracted.
    assert at_intercept + penalty == pytest.approx(problem.objective.value(w), rel=1e-13)


def test_largest_change_and_leverage_by_their_definition() -> None:
    """Of three classes, both are taken over rows and pairs of classes."""
    problem = next(problem for problem in PROBLEMS if problem.name == "three-classes")
    objective, rng = problem.objective, np.random.default_rng(0)
    factor, w = rng.normal(size=(objective.n_params, 5)), point(problem)
    contrasts = [np.eye(3)[k] - np.eye(3)[j] for k in range(3) for j in range(k)]
    directions = np.array([np.kron(pair, row) for pair in contrasts for row in objective.rows.augmented()])

    leverage, change = objective.largest_leverage(factor), objective.largest_change(objective.raw_prediction(w))

    assert leverage == pytest.approx(((directions @ factor) ** 2).sum(axis=1).max(), rel=1e-13)
    assert change == pytest.approx(np.abs(directions @ w).max(), rel=1e-13)


@pytest.mark.parametrize("name", ["binary", "three-classes", "no-intercept-3"])
def test_the_absolute_penalty_is_in_the_value_alone(name: str) -> None:
    """Σ κ |coef| adds to every value of P and to no gradient; the intercepts and an objective without penalty have none."""
    problem = next(problem for problem in PROBLEMS if problem.name == name)
    smooth, n_columns = problem.objective, problem.X.shape[1]
    l1 = np.arange(1.0, n_columns + 1)
    objective = replace(smooth, rows=replace(smooth.rows, l1=l1))
    w = np.random.default_rng(0).normal(size=objective.n_params)
    expected = float((np.abs(w.reshape(-1, smooth.rows.width)[:, :n_columns]) @ l1).sum())

    value, gradient = objective.value_and_gradient(w)

    np.testing.assert_array_equal(gradient, smooth.value_and_gradient(w)[1])
    assert value - smooth.value(w) == pytest.approx(expected)
    assert objective.value(w) == pytest.approx(value)
    assert objective.value_gradient_hessian(w)[0] == pytest.approx(value)
    assert objective.without_penalty().value(w) == smooth.without_penalty().value(w)
    assert not objective.restricted(np.zeros(0, dtype=np.intp), w)[0].l1_params.any()


@pytest.mark.parametrize("problem", SMALL, ids=str)
def test_losses_and_residuals_of_rows_add_up_to_value_and_gradient(problem: Problem) -> None:
    """Each row's loss and residual, summed, are P and its gradient without the penalty."""
    objective = problem.objective.without_penalty()
    w = (
        0.1
        * np.random.default_rng(0).normal(size=objective.n_params)
        / np.tile(
            np.append(np.maximum(np.abs(problem.X).max(axis=0), 1e-300), np.ones(int(problem.fit_intercept))),
            objective.n_params // objective.rows.width,
        )
    )

    losses, residuals = objective.losses_and_residuals(objective.raw_prediction(w))

    value, gradient = objective.value_and_gradient(w)
    s = problem.sample_weight
    summed = objective.rows.transposed_product((s * residuals.T).T)
    # The largest that a sum of so many terms can be: what its rounding is measured by.
    size = np.tile(s @ np.abs(objective.rows.augmented()), objective.n_params // objective.rows.width)
    assert s @ losses == pytest.approx(value, rel=1e-13)
    np.testing.assert_array_less(np.abs(summed - gradient), 1e-13 * size + 1e-300)
