"""``LogisticRegression`` with ``l1_ratio``: identities that need no oracle, exact zeros, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from l1_problems import L1Problem
from problems import Problem, drawn
from sklearn.linear_model import LogisticRegression as Peer

from service import LogisticRegression
from service.errors import InvalidParameter
from service.linear.after_fit import cluster_covariance
from service.linear.columns.arrays import Matrix
from service.linear.fit import Specification, choose_solver
from service.linear.objective_softmax import SoftmaxObjective
from service.linear.solvers import ProxNewton

# A relative gap of 1e-13 is some 1e-6 in the coefficients.
RELATIVE, ABSOLUTE = 1e-5, 2e-6
quickly = settings(deadline=None, max_examples=25)


@st.composite
def problems(draw: st.DrawFn, classes: tuple[int, ...] = (2, 3)) -> L1Problem:
    """Overlapping classes, weighted, penalised so that some coefficients are 0."""
    seed, K = draw(st.integers(0, 1000)), draw(st.sampled_from(classes))
    X, y = drawn(30 * K, draw(st.integers(2, 6)), K, seed=seed, spread=0.5)
    weights = np.random.default_rng(seed).integers(1, 4, len(X)).astype(np.float64)
    problem = Problem(f"drawn-{seed}", X, y, draw(st.sampled_from([0.03, 0.3, 3.0])), weights, draw(st.booleans()))
    return L1Problem(problem, draw(st.sampled_from([0.5, 1.0])))


def fit(given: L1Problem) -> LogisticRegression:
    problem = given.problem
    model = LogisticRegression(
        C=problem.C, l1_ratio=given.l1_ratio, fit_intercept=problem.fit_intercept, tol=1e-13, max_iter=200
    )
    return model.fit(problem.X, problem.y, problem.weights)


def parameters(model: LogisticRegression) -> Matrix:
    return np.column_stack([model.coef_, model.intercept_])


def changed(given: L1Problem, **fields: object) -> L1Problem:
    return L1Problem(replace(given.problem, **fields), given.l1_ratio)  # type: ignore[arg-type]  # fields by name


def assert_same(one: L1Problem, other: L1Problem) -> None:
    np.testing.assert_allclose(parameters(fit(one)), parameters(fit(other)), rtol=RELATIVE, atol=ABSOLUTE)


@given(given=problems())
@quickly
def test_a_whole_weight_is_so_many_rows(given: L1Problem) -> None:
    """Weight 2 means the row twice."""
    problem = given.problem
    counts = problem.sample_weight.astype(np.intp)

    assert_same(given, changed(given, X=problem.X.repeat(counts, axis=0), y=problem.y.repeat(counts), weights=None))


@given(given=problems(), seed=st.integers(0, 100))
@quickly
def test_the_order_of_rows_does_not_matter(given: L1Problem, seed: int) -> None:
    """Rows in any order give the same fit."""
    problem = given.problem
    order = np.random.default_rng(seed).permutation(len(problem.X))

    assert_same(given, changed(given, X=problem.X[order], y=problem.y[order], weights=problem.sample_weight[order]))


@given(given=problems())
@quickly
def test_all_rows_twice_is_half_the_penalty(given: L1Problem) -> None:
    """[X; X] with C/2 is X with C."""
    problem = given.problem
    weights = np.tile(problem.sample_weight, 2)

    assert_same(
        given, changed(given, X=np.tile(problem.X, (2, 1)), y=np.tile(problem.y, 2), weights=weights, C=problem.C / 2)
    )


@given(given=problems(classes=(2,)))
@quickly
def test_swapped_labels_negate(given: L1Problem) -> None:
    """The coefficients and the intercept of two classes change their sign with the labels."""
    swapped = changed(given, y=1 - given.problem.y)

    np.testing.assert_allclose(parameters(fit(swapped)), -parameters(fit(given)), rtol=RELATIVE, atol=ABSOLUTE)


@given(given=problems(), unit=st.sampled_from([1e-3, 1.0, 50.0]))
@quickly
def test_units_of_all_columns_are_units_of_the_penalty(given: L1Problem, unit: float) -> None:
    """Columns times u with an L1 penalty times u give coefficients divided by u, zeros the same."""
    given = L1Problem(given.problem, 1.0)
    problem = given.problem
    scaled = fit(changed(given, X=unit * problem.X, C=problem.C / unit))

    plain = fit(given)

    np.testing.assert_allclose(unit * scaled.coef_, plain.coef_, rtol=RELATIVE, atol=ABSOLUTE)
    np.testing.assert_array_equal(scaled.coef_ == 0, plain.coef_ == 0)


@given(seed=st.integers(0, 1000), C=st.sampled_from([0.1, 1.0]))
@quickly
def test_softmax_of_two_classes_is_the_sigmoid(seed: int, C: float) -> None:
    """For K = 2, ±δ/2 are the best halves of δ: the quadratic penalty halves, the absolute one stays what it is."""
    X, y = drawn(40, 3, 2, seed=seed)
    problem = L1Problem(Problem("pair", X, y, C=C), 0.5)
    softmax = SoftmaxObjective(problem.objective.rows, y, 2)
    halved = replace(problem.objective.rows, l2=problem.objective.rows.l2 / 2)
    sigmoid = replace(problem.objective, rows=halved)

    by_class = ProxNewton(tol=1e-13).minimise(softmax, np.zeros(8))
    one = ProxNewton(tol=1e-13).minimise(sigmoid, np.zeros(4))

    assert math.isclose(by_class.objective, one.objective, rel_tol=1e-12)
    np.testing.assert_allclose(by_class.w, np.concatenate([-one.w / 2, one.w / 2]), rtol=RELATIVE, atol=ABSOLUTE)


@pytest.mark.parametrize("K", [2, 3])
def test_equal_columns_share_what_one_would_have(K: int) -> None:
    """A repeated column changes no probability: its coefficients have one sign, and sum to that of the one column."""
    X, y = drawn(80, 4, K, seed=6)

    once = LogisticRegression(C=0.5, l1_ratio=1.0, tol=1e-9).fit(X, y)
    twice = LogisticRegression(C=0.5, l1_ratio=1.0, tol=1e-9).fit(np.column_stack([X, X[:, 0]]), y)

    assert twice.certificate_.gap_relative <= 1e-9
    np.testing.assert_allclose(twice.coef_[:, 0] + twice.coef_[:, 4], once.coef_[:, 0], atol=1e-4)
    assert (twice.coef_[:, 0] * twice.coef_[:, 4] >= 0).all()


@pytest.mark.parametrize("scale", [1.0, 1e6, 1e-6])
def test_zeros_are_exact_on_the_raw_scale(scale: float) -> None:
    """Whatever the columns' units and means, what the penalty removes is 0.0 to the bit, also a constant column."""
    X, y = drawn(100, 10, seed=8, spread=0.3)
    X = np.column_stack([X * scale + 3 * scale, np.full(100, 7.0)])

    model = LogisticRegression(C=0.1 / scale, l1_ratio=1.0).fit(X, y)

    assert 0 < np.count_nonzero(model.coef_) < 11
    assert model.coef_[0, -1] == 0.0
    assert model.certificate_.status == "optimal"
    assert (model.certificate_.solver, model.certificate_.reason) == ("prox-newton", "an L1 penalty")


@pytest.mark.parametrize(("n", "p", "K"), [(60, 2000, 2), (60, 700, 3)])
def test_many_more_columns_than_rows(n: int, p: int, K: int) -> None:
    """With p ≫ n at most n coefficients a logit are not 0, and the conditions hold for all columns."""
    X, y = drawn(n, p, K, seed=9, spread=0.1)

    model = LogisticRegression(C=0.2, l1_ratio=1.0).fit(X, y)

    assert model.certificate_.status == "optimal"
    assert 0 < np.count_nonzero(model.coef_, axis=1).max() <= n
    residuals = (np.arange(K) == y[:, None]) - model.predict_proba(X)
    correlation = residuals.T @ X if K > 2 else residuals[:, 1:].T @ X
    assert np.abs(correlation).max() <= 5.0 * (1 + 1e-3)


def test_without_a_penalty_the_ratio_does_not_matter() -> None:
    """C = inf is no penalty, whatever l1_ratio says, and Newton's method fits it."""
    X, y = drawn(60, 3)

    model = LogisticRegression(C=math.inf, l1_ratio=0.7, covariance="observed").fit(X, y)

    assert model.certificate_.solver == "newton"
    np.testing.assert_array_equal(model.coef_, LogisticRegression(C=math.inf).fit(X, y).coef_)


@pytest.mark.parametrize("K", [2, 3])
def test_a_warm_start_needs_fewer_steps(K: int) -> None:
    """From the last optimum, zeros kept, the same fit takes at most a step; one nearby fewer than from nothing."""
    X, y = drawn(100, 30, K, seed=1, spread=0.4)
    model = LogisticRegression(C=0.3, l1_ratio=0.9, warm_start=True).fit(X, y)
    cold = int(model.n_iter_[0])

    again = int(model.fit(X, y).n_iter_[0])

    assert again <= 1 < cold
    assert (model.coef_ == 0).any()


def test_raw_units_are_no_obstacle() -> None:
    """On columns of sizes from 1e-3 to 1e3, weakly penalised, the fit is certified, and no worse than scikit-learn's."""
    rng = np.random.default_rng(2)
    X, y = drawn(150, 6, seed=2, spread=0.3)
    X = X * 10.0 ** rng.uniform(-3, 3, 6) + rng.uniform(-1, 1, 6)

    model = LogisticRegression(C=10.0, l1_ratio=1.0, fit_intercept=False).fit(X, y)

    peer = Peer(C=10.0, l1_ratio=1.0, solver="liblinear", tol=1e-8, max_iter=100_000, fit_intercept=False).fit(X, y)
    objective = L1Problem(Problem("raw", X, y, C=10.0, fit_intercept=False), 1.0).objective
    assert model.certificate_.status == "optimal"
    assert objective.value(model.coef_[0]) <= objective.value(peer.coef_[0]) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"l1_ratio": 0.5, "solver": "newton"}, 'needs solver="prox-newton"'),
        ({"l1_ratio": 1.0, "solver": "gradient-descent"}, 'needs solver="prox-newton"'),
        ({"solver": "prox-newton"}, "l1_ratio above 0"),
        ({"solver": "prox-newton", "l1_ratio": 1.0, "C": math.inf}, "a finite C"),
        ({"l1_ratio": 0.5, "covariance": "observed"}, "covariance must be None with an L1 penalty"),
    ],
)
def test_what_does_not_go_with_the_penalty_is_refused(options: dict[str, object], words: str) -> None:
    """Other solvers under an L1 penalty, its solver without one, and covariances are refused with the way out."""
    with pytest.raises(InvalidParameter, match=words) as caught:
        LogisticRegression(**options).fit(*drawn(30, 2))  # type: ignore[arg-type]  # parameters by name

    assert caught.value.errors[0].pointer in {"/options/solver", "/options/covariance"}


def test_inference_after_an_absolute_penalty_is_refused() -> None:
    """What rests on a smooth optimum is not offered after an L1 fit."""
    X, y = drawn(60, 3)
    model = LogisticRegression(l1_ratio=0.5).fit(X, y)

    with pytest.raises(InvalidParameter, match="without an L1 penalty"):
        cluster_covariance(model, X, y, np.arange(60) // 3)


def test_the_solver_is_named_with_its_reason() -> None:
    """ "auto" takes proximal Newton for the sake of the penalty, and says so."""
    asked = Specification(1.0, True, "prox-newton", 1e-9, 7, None, None, 1.0)  # noqa: FBT003 — fields in order

    solver, reason = choose_solver(asked, 100, 10_000, 2)

    assert (solver, reason) == (ProxNewton(tol=1e-9, max_iter=7), "asked for")
    assert choose_solver(replace(asked, solver="auto"), 100, 10_000, 2)[1] == "an L1 penalty"


def test_the_likelihood_is_without_the_penalty() -> None:
    """The log-likelihood of a penalised fit is that of its probabilities, and no test rests on it."""
    X, y = drawn(80, 3)

    model = LogisticRegression(C=0.5, l1_ratio=0.6).fit(X, y)

    log_likelihood = model.predict_log_proba(X)[np.arange(80), y].sum()
    assert model.likelihood_.log_likelihood == pytest.approx(log_likelihood)
    assert not model.likelihood_.is_maximised
