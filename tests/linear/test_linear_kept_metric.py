"""Passes in a metric that is made once: the same optimum, a bound that holds, and bits that do not depend on threads."""

from __future__ import annotations

import math

import numpy as np
import pytest
from problems import REFERENCE_ERROR, Problem, drawn, reference_minimiser, reference_optimum
from sklearn.linear_model import LogisticRegression as Peer

from service.errors import SeparationError
from service.linear import lanes
from service.linear.columns.arrays import Matrix
from service.linear.estimator import LogisticRegression
from service.linear.solver import Status
from service.linear.solvers import Newton
from service.linear.solvers.kept_metric import Metric, descend, draw_sample


def problem_of(n_classes: int, C: float) -> Problem:
    X, y = drawn(600, 4, n_classes, seed=3)
    return Problem(f"{n_classes} classes, C = {C}", X, y, C)


PROBLEMS = [problem_of(2, 1.0), problem_of(2, math.inf), problem_of(3, 0.5)]
problems = pytest.mark.parametrize("problem", PROBLEMS, ids=str)


def sampled_metric(problem: Problem, share: int) -> Metric:
    objective = problem.objective
    sample = draw_sample(objective.class_index(), 600 // share, 5, np.random.default_rng(0))
    part = objective.subset(sample.index, sample.factor)
    w = Newton(tol=1e-4).minimise(part, np.zeros(objective.n_params)).w
    return Metric.at(part, w, float(sample.factor.max()))


@problems
@pytest.mark.parametrize("share", [1, 4])
def test_the_bound_in_a_metric_holds(problem: Problem, share: int) -> None:
    """Around the optimum at all distances, the true gap is at most the bound by the Hessian of a sample elsewhere."""
    metric, rng = sampled_metric(problem, share), np.random.default_rng(1)
    best = reference_minimiser(problem).astype(np.float64)
    noise = REFERENCE_ERROR * float(reference_optimum(problem))
    finite = 0

    for exponent in np.linspace(-9, 1, 60):
        w = best + 10.0**exponent * rng.normal(size=len(best)) * 0.1
        w = problem.objective.centred(w)
        bound = metric.gap_bound(problem.objective, w, problem.objective.value_and_gradient(w)[1])
        finite += math.isfinite(bound)

        assert problem.true_gap(w) <= bound + noise

    assert finite > 20


@problems
def test_descent_reaches_the_optimum(problem: Problem) -> None:
    """The passes end at a certified gap, P falls on the way, and the truth is below the bound."""
    metric = sampled_metric(problem, 4)

    descent = descend(problem.objective, np.zeros(problem.objective.n_params), metric, tol=1e-10, max_passes=60)

    assert descent.gap <= 1e-10 * descent.value
    assert problem.true_gap(descent.w) <= descent.gap + REFERENCE_ERROR * descent.value
    assert (np.diff(descent.curve) <= 1e-12 * descent.value).all()


def test_spent_passes_are_told() -> None:
    """With too few passes the gap that was reached is told, not promised."""
    problem = PROBLEMS[0]

    descent = descend(problem.objective, np.full(5, 3.0), sampled_metric(problem, 4), tol=1e-10, max_passes=2)

    assert descent.passes == 2
    assert descent.gap > 1e-10 * descent.value


def test_sample_keeps_rare_classes() -> None:
    """Every class is drawn in its share but at least ``fewest`` times, and the factors stand for all rows."""
    classes = np.repeat([0, 1], [9990, 10])

    sample = draw_sample(classes, 500, 8, np.random.default_rng(0))

    drawn_classes = classes[sample.index]
    assert np.bincount(drawn_classes).tolist() == [500, 8]
    assert (np.diff(sample.index) > 0).all()
    np.testing.assert_allclose(np.bincount(drawn_classes, weights=sample.factor), [9990, 10])


def large(n_classes: int = 2) -> tuple[Matrix, np.ndarray]:
    rng = np.random.default_rng(5)
    X = rng.normal(size=(60_000, 25)) + 0.3
    return X, (X @ rng.normal(size=(25, n_classes)) + rng.gumbel(size=(60_000, n_classes))).argmax(axis=1)


@pytest.mark.parametrize(("n_classes", "C"), [(2, 1.0), (2, math.inf), (3, 1.0)])
def test_large_fits_equal_scikit_learn(n_classes: int, C: float) -> None:
    """Where the metric is kept, the certified coefficients are scikit-learn's, in few passes."""
    X, y = large(n_classes)

    model = LogisticRegression(C=C).fit(X, y)

    # A gap of 1e-10 P leaves about √(2e-10 P / λmin(H)) ≈ 4e-5 in a coefficient; what is reached is better.
    peer = Peer(C=C, tol=1e-10, solver="newton-cholesky").fit(X, y)
    np.testing.assert_allclose(model.coef_, peer.coef_, rtol=0, atol=1e-5)
    assert model.certificate_.status == Status.OPTIMAL.value
    assert model.certificate_.gap_relative <= 1e-10
    assert model.certificate_.passes <= 12


def test_large_separated_data_are_refused() -> None:
    """A sample may hide it, the certificate does not: separated rows without a penalty have no optimum."""
    X, _ = large()

    with pytest.raises(SeparationError, match="complete"):
        LogisticRegression(C=math.inf).fit(X, X[:, 0] > 0.3)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_bits_do_not_depend_on_threads(monkeypatch: pytest.MonkeyPatch, n_classes: int) -> None:
    """One, two and four threads give the same bytes: lanes are cut by the data and added in order."""
    X, y = large(n_classes)
    fits = []

    for threads in (1, 2, 4):
        monkeypatch.setattr(lanes, "n_processors", lambda threads=threads: threads)
        fits.append(LogisticRegression().fit(X, y))

    assert len({fit.coef_.tobytes() + fit.intercept_.tobytes() for fit in fits}) == 1
    assert len({fit.certificate_.gap_bound for fit in fits}) == 1


def test_lanes_cover_the_rows_in_order() -> None:
    """The lanes are contiguous, cover all rows once, and their number depends on the numbers in them."""
    few = lanes.in_lanes(10, 3, lambda lane: lane)
    many = lanes.in_lanes(1_000_000, 4, lambda lane: lane)

    assert few == [slice(0, 10)]
    assert len(many) == lanes.MOST_LANES
    assert [lane.start for lane in many[1:]] == [lane.stop for lane in many[:-1]]
    assert (many[0].start, many[-1].stop) == (0, 1_000_000)


def test_lanes_keep_the_error_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the caller ignores is ignored in the threads too: an overflow is silent where it is expected."""
    monkeypatch.setattr(lanes, "n_processors", lambda: 2)
    large_numbers = np.full(1_000_000, 1e308)

    with np.errstate(over="ignore"):
        sums = lanes.in_lanes(1_000_000, 1, lambda lane: float(large_numbers[lane].sum()))

    assert len(sums) > 1
    assert set(sums) == {math.inf}


@pytest.mark.parametrize("max_iter", [1, 3, 30])
def test_the_budget_holds_for_large_data_too(max_iter: int) -> None:
    """Passes in a kept metric count as iterations: ``max_iter`` is not exceeded, and what it did not reach is told."""
    X, _ = large()
    problem = Problem("separated", X, (X[:, 0] > 0.3).astype(np.intp), 1e6)

    solution = Newton(max_iter=max_iter).minimise(problem.objective, np.zeros(26))

    assert solution.n_iter <= max_iter
    assert solution.status is Status.BUDGET_SPENT
    assert solution.gap_bound > 1e-10 * solution.objective
