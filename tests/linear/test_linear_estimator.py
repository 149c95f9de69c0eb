"""``LogisticRegression`` agrees with its peers to eight digits, and with itself whatever the labels are called."""

import math
import pickle

import numpy as np
import pytest
import statsmodels.api as sm
from problems import PROBLEMS, Problem, drawn, reference_optimum, solve_semidefinite, value_gradient_hessian
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as Peer

from service import LogisticRegression
from service.errors import InvalidParameter, SeparationError
from service.linear.checks import Labels
from service.linear.columns.arrays import Matrix
from service.linear.scaling import Scaling

# The peers stop at a gradient of 1e-12; divided by curvatures of 1e-3 and more this is far below.
CLOSE = 1e-8


def shipped(name: str) -> tuple[Matrix, Labels]:
    data = load_iris() if name == "iris" else load_breast_cancer()
    return np.asarray(Scaling.standard(data.data).apply(data.data)), np.asarray(data.target)


def peer(C: float = 1.0, **options: object) -> Peer:
    return Peer(C=C, tol=1e-12, max_iter=10_000, solver="newton-cholesky", **options)


def assert_same_fit(ours: LogisticRegression, theirs: Peer) -> None:
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=CLOSE, atol=CLOSE)
    # With several classes only differences of intercepts are determined; both centre them.
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=CLOSE, atol=CLOSE)


@pytest.mark.parametrize("name", ["iris", "breast-cancer"])
@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
def test_real_data_give_the_coefficients_of_scikit_learn(name: str, C: float) -> None:
    """On iris (three classes) and breast cancer (two), coefficients and intercepts are scikit-learn's."""
    X, y = shipped(name)

    assert_same_fit(LogisticRegression(C=C).fit(X, y), peer(C).fit(X, y))


@pytest.mark.parametrize("seed", range(20))
def test_random_data_give_the_coefficients_of_scikit_learn(seed: int) -> None:
    """Two or three classes, with and without weights, class weights and an intercept, give scikit-learn's fit."""
    X, y = drawn(80, 4, 2 + seed % 2, seed=seed)
    weights = np.random.default_rng(seed).uniform(0.0, 2.0, 80) if seed % 4 < 2 else None
    options = {"fit_intercept": seed % 5 > 0, "class_weight": (None, "balanced", {0: 2.0, 1: 0.5})[seed % 3]}
    C = 10.0 ** (seed % 4 - 2)

    ours = LogisticRegression(C=C).set_params(**options).fit(X, y, weights)

    assert_same_fit(ours, peer(C, **options).fit(X, y, weights))


@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_every_problem_is_fitted_to_its_certificate(problem: Problem) -> None:
    """On every problem the raw coefficients are certified optimal, and the certificate's objective is P there."""
    model = LogisticRegression(C=problem.C, fit_intercept=problem.fit_intercept)

    model.fit(problem.X, problem.y, problem.weights)

    w = np.column_stack([model.coef_, model.intercept_])[:, : problem.objective.rows.width].ravel()
    optimum = float(reference_optimum(problem))
    assert model.certificate_.status == "optimal"
    assert model.certificate_.gap_relative <= 1e-10
    assert model.certificate_.objective == pytest.approx(optimum, rel=1e-9)
    # Coefficients of raw columns are the scaled ones rounded once more.
    assert problem.true_gap(w) <= model.certificate_.gap_bound + 1e-13 * optimum


def test_spector_gives_the_estimates_of_statsmodels() -> None:
    """Without a penalty, coefficients and standard errors on the Spector data are those of statsmodels' Logit."""
    data = sm.datasets.spector.load_pandas()
    theirs = sm.Logit(data.endog, sm.add_constant(data.exog)).fit(disp=0, method="newton", tol=1e-14)

    ours = LogisticRegression(C=math.inf, covariance="observed").fit(data.exog, data.endog)

    by_theirs = [1, 2, 3, 0]
    np.testing.assert_allclose([*ours.coef_[0], *ours.intercept_], theirs.params.iloc[by_theirs], rtol=CLOSE)
    np.testing.assert_allclose(ours.standard_errors_, theirs.bse.iloc[by_theirs], rtol=CLOSE)
    np.testing.assert_allclose(ours.covariance_, theirs.cov_params().iloc[by_theirs, by_theirs], rtol=CLOSE)
    assert list(ours.feature_names_in_) == ["GPA", "TUCE", "PSI"]


def test_three_classes_give_the_estimates_of_statsmodels() -> None:
    """Without a penalty, contrasts of three classes and their standard errors are those of statsmodels' MNLogit."""
    X, y = drawn(300, 3, 3)
    theirs = sm.MNLogit(y, sm.add_constant(X, prepend=False)).fit(disp=0, method="newton", tol=1e-14)

    ours = LogisticRegression(C=math.inf, covariance="observed").fit(X, y)

    w = np.column_stack([ours.coef_, ours.intercept_])
    np.testing.assert_allclose((w[1:] - w[0]).T, theirs.params, rtol=CLOSE)
    contrast = np.kron(np.column_stack([-np.ones(2), np.eye(2)]), np.eye(4))
    errors = np.sqrt(np.diag(contrast @ ours.covariance_ @ contrast.T))
    np.testing.assert_allclose(errors.reshape(2, 4).T, theirs.bse, rtol=CLOSE)
    assert ours.standard_errors_.shape == (3, 4)


@pytest.mark.parametrize("name", ["binary", "weighted", "no-intercept", "columns-1e6", "imbalanced"])
def test_the_ridge_covariance_is_its_formula(name: str) -> None:
    """With a penalty the covariance is (H + Λ)⁻¹ H (H + Λ)⁻¹, on the raw columns, by 80-bit numbers."""
    problem = next(problem for problem in PROBLEMS if problem.name == name)
    model = LogisticRegression(C=problem.C, fit_intercept=problem.fit_intercept, covariance="observed")
    model.fit(problem.X, problem.y, problem.weights)
    w = np.column_stack([model.coef_, model.intercept_])[:, : problem.objective.rows.width].ravel()

    total = value_gradient_hessian(problem, w.astype(np.longdouble))[2]

    inverse = np.array([solve_semidefinite(total, unit) for unit in np.eye(len(w), dtype=np.longdouble)])
    expected = (inverse @ (total - np.diag(problem.objective.l2_params)) @ inverse).astype(np.float64)
    size = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(model.covariance_ / size / size[:, None], expected / size / size[:, None], atol=1e-8)
    np.testing.assert_allclose(model.standard_errors_, size, rtol=CLOSE)


LABELS = {
    "minus-one": np.array([-1, 1]),
    "booleans": np.array([False, True]),
    "strings": np.array(["no", "yes"]),
    "objects": np.array(["no", "yes"], dtype=object),
    "floats": np.array([0.0, 1.0]),
}


@pytest.mark.parametrize("names", LABELS.values(), ids=LABELS)
def test_the_names_of_labels_change_no_bit(names: Labels) -> None:
    """However two classes are called, the fit has the same bits, and predicts their names."""
    X, y = drawn(50, 3)

    plain, named = (LogisticRegression().fit(X, labels) for labels in (y, names[y]))

    np.testing.assert_array_equal(named.coef_, plain.coef_)
    np.testing.assert_array_equal(named.intercept_, plain.intercept_)
    np.testing.assert_array_equal(named.predict(X), names[plain.predict(X)])


def test_swapped_labels_negate_the_fit() -> None:
    """Exchanging the two labels negates coefficients and intercept."""
    X, y = drawn(50, 3)

    plain, swapped = LogisticRegression().fit(X, y), LogisticRegression().fit(X, 1 - y)

    np.testing.assert_allclose(swapped.coef_, -plain.coef_, rtol=1e-12)
    np.testing.assert_allclose(swapped.intercept_, -plain.intercept_, rtol=1e-12)


@pytest.mark.parametrize("K", [2, 3])
def test_a_warm_start_begins_at_the_last_fit(K: int) -> None:
    """From its own optimum Newton has nothing to do but its last step; other data of other shape start afresh."""
    X, y = drawn(80, 3, K)
    model = LogisticRegression(warm_start=True).fit(X, y)
    first, steps = model.coef_, model.n_iter_.item()

    model.fit(X, y)

    assert steps > 2
    assert model.n_iter_.item() == 1
    np.testing.assert_allclose(model.coef_, first, atol=1e-12)
    np.testing.assert_array_equal(model.fit(X[:, :2], y).coef_, LogisticRegression().fit(X[:, :2], y).coef_)


def test_gradient_descent_goes_on_where_it_stopped() -> None:
    """A hundred steps and, by warm start, a hundred more are two hundred steps, to the bit."""
    X, y = drawn(80, 3)
    halves = LogisticRegression(solver="gradient-descent", max_iter=100, tol=1e-300, warm_start=True)
    whole = clone(halves).set_params(max_iter=200)

    for model in (halves, halves, whole):
        with pytest.warns(ConvergenceWarning, match="before the optimum was certified"):
            model.fit(X, y)

    np.testing.assert_array_equal(halves.coef_, whole.coef_)
    np.testing.assert_array_equal(halves.intercept_, whole.intercept_)


def test_a_failed_fit_leaves_nothing() -> None:
    """After a refused fit the estimator is unfitted, also when an earlier fit had succeeded."""
    X, y = drawn(40, 2)
    model = LogisticRegression(C=math.inf, covariance="observed").fit(X, y)

    with pytest.raises(SeparationError, match="complete"):
        model.fit(X, X[:, 0] > 0)

    with pytest.raises(ValueError, match="not fitted"):
        model.predict(X)
    assert not hasattr(model, "coef_")
    assert not hasattr(model, "standard_errors_")


def test_a_tie_goes_to_the_first_class() -> None:
    """Where probabilities are equal, the first of the sorted classes is predicted."""
    zeros = np.zeros((6, 1))

    for labels in (["b", "a"] * 3, ["c", "b", "a"] * 2):
        model = LogisticRegression().fit(zeros, labels)
        assert set(model.predict(zeros)) == {"a"}
        np.testing.assert_allclose(model.predict_proba(zeros), 1 / len(set(labels)), rtol=1e-15)


@pytest.mark.parametrize("K", [2, 3])
def test_the_outputs_fit_together(K: int) -> None:
    """Logits, probabilities, their logarithms, labels, score and distance are one and the same statement."""
    X, y = drawn(60, 3, K)
    model = LogisticRegression().fit(X, y)

    z, p = model.decision_function(X), model.predict_proba(X)

    assert z.shape == ((60,) if K == 2 else (60, 3))
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-15)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(p), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), p.argmax(axis=1))
    assert model.score(X, y) == np.mean(model.predict(X) == y)
    norms = np.linalg.norm(model.coef_, axis=1)
    np.testing.assert_allclose(model.signed_distance(X), z / (norms if K > 2 else norms[0]), rtol=1e-14)


def test_log_probabilities_do_not_underflow() -> None:
    """A row a thousand nats on the wrong side has the log-probability -1000, and not -inf."""
    model = LogisticRegression().fit([[-1.0], [1.0]], [0, 1])
    far = -1000.0 / model.coef_.item()

    log_p = model.predict_log_proba([[far]])

    np.testing.assert_allclose(log_p, [[0.0, -1000.0]], rtol=1e-13)


@pytest.mark.parametrize("unit", [1e-150, 1e-6, 1.0, 1e6, 1e150])
def test_units_of_the_columns_do_not_matter_without_a_penalty(unit: float) -> None:
    """Probabilities and rank are the same in any unit from 1e-150 to 1e150, and so is the distance in that unit."""
    X, y = drawn(50, 2)
    plain = LogisticRegression(C=math.inf).fit(X, y)

    scaled = LogisticRegression(C=math.inf).fit(X * unit, y)

    np.testing.assert_allclose(scaled.predict_proba(X * unit), plain.predict_proba(X), rtol=1e-10)
    np.testing.assert_allclose(scaled.signed_distance(X * unit) / unit, plain.signed_distance(X), rtol=1e-8)
    assert scaled.certificate_.rank == plain.certificate_.rank == 3


@pytest.mark.parametrize("K", [2, 3])
def test_a_constant_column_is_worth_nothing(K: int) -> None:
    """A column that never changes gets a coefficient of 0 exactly, with a penalty and without, however large it is."""
    X, y = drawn(80, 2, K)
    for constant in (0.1, 1 / 3, 1e6 / 7, 0.0, 1e150):
        with_constant = np.column_stack([X, np.full(80, constant)])
        for C in (1.0, math.inf):
            model = LogisticRegression(C=C).fit(with_constant, y)

            without = LogisticRegression(C=C).fit(X, y)
            assert not model.coef_[:, 2].any()
            assert model.certificate_.rank == 3
            np.testing.assert_allclose(model.coef_[:, :2], without.coef_, rtol=1e-10)
            np.testing.assert_allclose(model.intercept_, without.intercept_, rtol=1e-10)


def test_the_protocol_for_parameters() -> None:
    """Parameters are read, set, cloned, pickled and shown as scikit-learn's tools expect."""
    X, y = drawn(30, 2)
    model = LogisticRegression(C=2.0, solver="newton").fit(X, y)

    copy = clone(model)

    assert (
        copy.get_params() == model.get_params() == {**LogisticRegression().get_params(), "C": 2.0, "solver": "newton"}
    )
    assert not hasattr(copy, "coef_")
    assert repr(model) == "LogisticRegression(C=2.0, solver='newton')"
    assert model.set_params(C=3.0).C == 3.0
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X))
    with pytest.raises(InvalidParameter, match="penalty"):
        model.set_params(penalty="l2")
