"""Two ways to state the same problem give every solver the same fit, through the estimator's own door."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from portable import CLOSE, OPTIMAL, bits, cases, every_solver, fit, parameters, two_or_three_classes
from problems import drawn

from service import LogisticRegression
from service.linear.checks import Labels
from service.linear.columns.arrays import Matrix

UNCENTRED = "a column far from 0 that is not centred leaves the row Gram matrix without digits for the others"

every_intercept = pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "no-intercept"])


def assert_same(one: LogisticRegression, other: LogisticRegression) -> None:
    np.testing.assert_allclose(parameters(one), parameters(other), atol=CLOSE)


@pytest.mark.parametrize(("n", "p"), [(200, 10), (20, 20), (12, 30)])
@two_or_three_classes
@every_intercept
def test_the_solvers_agree(n: int, p: int, K: int, *, fit_intercept: bool) -> None:
    """Long, square or wide: the solvers that promise the optimum find the same one, and the fitted shapes are theirs."""
    X, y = drawn(n, p, K, seed=7)

    models = [fit(X, y, C=0.1, fit_intercept=fit_intercept, solver=solver) for solver in ("auto", *OPTIMAL)]

    assert {model.coef_.shape for model in models} == {(1 if K == 2 else K, p)}
    assert fit_intercept or not any(model.intercept_.any() for model in models)
    for model in models[1:]:
        assert_same(model, models[0])


@two_or_three_classes
@every_solver
def test_whole_weights_are_repetitions(solver: str, K: int) -> None:
    """Weights from 0 to 4 give the fit of rows that often."""
    X, y = drawn(90, 5, K, seed=7)
    weights = np.random.default_rng(7).integers(0, 5, 90)

    weighted = fit(X, y, weights, solver=solver)

    assert_same(weighted, fit(X.repeat(weights, axis=0), y.repeat(weights), solver=solver))


@two_or_three_classes
@every_solver
def test_rows_of_weight_zero_are_not_there(solver: str, K: int) -> None:
    """Wrong labels of weight 0, shuffled among right ones, and a label that no other row has, change no bit."""
    X, y = drawn(60, 4, K, seed=7)
    wrong = np.append(y, (y + 1) % K)
    wrong[-1] = 99
    order = np.concatenate([np.arange(0, 120, 2), np.arange(1, 120, 2)])
    is_right = (np.arange(120) < 60)[order]

    model = fit(np.vstack([X, X])[order], wrong[order], is_right, solver=solver)

    alone = fit(X[order[is_right]], y[order[is_right]], solver=solver)
    assert bits(model) == bits(alone)
    np.testing.assert_array_equal(model.classes_, np.arange(K))


@two_or_three_classes
@every_solver
def test_class_weights_are_sample_weights(solver: str, K: int) -> None:
    """A mapping, "balanced" and the products with sample weights are weights of the rows, whatever the labels are."""
    X, y = drawn(90, 4, K, seed=7)
    names = np.array(["bar", "baz", "foo"])[:K]
    s = np.random.default_rng(7).uniform(0.1, 2.0, 90)
    balanced = s.sum() / (K * np.bincount(y, weights=s))

    by_name = fit(X, names[y], s, class_weight=dict(zip(names, balanced, strict=True)), solver=solver)
    by_word = fit(X, names[y], s, class_weight="balanced", solver=solver)

    by_row = fit(X, y, s * balanced[y], solver=solver)
    assert_same(by_name, by_row)
    assert_same(by_word, by_row)


@two_or_three_classes
def test_a_constant_column_is_the_intercept(K: int) -> None:
    """Without a penalty, a column of ones and no intercept give the intercept as its coefficient."""
    X, y = drawn(90, 3, K, seed=7)

    model = fit(np.column_stack([X, np.ones(90)]), y, C=math.inf, fit_intercept=False)

    np.testing.assert_allclose(model.coef_, parameters(fit(X, y, C=math.inf)), atol=CLOSE)


@two_or_three_classes
@pytest.mark.parametrize(
    "solver",
    [
        solver
        if solver != "row-space"
        else pytest.param(solver, marks=pytest.mark.xfail(strict=True, reason=UNCENTRED))
        for solver in OPTIMAL
    ],
)
def test_a_large_constant_column_is_hardly_penalised(solver: str, K: int) -> None:
    """With a penalty, a column of 10 000 is the intercept but for some 1e-8 of its square."""
    X, y = drawn(90, 3, K, seed=7)

    model = fit(np.column_stack([X, np.full(90, 1e4)]), y, fit_intercept=False, solver=solver)

    np.testing.assert_allclose(model.coef_ * [1, 1, 1, 1e4], parameters(fit(X, y)), atol=2 * CLOSE)


@two_or_three_classes
@every_solver
def test_the_order_of_columns_is_that_of_the_coefficients(solver: str, K: int) -> None:
    """Columns in another order have their coefficients in that order."""
    X, y = drawn(60, 6, K, seed=7)
    order = [3, 0, 5, 1, 4, 2]

    model = fit(X[:, order], y, solver=solver)

    np.testing.assert_allclose(model.coef_, fit(X, y).coef_[:, order], atol=CLOSE)


@every_solver
def test_classes_in_another_order_are_the_same_classes(solver: str) -> None:
    """Renaming the classes permutes the rows of coefficients, intercepts and probabilities."""
    X, y = drawn(120, 3, 4, seed=7)
    place = np.array([2, 0, 3, 1])

    renamed = fit(X, place[y], solver=solver)

    plain = fit(X, y)
    np.testing.assert_allclose(parameters(renamed)[place], parameters(plain), atol=CLOSE)
    np.testing.assert_allclose(renamed.predict_proba(X)[:, place], plain.predict_proba(X), atol=CLOSE)


@pytest.mark.parametrize("C", [1.0, 150.0, math.inf])
@every_intercept
def test_several_classes_are_centred(C: float, *, fit_intercept: bool) -> None:
    """Of all parameters with the same probabilities the fit has those that sum to 0 over the classes, by any solver."""
    X, y = drawn(150, 4, 3, seed=7)

    for solver in OPTIMAL if math.isfinite(C) else ("newton",):
        model = fit(X, y, C=C, fit_intercept=fit_intercept, solver=solver)

        np.testing.assert_allclose(parameters(model).sum(axis=0), 0.0, atol=1e-10)


@two_or_three_classes
@every_solver
def test_the_mean_probability_is_the_base_rate(solver: str, K: int) -> None:
    """With an intercept, weighted mean probabilities are the weighted shares of the classes: the balance property."""
    X, y = drawn(100, 10, K, seed=7)
    s = np.random.default_rng(7).uniform(1.0, 10.0, 100)

    model = fit(X, y, s, solver=solver)

    shares = np.bincount(y, weights=s) / s.sum()
    np.testing.assert_allclose(np.average(model.predict_proba(X), axis=0, weights=s), shares, atol=CLOSE)


LABELS = {
    "signs": np.array([-1, 0, 1]),
    "far apart": np.array([-(2**63), 5, 2**63 - 1]),
    "unsigned": np.array([0, 2**63, 2**64 - 1], dtype=np.uint64),
    "bytes": np.array([-100, 0, 100], dtype=np.int8),
    "shorts": np.array([-30_000, 1, 30_000], dtype=np.int16),
    "half floats": np.array([-2.0, 0.0, 3.0], dtype=np.float16),
    "strings": np.array(["bar", "baz", "foo"]),
    "objects": np.array(["bar", "baz", "foo"], dtype=object),
    "longer strings": np.array(["", "a", "a longer name"]),
}


@pytest.mark.parametrize("names", cases(LABELS))
@two_or_three_classes
def test_labels_of_any_kind_change_no_bit(names: Labels, K: int) -> None:
    """However the classes are called, the fit has the same bits, and classes and predictions are those names."""
    X, y = drawn(90, 3, K, seed=7)
    chosen = names[[0, 2]] if K == 2 else names

    named = fit(X, chosen[y])

    plain = fit(X, y)
    assert bits(named) == bits(plain)
    np.testing.assert_array_equal(named.classes_, chosen)
    np.testing.assert_array_equal(named.predict(X), chosen[plain.predict(X)])


def test_booleans_are_labels() -> None:
    """False and True are classes, as a list too."""
    X, y = drawn(60, 3)

    model = fit(X, (y == 1).tolist())

    assert bits(model) == bits(fit(X, y))
    assert model.predict(X).dtype == np.bool_


ROWS: dict[str, Any] = {
    "integers": lambda X: X.astype(np.int64),
    "bytes": lambda X: X.astype(np.uint8),
    "float32": lambda X: X.astype(np.float32),
    "half floats": lambda X: X.astype(np.float16),
    "long doubles": lambda X: X.astype(np.longdouble),
    "objects": lambda X: X.astype(object),
    "strings": lambda X: X.astype(str),
    "lists": lambda X: X.tolist(),
}


@pytest.mark.parametrize("of_kind", cases(ROWS))
@two_or_three_classes
def test_numbers_of_any_kind_change_no_bit(of_kind: Any, K: int) -> None:
    """Numbers that are the same in float64 give the same fit, in float64, whatever they come as."""
    X, y = drawn(60, 3, K, seed=7)
    whole: Matrix = np.abs(np.round(8 * X))

    model = fit(of_kind(whole), y)

    assert bits(model) == bits(fit(whole, y))
    assert model.coef_.dtype == model.predict_proba(of_kind(whole)).dtype == np.float64


@two_or_three_classes
@every_solver
def test_rows_in_float32_move_the_fit_by_their_rounding(solver: str, K: int) -> None:
    """Rows rounded to seven digits have the coefficients to six."""
    X, y = drawn(100, 4, K, seed=7)

    rounded = fit(X.astype(np.float32), y, solver=solver)

    np.testing.assert_allclose(parameters(rounded), parameters(fit(X, y)), atol=2 * CLOSE)
