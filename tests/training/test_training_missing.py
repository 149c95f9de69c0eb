"""Training with missing cells: the columns that indicate them, what they are worth, and what is said of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from training_runs import N_ROWS, A, B, Y, table_of, trained

from service.errors import SeparationError
from service.training.split import stratified_split

EVERY_FOURTH, EVERY_FIFTH = np.arange(N_ROWS) % 4 == 0, np.arange(N_ROWS) % 5 == 0
TEXT = np.where(B > 0, "x", "y")


def without(values: npt.NDArray[Any], rows: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """The values with missing cells in ``rows``."""
    cells = values.copy() if values.dtype.kind == "f" else values.astype(np.object_)
    cells[rows] = np.nan if values.dtype.kind == "f" else None
    return cells


def test_fit_is_that_of_the_imputer_with_indicators() -> None:
    """The probabilities are those of scikit-learn's pipeline with ``SimpleImputer(add_indicator=True)``."""
    columns = {"a": without(A, EVERY_FOURTH), "b": without(B, EVERY_FIFTH)}
    X = np.column_stack(list(columns.values()))
    peer = make_pipeline(
        SimpleImputer(add_indicator=True), StandardScaler(), LogisticRegression(C=0.7, tol=1e-12, max_iter=1000)
    ).fit(X, Y)

    run = trained(columns, missing="impute", C=0.7, validation_fraction=0.0)

    assert run.draft.warnings == ()
    np.testing.assert_allclose(run.model.probabilities(table_of(columns)), peer.predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize("values", [B, TEXT], ids=["numbers", "text"])
def test_absence_is_learnt_from(values: npt.NDArray[Any]) -> None:
    """Where cells are missing for one class more than for the other, their absence tells the class."""
    gone = np.random.default_rng(4).random(N_ROWS) < np.where(Y == 1, 0.8, 0.1)
    columns = {"b": without(values, gone)}

    run = trained(columns, missing="impute", validation_fraction=0.0)

    p = run.model.probabilities(table_of(columns))[:, 1]
    assert run.model.design.column_names[-1] == "b is missing"
    assert run.model.coef[0, -1] > 0
    assert p[gone].min() > 0.8
    assert p[~gone].max() < 0.4


@pytest.mark.parametrize("C", [1.0, "inf"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"a": without(A, EVERY_FOURTH), "b": without(B, EVERY_FIFTH)}, ()),
        ({"a": without(A, EVERY_FOURTH), "t": without(TEXT, EVERY_FIFTH)}, ()),
        ({"t": without(TEXT, EVERY_FIFTH)}, ()),
        ({"a": without(A, EVERY_FOURTH), "b": without(B, EVERY_FOURTH)}, ("collinear",)),
        ({"a": without(A, EVERY_FOURTH), "t": without(TEXT, EVERY_FOURTH)}, ("collinear",)),
        ({"a": A, "k": without(np.full(N_ROWS, 3.0), EVERY_FOURTH)}, ("constant-column",)),
        ({"a": A, "k": without(np.full(N_ROWS, "same"), EVERY_FOURTH)}, ("constant-column",)),
    ],
    ids=["numbers", "text", "text alone", "same rows", "same rows, text", "constant", "constant text"],
)
def test_warnings_count_the_indicators(
    columns: dict[str, Any], expected: tuple[str, ...], C: object, *, fit_intercept: bool
) -> None:
    """Indicators are columns like others: only those of columns that are missing in the same rows are collinear."""
    run = trained(columns, missing="impute", C=C, fit_intercept=fit_intercept)

    assert run.draft.warnings == expected
    assert run.is_certified
    assert run.model.coef.shape == (1, len(run.model.design.column_names))


def test_held_out_cells_that_are_new_to_be_missing_are_imputed_only() -> None:
    """What is missing in held-out rows alone has no indicator: such a row is answered as one with the training mean."""
    row = int(stratified_split(Y, 0.2, np.random.default_rng(0))[1][0])
    columns = {"a": without(A, EVERY_FOURTH), "b": without(B, np.arange(N_ROWS) == row)}

    run = trained(columns, missing="impute", validation_fraction=0.2, seed=0)

    assert run.held_out is not None
    assert run.draft.metrics.held_out is not None
    assert np.isnan(run.held_out.table.column("b")).sum() == 1
    assert run.model.design.column_names == ("a", "a is missing", "b")
    mean = run.model.design.means[2]
    answers = run.model.probabilities(table_of({"a": [1.0, 1.0], "b": [np.nan, mean]}))
    assert answers[0].tolist() == answers[1].tolist()


def test_shares_are_of_the_rows_and_not_of_their_weights() -> None:
    """Weights change the fit, not what the schema says of the rows; a row of weight 0 is not there."""
    weights = np.where(EVERY_FOURTH, 5.0, 1.0)
    weights[1] = 0.0

    run = trained({"a": without(A, EVERY_FOURTH)}, missing="impute", sample_weight=weights, validation_fraction=0.0)

    assert run.model.schema.features[0].missing_share == EVERY_FOURTH.sum() / (N_ROWS - 1)
    assert run.draft.training.rows == N_ROWS - 1


def test_absence_that_gives_the_answer_away_is_named() -> None:
    """Without a penalty, cells that are missing for one class alone are refused by the name of their indicator."""
    gone = EVERY_FOURTH & (Y == 1)

    with pytest.raises(SeparationError, match="quasi") as caught:
        trained({"a": A, "b": without(B, gone)}, missing="impute", C="inf", validation_fraction=0.0)

    assert caught.value.hint == "it shows in 'b is missing'"
