"""What a run says of its model: metrics, standard errors and warnings."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import statsmodels.api as sm
from sklearn.metrics import accuracy_score, brier_score_loss, confusion_matrix, f1_score, log_loss, roc_auc_score
from training_runs import N_ROWS, A, B, Y, trained, trained_on

from service.errors import SeparationError
from service.record import Metrics
from service.tabular.table import Table


def sklearn_metrics(labels: npt.NDArray[Any], probabilities: npt.NDArray[np.float64], classes: list[Any]) -> Metrics:
    predicted = np.array(classes)[probabilities.argmax(axis=1)]
    scores = probabilities[:, 1] if len(classes) == 2 else probabilities
    auc = roc_auc_score(labels, scores, multi_class="ovr", labels=classes if len(classes) > 2 else None)
    return Metrics(
        rows=len(labels),
        accuracy=accuracy_score(labels, predicted),
        log_loss=log_loss(labels, probabilities, labels=classes),
        brier=brier_score_loss(labels, scores, labels=classes, pos_label=classes[1] if len(classes) == 2 else None),
        roc_auc=auc,
        f1_macro=f1_score(labels, predicted, average="macro"),
        confusion_matrix=tuple(map(tuple, confusion_matrix(labels, predicted, labels=classes).tolist())),
    )


@pytest.mark.parametrize(
    ("name", "options"), [("penguins", {"missing": "impute"}), ("iris", {}), ("moons", {}), ("breast-cancer", {})]
)
def test_metrics_are_those_of_scikit_learn(name: str, options: dict[str, Any]) -> None:
    """The metrics on the held-out rows are scikit-learn's, for the model's own probabilities there."""
    run = trained_on(name, **options)
    assert run.held_out is not None
    assert run.draft.metrics.held_out is not None
    assert isinstance(run.held_out.table, Table)
    probabilities = run.model.probabilities(run.held_out.table)

    expected = sklearn_metrics(run.held_out.labels, probabilities, list(run.model.classes))

    found = run.draft.metrics.held_out.model_dump()
    for metric, value in expected.model_dump().items():
        assert found[metric] == (value if metric == "confusion_matrix" else pytest.approx(value, rel=1e-12)), metric


def test_held_out_rows_with_an_unseen_category_are_left_out() -> None:
    """A held-out row whose category no training row has cannot be answered, and is not counted."""
    category = ["usual"] * (N_ROWS - 8) + [f"rare {index}" for index in range(8)]

    run = trained({"t": category, "a": A}, validation_fraction=0.5)

    seen = set(run.model.schema.features[0].categories)  # type: ignore[union-attr]  # the first feature is the text column
    assert run.held_out is not None
    assert run.draft.metrics.held_out is not None
    assert run.held_out.table.n_rows == run.draft.metrics.held_out.rows < N_ROWS // 2
    assert set(run.held_out.table.column("t")) <= seen


def test_no_held_out_metrics_when_no_held_out_row_can_be_answered() -> None:
    """When every held-out row has an unseen category there is nothing to measure on."""
    run = trained({"t": [f"category {index}" for index in range(N_ROWS)]})

    assert run.held_out is None
    assert run.draft.metrics.held_out is None


@pytest.mark.parametrize("standardize", [None, True])
@pytest.mark.parametrize("columns", [{"a": A, "b": B}, {"a": 300 * A - 40, "b": B / 50 + 7}], ids=["plain", "units"])
def test_standard_errors_are_those_of_statsmodels(columns: dict[str, Any], standardize: bool | None) -> None:  # noqa: FBT001 — a parameter of the test
    """Without a penalty, coefficients and standard errors on raw columns are those of Logit, standardised or not."""
    peer = sm.Logit(Y, sm.add_constant(np.column_stack(list(columns.values())))).fit(disp=0, tol=1e-10, method="newton")

    run = trained(columns, C="inf", standardize=standardize, validation_fraction=0.0)

    assert run.model.standard_errors is not None
    fitted = np.append(run.model.coef[0], run.model.intercept)
    np.testing.assert_allclose(np.roll(fitted, 1), peer.params, rtol=1e-8)
    np.testing.assert_allclose(np.roll(run.model.standard_errors[0], 1), peer.bse, rtol=1e-8)


def test_spector_is_the_textbook_table() -> None:
    """Greene's grades data give the coefficients and standard errors that his table prints."""
    spector = sm.datasets.spector.load_pandas()
    columns = {name: spector.exog[name].to_numpy() for name in ("GPA", "TUCE", "PSI")}

    run = trained(columns, spector.endog.to_numpy().astype(int), C="inf", validation_fraction=0.0)

    assert run.model.standard_errors is not None
    np.testing.assert_allclose(run.model.coef[0], [2.826, 0.095, 2.379], atol=5e-4)
    np.testing.assert_allclose(run.model.standard_errors[0], [1.263, 0.142, 1.065, 4.931], atol=5e-4)


@pytest.mark.parametrize("labels", [Y, np.arange(N_ROWS) % 3], ids=["two", "three"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_covariance_is_that_of_the_standard_errors(labels: npt.NDArray[np.int64], *, fit_intercept: bool) -> None:
    """The roots of its diagonal are the standard errors, intercepts last; one that is not fitted has zeros."""
    run = trained({"a": 300 * A - 40, "b": B}, labels, fit_intercept=fit_intercept, standardize=True)

    covariance, errors = run.model.covariance, run.model.standard_errors
    assert covariance is not None
    assert errors is not None
    np.testing.assert_array_equal(np.sqrt(np.diag(covariance)), errors.ravel())
    np.testing.assert_allclose(covariance, covariance.T, rtol=1e-12)
    assert (covariance[2] != 0).any() == fit_intercept


@pytest.mark.parametrize("labels", [Y, np.arange(N_ROWS) % 3], ids=["two", "three"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_shrinkage_bias_is_that_of_raw_columns(labels: npt.NDArray[np.int64], *, fit_intercept: bool) -> None:
    """It is what a little more penalty moves the raw coefficients and intercepts by, relative to the step."""
    columns, step = {"a": 300 * A - 40, "b": B}, 1e-4
    runs = [
        trained(columns, labels, fit_intercept=fit_intercept, standardize=True, C=C, tol=1e-13)
        for C in (1.0, 1.0 / (1.0 + step), 1.0 / (1.0 - step))
    ]

    fitted, more, less = (np.column_stack([run.model.coef, run.model.intercept]) for run in runs)

    bias = runs[0].model.shrinkage_bias
    assert bias is not None
    # The rounding of the coefficients, some 1e-11 of them, is divided by the step.
    np.testing.assert_allclose((more - less) / (2 * step), bias, rtol=1e-5, atol=1e-6 * np.abs(fitted).max())
    assert (bias[:, -1] != 0).any() == fit_intercept


def test_a_wide_model_keeps_its_standard_errors_only() -> None:
    """With more than 500 parameters the covariance would outgrow the model, and is not stored."""
    columns = np.random.default_rng(0).normal(size=(500, N_ROWS))

    run = trained({f"x{index}": column for index, column in enumerate(columns)})

    assert run.model.standard_errors is not None
    assert run.model.covariance is None


def test_no_standard_errors_away_from_the_optimum() -> None:
    """A fit that was stopped early has no standard errors, for they would be those of no estimate."""
    run = trained({"a": A, "b": B}, solver="gradient-descent", max_iter=5)

    assert run.model.standard_errors is None
    assert run.model.shrinkage_bias is None
    assert run.model.covariance is None
    assert run.draft.certificate.status == "budget spent"


CONSTANT, TEXT = np.full(N_ROWS, 3.0), ["x", "y"] * (N_ROWS // 2)


@pytest.mark.parametrize(
    ("columns", "options", "expected"),
    [
        ({"a": A, "b": B}, {}, ()),
        ({"a": A, "t": TEXT, "u": TEXT[::-1]}, {}, ("collinear",)),
        ({"a": A, "t": TEXT}, {"fit_intercept": False}, ()),
        ({"a": A, "t": TEXT}, {"fit_intercept": False, "C": "inf"}, ()),
        ({"a": A, "b": 2 * A}, {}, ("collinear",)),
        ({"a": A, "b": 2 * A}, {"C": "inf"}, ("collinear",)),
        ({"a": A, "k": CONSTANT}, {}, ("constant-column",)),
        ({"a": A, "k": ["same"] * N_ROWS}, {}, ("constant-column",)),
        ({"a": A, "k": ["same"] * N_ROWS}, {"C": "inf"}, ("constant-column",)),
        ({"a": A, "b": 2 * A, "k": CONSTANT}, {}, ("constant-column", "collinear")),
        ({"a": A, "b": 2 * A, "k": ["same"] * N_ROWS}, {}, ("constant-column", "collinear")),
        ({"a": A, "k": CONSTANT}, {"fit_intercept": False}, ("constant-column",)),
        ({"a": A, "k": CONSTANT, "l": 2 * CONSTANT}, {"fit_intercept": False}, ("constant-column", "collinear")),
        ({"a": A}, {"solver": "gradient-descent", "max_iter": 3}, ("not-converged",)),
    ],
)
def test_warnings_name_what_is_odd(columns: dict[str, Any], options: dict[str, Any], expected: tuple[str, ...]) -> None:
    """Each oddity of the columns is named once, and a design without any has no warning."""
    run = trained(columns, **options)

    assert run.draft.warnings == expected


def test_separation_is_named() -> None:
    """Classes that a line tells apart are named, converged under a penalty or stopped without one."""
    labels, apart = (A > 0).astype(int), A + np.sign(A)

    penalised = trained({"a": apart}, labels, C=1e6)
    stopped = trained({"a": apart}, labels, C="inf", solver="gradient-descent", max_iter=500)

    assert penalised.draft.warnings == ("separation",)
    assert stopped.draft.warnings == ("separation", "not-converged")
    assert stopped.draft.certificate.gap_bound is None
    assert stopped.draft.certificate.witness is not None


def test_a_refusal_names_the_columns_that_give_the_answer_away() -> None:
    """Separated classes without a penalty are refused with the columns of the witness, categories included."""
    rng = np.random.default_rng(0)
    text = np.array(["a", "b", "c"] * 40, dtype=np.object_)
    labels = np.where(text == "c", 1, rng.integers(0, 2, 120))

    with pytest.raises(SeparationError, match="quasi") as caught:
        trained({"noise": rng.normal(size=120), "word": text}, labels, C="inf")

    assert caught.value.hint == "it shows in 'word=c'"
    assert caught.value.witness is not None
