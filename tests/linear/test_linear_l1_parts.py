"""The parts of proximal Newton by themselves: balance, the bound by signs, the quadratic model, the working set."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from l1_problems import SMALL_L1, L1Problem, reference_minimiser, reference_optimum
from problems import REFERENCE_ERROR, Problem, drawn

from service.linear.certificate_l1 import Balanced, DualGap, flows, stationary
from service.linear.certificate_signs import SignedPart, signed_gap
from service.linear.columns.arrays import Matrix, Vector
from service.linear.objective_softmax import SoftmaxObjective
from service.linear.solvers.l1_model import DenseCurvature, L1Model, ProductCurvature
from service.linear.solvers.working_set import WorkingSet, needed_columns, without_gauge


@pytest.mark.parametrize("K", [2, 3, 7, 40])
def test_a_stationary_distribution_balances(K: int) -> None:
    """What flows into a class is what flows out of it, to rounding, for rates of all magnitudes; the largest weight is 1."""
    rng = np.random.default_rng(K)
    rates = 10.0 ** rng.uniform(-12, 3, (K, K))
    np.fill_diagonal(rates, 0.0)

    c = stationary(rates)

    np.testing.assert_allclose(c @ rates, c * rates.sum(axis=1), rtol=1e-12)
    assert c.max() == 1.0
    assert (c > 0).all()


def test_the_smaller_flow_of_two_sets_the_pace() -> None:
    """For two classes the larger flow is scaled to the smaller; where nothing flows back there is no balance but 0."""
    np.testing.assert_allclose(stationary(np.array([[0.0, 2.0], [5.0, 0.0]])), [1.0, 0.4])
    np.testing.assert_allclose(stationary(np.array([[0.0, 5.0], [2.0, 0.0]])), [0.4, 1.0])
    np.testing.assert_array_equal(stationary(np.array([[0.0, 5.0], [0.0, 0.0]])), [0.0, 0.0])


def test_flows_go_from_label_to_class() -> None:
    """F_lk is the weight that rows of class l give to class k."""
    p = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6]])
    labels = np.array([0, 1, 1])

    found = flows(p - np.eye(3)[labels], np.array([1.0, 2.0, 1.0]), labels)

    np.testing.assert_allclose(found, np.array([[0, 0.3, 0.2], [0.4, 0, 1.2], [0, 0, 0]]), atol=1e-15)


@pytest.mark.parametrize("problem", [p for p in SMALL_L1 if p.problem.fit_intercept][:8], ids=str)
def test_scaled_residuals_sum_to_zero(problem: L1Problem) -> None:
    """Σ s (p′ - y) is 0 for every class, far from the optimum too."""
    objective = problem.objective
    w = np.random.default_rng(1).normal(size=objective.n_params)

    found = Balanced.of(objective, objective.raw_prediction(w))

    sums = objective.rows.sample_weight @ found.residuals
    np.testing.assert_allclose(sums, 0.0, atol=1e-12 * objective.rows.total_weight)
    assert 0 <= found.factors.min() <= found.factors.max() == 1.0


@pytest.mark.parametrize("size", [1e2, 1e3, 1e6])
def test_the_gap_is_finite_where_probabilities_underflow(size: float) -> None:
    """At huge logits on both sides of the truth the gap is a number, at least the true gap and at most P."""
    problem = SMALL_L1[0]
    w = size * np.array([1.0, -1.0, 1.0, 0.0])

    gap = DualGap(problem.objective).at(w, problem.objective.raw_prediction(w)).gap

    value = problem.objective.value(w)
    assert value - float(reference_optimum(problem)) <= gap <= value * (1 + 1e-9)


def bound_by_signs(problem: L1Problem, w: Vector) -> float:
    objective = problem.objective
    gradient, hessian = objective.value_and_gradient(w)[1], objective.value_gradient_hessian(w)[2]
    whole = DualGap(objective)
    part = SignedPart(objective, np.arange(len(w)), w, gradient, without_gauge(objective, hessian), 1.0)
    return signed_gap(part, whole, whole.at(w, objective.raw_prediction(w)))


@pytest.mark.parametrize("problem", SMALL_L1, ids=str)
def test_the_bound_by_signs_holds(problem: L1Problem) -> None:
    """With the right zeros, and coefficients at all distances, the true gap is at most the bound by signs."""
    rng, best = np.random.default_rng(0), reference_minimiser(problem).astype(np.float64)
    noise = REFERENCE_ERROR * float(reference_optimum(problem))

    for distance in 10.0 ** np.arange(-9, 1):
        w = best * (1.0 + distance * rng.normal(size=len(best)))

        assert problem.true_gap(w) <= bound_by_signs(problem, w) + noise


@pytest.mark.parametrize("problem", [SMALL_L1[0], SMALL_L1[1]], ids=str)
def test_the_bound_by_signs_tends_to_the_truth(problem: L1Problem) -> None:
    """Near the optimum it is the gap itself, and a hundredfold better where the gap by duality is linear."""
    best = reference_minimiser(problem).astype(np.float64)
    w = best * (1.0 + 1e-4 * np.random.default_rng(0).normal(size=len(best)))

    by_signs, by_duality = (
        bound_by_signs(problem, w),
        DualGap(problem.objective).at(w, problem.objective.raw_prediction(w)).gap,
    )

    assert by_signs == pytest.approx(problem.true_gap(w), rel=0.05)
    assert by_duality > 100 * by_signs


def test_no_bound_by_signs_where_signs_are_wrong_or_columns_equal() -> None:
    """A coefficient missing, or two equal columns that share one, leave no bound by signs."""
    X, y = drawn(60, 3)
    problem = L1Problem(Problem("three", X, y), 1.0)
    twice = L1Problem(Problem("twice", np.column_stack([X, X[:, :1]]), y), 1.0)
    best = reference_minimiser(problem).astype(np.float64)
    missing = best * np.array([0.0, 1.0, 1.0, 1.0])
    shared = np.insert(best, 3, 0.5 * best[0]) - np.array([0.5 * best[0], 0, 0, 0, 0])

    assert bound_by_signs(problem, best) < 1e-20
    assert bound_by_signs(problem, missing) == math.inf
    assert bound_by_signs(twice, shared) == math.inf


def by_coordinates(H: Matrix, gradient: Vector, w: Vector, l1: Vector) -> Vector:
    """The minimum of the model, one coordinate at a time, many times."""
    x = w.copy()
    for _ in range(2_000):
        for j in range(len(x)):
            z = x[j] - (gradient + H @ (x - w))[j] / H[j, j]
            x[j] = np.sign(z) * max(abs(z) - l1[j] / H[j, j], 0.0)
        slope = gradient + H @ (x - w)
        if (np.abs(np.where(x != 0, slope + l1 * np.sign(x), np.maximum(np.abs(slope) - l1, 0))) < 1e-9).all():
            break
    return x


def model_value(H: Matrix, gradient: Vector, w: Vector, l1: Vector, x: Vector) -> float:
    return float((gradient + 0.5 * H @ (x - w)) @ (x - w) + l1 @ np.abs(x))


@pytest.mark.parametrize("seed", range(10))
def test_the_model_is_minimised(seed: int) -> None:
    """From any point, the minimum of the model is that which coordinate descent finds, zeros included.

    By products the steps are inexact, and gain at least nine tenths of what there is to gain.
    """
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(30, 12)) + rng.normal(size=(30, 1))
    H, gradient, l1 = rows.T @ rows, 20 * rng.normal(size=12), np.append(np.full(11, 10.0), 0.0)
    w = rng.normal(size=12) * (rng.random(12) < 0.5)

    x = L1Model(w, gradient, DenseCurvature(H), l1).minimum()
    inexact = L1Model(w, gradient, ProductCurvature(lambda v: H @ v, np.diag(H)), l1).minimum()

    expected = by_coordinates(H, gradient, w, l1)
    start, least, reached = (model_value(H, gradient, w, l1, point) for point in (w, expected, inexact))
    np.testing.assert_allclose(x, expected, atol=1e-6)
    np.testing.assert_array_equal(x == 0, expected == 0)
    assert start - reached >= 0.9 * (start - least)


@pytest.mark.parametrize("seed", range(3))
def test_a_model_of_low_rank_is_lowered(seed: int) -> None:
    """With more coordinates than H has rank, the model ends within a thousandth of what there is to gain."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(8, 30))
    # A gradient in the span of H, as that of a loss is: without it there would be no minimum.
    H, gradient, l1, w = rows.T @ rows, rows.T @ rng.normal(size=8), np.full(30, 1.0), np.zeros(30)

    x = L1Model(w, gradient, DenseCurvature(H), l1).minimum()

    gained = -model_value(H, gradient, w, l1, x)
    possible = -model_value(H, gradient, w, l1, by_coordinates(H, gradient, w, l1))
    assert gained >= 0.999 * possible > 0


def test_without_the_gauge_a_hessian_is_that_of_its_products() -> None:
    """Less the gauge on the coefficients, H v is the product with the Hessian, for v without intercepts."""
    X, y = drawn(50, 4, 3)
    objective = L1Problem(Problem("gauge", X, y, C=0.5), 0.5).objective
    assert isinstance(objective, SoftmaxObjective)
    rng = np.random.default_rng(0)
    w, v = rng.normal(size=(2, objective.n_params))
    v.reshape(3, -1)[:, -1] = 0.0

    hessian = without_gauge(objective, objective.value_gradient_hessian(w)[2])

    np.testing.assert_allclose(hessian @ v, objective.hessian_product(w)[0](v), rtol=1e-12, atol=1e-12)


def test_a_working_set_is_the_objective_where_the_rest_is_zero() -> None:
    """Value and gradient of the part are those of the whole, and its parameters are found there again."""
    problem = L1Problem(Problem("part", *drawn(40, 20, 3, seed=3), C=0.5), 0.5)
    columns = np.array([2, 3, 11])
    w = problem.start.copy()
    w.reshape(3, 21)[:, [*columns, 20]] = np.random.default_rng(0).normal(size=(3, 4))

    part = WorkingSet.of(problem.objective, columns)

    value, gradient = part.objective.value_and_gradient(w[part.positions])
    whole_value, whole_gradient = problem.objective.value_and_gradient(w)
    assert value == pytest.approx(whole_value)
    np.testing.assert_allclose(gradient, whole_gradient[part.positions], rtol=1e-12)


def test_columns_join_by_what_exceeds_the_penalty() -> None:
    """Columns with a coefficient stay, the worst offenders join; when these are most of the columns, all do."""
    X, y = drawn(80, 500, seed=1)
    objective = L1Problem(Problem("many", X, y, C=1.0), 1.0).objective
    w = np.zeros(501)
    w[7] = 1.0
    dual = DualGap(objective).at(w, objective.raw_prediction(w))
    excess = np.abs(dual.correlation[:500])

    columns = needed_columns(objective, w, dual)
    harsher = replace(objective, rows=replace(objective.rows, l1=np.full(500, excess.max() + 1)))

    assert 7 in columns
    assert len(columns) in {64, 65}
    assert excess[columns[columns != 7]].min() >= np.sort(excess)[-65]
    np.testing.assert_array_equal(needed_columns(harsher, w, dual), [7])
    assert len(needed_columns(objective, np.ones(501), dual)) == 500


def test_a_model_without_curvature_stays_where_it_is() -> None:
    """Coordinates that H does not bend are not moved, and nothing is divided by 0."""
    w, gradient, l1 = np.array([1.0, 0.0, -2.0]), np.array([5.0, 5.0, 0.0]), np.ones(3)

    x = L1Model(w, gradient, DenseCurvature(np.zeros((3, 3))), l1).minimum()

    np.testing.assert_array_equal(x, w)
