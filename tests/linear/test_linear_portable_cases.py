"""Small data that have once troubled a solver somewhere: single columns, many classes, rare ones, units, budgets."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest
from portable import CLOSE, OPTIMAL, every_solver, fit, parameters, two_or_three_classes
from problems import Problem, drawn, reference_optimum

from service import LogisticRegression
from service.linear.checks import Labels
from service.linear.columns.arrays import Matrix
from service.linear.interop import ConvergenceWarning

# The name of the warning is scikit-learn's where scikit-learn is loaded; both are of this kind.
NOT_CERTIFIED: dict[str, Any] = {"expected_warning": UserWarning, "match": "before the optimum was certified"}


@pytest.mark.parametrize("options", [{}, {"C": 100.0}, {"fit_intercept": False}])
@every_solver
def test_two_separable_classes_are_told_apart(options: dict[str, Any], solver: str) -> None:
    """Three rows of two classes are all predicted right, with a penalty or little, with an intercept or none."""
    X, y = [[-1, 0], [0, 1], [1, 1]], [0, 1, 1]

    model = fit(X, y, solver=solver, **options)

    assert model.predict(X).tolist() == y
    assert model.score(X, y) == 1.0
    assert options.get("fit_intercept", True) or model.intercept_.tolist() == [0.0]


@every_solver
def test_three_rows_of_three_classes_are_told_apart(solver: str) -> None:
    """One row a class is enough for a fit, and for its prediction."""
    X, y = [[-1, 0], [0, 1], [1, 1]], [2, 1, 0]

    model = fit(X, y, C=10.0, solver=solver)

    assert model.predict(X).tolist() == y
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0, rtol=1e-15)


GLMNET_X = np.column_stack([np.arange(-4, 5), [0, 0, 1, 0, 1, 1, 1, 0, 0]])
# glmnet(x, y, alpha=0, lambda=1, standardize=F, thresh=1e-12), as scikit-learn's test_logistic_glmnet has it:
# an intercept and the coefficients of two columns, for each logit.
GLMNET = {
    "binomial": ([0, 0, 0, 1, 1, 1, 1, 1, 1], [[0.89230405539, 0.44464569182, 0.01457563448]]),
    "multinomial": (
        [0, 0, 0, 1, 1, 1, 2, 2, 2],
        [
            [-0.12004759652, -0.38023389305, -0.01226499932],
            [0.2251747383, -8.164030176e-05, 0.04734548012],
            [-0.1051271418, 0.3803155334, -0.0350804808],
        ],
    ),
}


@pytest.mark.parametrize(("y", "expected"), GLMNET.values(), ids=GLMNET)
@every_solver
def test_the_fit_is_that_of_glmnet(y: list[int], expected: list[list[float]], solver: str) -> None:
    """With C = 1 / (n lambda) coefficients and intercepts are glmnet's, to the digits that it reached."""
    model = fit(GLMNET_X, y, C=1 / 9, solver=solver)

    np.testing.assert_allclose(parameters(model)[:, [2, 0, 1]], expected, atol=1e-6)


@every_solver
def test_a_single_column_is_fitted(solver: str) -> None:
    """One column and an intercept are no special case, and the optimum is the one in 80 bits."""
    X = np.array([[0.5, 0.65, 1.1, 1.25, 0.8, 0.54, 0.95, 0.7]]).T
    problem = Problem("single", X, np.array([1, 1, 0, 0, 1, 1, 0, 1]))

    model = fit(X, problem.y, solver=solver)

    assert problem.true_gap(parameters(model).ravel()) <= 1e-13 * reference_optimum(problem)


@every_solver
def test_twenty_classes_are_fitted(solver: str) -> None:
    """Twenty classes, some of few rows, have twenty rows of coefficients that sum to 0, and balanced residuals."""
    X, y = drawn(400, 5, 20, seed=2)

    model = fit(X, y, solver=solver)

    probabilities = model.predict_proba(X)
    assert model.coef_.shape == (20, 5)
    np.testing.assert_allclose(parameters(model).sum(axis=0), 0.0, atol=1e-10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-14)
    np.testing.assert_allclose(probabilities.sum(axis=0), np.bincount(y), atol=CLOSE)


@pytest.mark.parametrize("others", [1, 2])
@every_solver
def test_a_class_of_one_row_is_fitted(others: int, solver: str) -> None:
    """One row against 400 is a class: the optimum is the one in 80 bits, and its probabilities sum to one row."""
    X, _ = drawn(401, 3, seed=2)
    y = np.arange(401) % others
    y[200] = others
    problem = Problem("rare", X, y)

    model = fit(X, y, solver=solver)

    assert problem.true_gap(parameters(model).ravel()) <= 1e-13 * reference_optimum(problem)
    assert model.predict_proba(X)[:, -1].sum() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("C", [1e-2, 1.0, 1e3])
@two_or_three_classes
@every_solver
def test_columns_of_a_hilbert_matrix_are_fitted(C: float, K: int, solver: str) -> None:
    """Columns 1 / (i + j), collinear to ten digits, have a penalised optimum, and it is found to its gap in 80 bits."""
    X = np.tile(1 / (np.arange(1, 31)[:, None] + np.arange(10)), (3, 1))
    problem = Problem("hilbert", X, np.random.default_rng(2).integers(0, K, 90), C=C)

    model = LogisticRegression(C=C, solver=solver).fit(X, problem.y)

    gap = problem.true_gap(parameters(model).ravel())
    assert model.certificate_.gap_relative <= 1e-10
    assert gap <= model.certificate_.gap_bound + 1e-13 * reference_optimum(problem)


@pytest.mark.parametrize("times", [2, 10])
def test_repeated_columns_without_a_penalty_lose_nothing(times: int) -> None:
    """Unpenalised, the columns ten times over have the loss of the columns once, their rank, and no warning."""
    X, y = drawn(60, 3, seed=2)

    repeated = fit(np.hstack([X] * times), y, C=math.inf)

    once = fit(X, y, C=math.inf)
    assert repeated.certificate_.objective == pytest.approx(once.certificate_.objective, rel=1e-13)
    assert repeated.certificate_.rank == once.certificate_.rank == 4


@pytest.mark.parametrize("C", [1e10, 1e20, 1e30])
def test_wide_rows_with_hardly_a_penalty_are_certified(C: float) -> None:
    """More columns than rows, separated as they are, have an optimum for every finite C, and it is reached."""
    X, y = drawn(10, 20, seed=2)

    model = LogisticRegression(C=C).fit(X, y)

    assert model.certificate_.gap_relative <= 1e-10
    np.testing.assert_array_equal(model.predict(X), y)


@pytest.mark.parametrize("unit", [1e-5, 1e5])
@two_or_three_classes
@every_solver
def test_units_far_from_one_saturate_nothing(unit: float, K: int, solver: str) -> None:
    """Columns of 1e±5 are fitted to the optimum in 80 bits; probabilities are finite and sum to 1 wherever they saturate."""
    X, y = drawn(50, 3, K, seed=2)
    problem = Problem("unit", X * unit, y)

    model = fit(problem.X, y, solver=solver)
    far = problem.X * 1e5

    assert problem.true_gap(parameters(model).ravel()) <= 1e-12 * reference_optimum(problem)
    for rows in (problem.X, far, -far):
        assert np.isfinite(model.predict_log_proba(rows)).all()
        np.testing.assert_allclose(model.predict_proba(rows).sum(axis=1), 1.0, rtol=1e-15)
        np.testing.assert_array_equal(model.predict_log_proba(rows).argmax(axis=1), model.predict(rows))


ALMOST: dict[str, tuple[Matrix, Labels]] = {
    "two": drawn(100, 4, seed=2),
    "three": drawn(100, 4, 3, seed=2),
    "separable": (np.linspace(-1, 1, 20)[:, None], np.repeat([0, 1], 10)),
}


@pytest.mark.parametrize(("X", "y"), ALMOST.values(), ids=ALMOST)
@every_solver
def test_one_step_is_not_enough_and_says_so(X: Matrix, y: Labels, solver: str) -> None:
    """With max_iter=1 the warning names the solver, and the certificate bounds truly what is left."""
    problem = Problem("budget", X, y)

    with pytest.warns(**NOT_CERTIFIED) as caught:
        model = LogisticRegression(solver=solver, max_iter=1, tol=1e-15).fit(X, y)

    assert solver in str(caught[0].message)
    assert model.n_iter_.tolist() == [1]
    assert model.certificate_.status == "budget spent"
    assert problem.true_gap(parameters(model).ravel()) <= model.certificate_.gap_bound


def test_without_scikit_learn_the_warning_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where scikit-learn is not loaded the warning is the package's own ConvergenceWarning."""
    monkeypatch.delitem(sys.modules, "sklearn.exceptions", raising=False)

    with pytest.warns(ConvergenceWarning):
        LogisticRegression(max_iter=1).fit(*ALMOST["two"])


@pytest.mark.parametrize("C", [1.0, math.inf])
@two_or_three_classes
def test_two_steps_are_one_and_one_more(C: float, K: int) -> None:
    """Newton's two steps at once are a step and, by warm start, another."""
    X, y = drawn(100, 4, K, seed=2)
    both = LogisticRegression(solver="newton", C=C, max_iter=2, tol=1e-300)
    single = LogisticRegression(solver="newton", C=C, max_iter=1, tol=1e-300, warm_start=True)

    for model in (both, single, single):
        with pytest.warns(**NOT_CERTIFIED):
            model.fit(X, y)

    np.testing.assert_allclose(parameters(single), parameters(both), rtol=1e-12)


@two_or_three_classes
@every_solver
def test_a_warm_start_reaches_the_same_optimum(solver: str, K: int) -> None:
    """From the optimum of another C and of fewer rows, the fit is that of a cold start."""
    X, y = drawn(150, 4, K, seed=2)
    cold = fit(X, y, solver=solver)
    warm = LogisticRegression(solver=solver, tol=cold.tol, warm_start=True)

    for other in ({"C": 30.0}, {"C": 1.0}, {"C": 1e-4}):
        warm.set_params(**other).fit(X[:100], y[:100])
        warm.set_params(C=1.0).fit(X, y)

        np.testing.assert_allclose(parameters(warm), parameters(cold), atol=CLOSE)


@pytest.mark.parametrize("solver", [name for name in OPTIMAL if name != "row-space"])
@two_or_three_classes
def test_a_warm_start_spares_passes(solver: str, K: int) -> None:
    """After a small change of C the fit from the last optimum reads the rows fewer times."""
    X, y = drawn(150, 4, K, seed=2)
    warm = fit(X, y, solver=solver, warm_start=True)

    warm.set_params(C=1.05).fit(X, y)

    assert warm.certificate_.passes < fit(X, y, C=1.05, solver=solver).certificate_.passes


@pytest.mark.parametrize("size", [1e2, 1e3, 1e5])
def test_a_start_that_saturates_all_rows_hides_no_optimum(size: float) -> None:
    """Without a penalty, a fit that starts from huge coefficients finds the optimum of overlapping classes."""
    X, y = drawn(200, 3, seed=4)
    cold = fit(X, y, C=math.inf)
    warm = LogisticRegression(C=math.inf, warm_start=True).fit(X, y)
    warm.coef_ = size * np.array([[1.0, -1.0, 1.0]])

    warm.fit(X, y)

    np.testing.assert_allclose(parameters(warm), parameters(cold), atol=CLOSE)
