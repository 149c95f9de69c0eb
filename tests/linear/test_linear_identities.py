"""Identities that need no oracle: equivalent ways to state a problem give the same fit."""

import math
from dataclasses import replace

import numpy as np
from hypothesis import given, settings, strategies as st
from problems import Problem, drawn

from service import LogisticRegression
from service.linear.columns.arrays import Matrix
from service.linear.objective_softmax import SoftmaxObjective
from service.linear.solvers import Newton

# Newton's last step leaves a relative gap far below 1e-16, so that coefficients agree to some 1e-8 at the worst.
RELATIVE, ABSOLUTE = 1e-7, 1e-8
quickly = settings(deadline=None, max_examples=25)


@st.composite
def problems(draw: st.DrawFn, *, unpenalised: bool = False) -> Problem:
    """Overlapping classes, weighted."""
    seed, K = draw(st.integers(0, 1000)), draw(st.integers(2, 4))
    X, y = drawn(30 * K, draw(st.integers(1, 3)), K, seed=seed, spread=0.5)
    C = math.inf if unpenalised else draw(st.sampled_from([0.01, 1.0, 100.0]))
    weights = np.random.default_rng(seed).integers(1, 4, len(X)).astype(np.float64)
    return Problem(f"drawn-{seed}", X, y, C, weights, unpenalised or draw(st.booleans()))


def fit(problem: Problem) -> LogisticRegression:
    model = LogisticRegression(C=problem.C, fit_intercept=problem.fit_intercept, tol=1e-12)
    return model.fit(problem.X, problem.y, problem.weights)


def parameters(model: LogisticRegression) -> Matrix:
    return np.column_stack([model.coef_, model.intercept_])


def assert_same(one: Problem, other: Problem) -> None:
    np.testing.assert_allclose(parameters(fit(one)), parameters(fit(other)), rtol=RELATIVE, atol=ABSOLUTE)


@given(problem=problems())
@quickly
def test_a_whole_weight_is_so_many_rows(problem: Problem) -> None:
    """Weight 2 means the row twice."""
    counts = problem.sample_weight.astype(np.intp)

    assert_same(problem, replace(problem, X=problem.X.repeat(counts, axis=0), y=problem.y.repeat(counts), weights=None))


@given(problem=problems(), seed=st.integers(0, 100))
@quickly
def test_a_weight_of_zero_is_no_row(problem: Problem, seed: int) -> None:
    """Weight 0 means that the row is not there."""
    kept = np.random.default_rng(seed).random(len(problem.X)) < 0.8
    kept[: problem.n_classes] = True

    without = replace(problem, X=problem.X[kept], y=problem.y[kept], weights=problem.sample_weight[kept])

    assert_same(replace(problem, weights=problem.sample_weight * kept), without)


@given(problem=problems(), seed=st.integers(0, 100))
@quickly
def test_the_order_of_rows_does_not_matter(problem: Problem, seed: int) -> None:
    """Rows in any order give the same fit."""
    order = np.random.default_rng(seed).permutation(len(problem.X))

    assert_same(problem, replace(problem, X=problem.X[order], y=problem.y[order], weights=problem.sample_weight[order]))


@given(problem=problems())
@quickly
def test_all_rows_twice_is_half_the_penalty(problem: Problem) -> None:
    """[X; X] with C/2 is X with C."""
    twice = replace(
        problem, X=np.tile(problem.X, (2, 1)), y=np.tile(problem.y, 2), weights=np.tile(problem.sample_weight, 2)
    )

    assert_same(problem, replace(twice, C=problem.C / 2))


@given(problem=problems())
@quickly
def test_weights_and_penalty_scale_together(problem: Problem) -> None:
    """Weights times 7 with a penalty times 7 change nothing."""
    assert_same(problem, replace(problem, weights=7 * problem.sample_weight, C=problem.C / 7))


@given(problem=problems())
@quickly
def test_one_column_twice_is_one_column_of_twice_the_strength(problem: Problem) -> None:
    """A duplicated column shares its coefficient evenly, as one column with half the penalty would have it."""
    twice = fit(replace(problem, X=np.column_stack([problem.X, problem.X])))

    halves = np.split(twice.coef_, 2, axis=1)

    once = fit(replace(problem, C=2 * problem.C))
    np.testing.assert_allclose(halves[0], halves[1], rtol=RELATIVE, atol=ABSOLUTE)
    np.testing.assert_allclose(halves[0] + halves[1], once.coef_, rtol=RELATIVE, atol=ABSOLUTE)


@given(problem=problems())
@quickly
def test_a_free_intercept_balances_the_residuals(problem: Problem) -> None:
    """With an intercept, the weighted residuals s (y - p) of each class sum to 0."""
    model = fit(replace(problem, fit_intercept=True))

    residual = (np.arange(problem.n_classes) == problem.y[:, None]) - model.predict_proba(problem.X)

    np.testing.assert_allclose(problem.sample_weight @ residual, 0.0, atol=1e-7)


@given(problem=problems(unpenalised=True), scale=st.floats(1e-6, 1e6), shift=st.floats(-10, 10))
@quickly
def test_affine_columns_leave_the_probabilities(problem: Problem, scale: float, shift: float) -> None:
    """Without a penalty, columns in another unit and from another zero give the same probabilities."""
    mixed = problem.X @ (np.eye(problem.X.shape[1]) + np.tri(problem.X.shape[1], k=-1)) * scale + shift * scale

    moved = fit(replace(problem, X=mixed))

    np.testing.assert_allclose(moved.predict_proba(mixed), fit(problem).predict_proba(problem.X), rtol=1e-7)


@given(seed=st.integers(0, 1000), C=st.sampled_from([0.01, 1.0, 100.0]))
@quickly
def test_softmax_of_two_classes_is_the_sigmoid_of_half_the_penalty(seed: int, C: float) -> None:
    """For K = 2 the softmax with λ is the sigmoid with λ/2, its coefficients split evenly between the classes."""
    problem = Problem("pair", *drawn(40, 2, 2, seed=seed), C=C)
    softmax = SoftmaxObjective(problem.objective.rows, problem.y, 2)

    solution = Newton(tol=1e-12).minimise(softmax, np.zeros(softmax.n_params))

    sigmoid = fit(replace(problem, C=2 * C))
    half = parameters(sigmoid).ravel() / 2
    np.testing.assert_allclose(solution.w, np.concatenate([-half, half]), rtol=RELATIVE, atol=ABSOLUTE)
    assert math.isclose(solution.objective, sigmoid.certificate_.objective, rel_tol=1e-12)
