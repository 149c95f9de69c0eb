"""A training run: what it fits, what it refuses, and what it records."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from training_runs import N_ROWS, A, B, Y, table_of, trained, trained_on

from service.errors import (
    InvalidInput,
    InvalidWeights,
    LengthMismatch,
    MissingValue,
    NumericOverflow,
    SeparationError,
    SingleClass,
    Underdetermined,
)
from service.linear.estimator import LogisticRegression
from service.store.artifact import encode_parameters
from service.training.train import TrainingData


def test_same_seed_gives_the_same_bytes() -> None:
    """Two runs give the same parameters, to the bit, and the same record; another seed holds out other rows."""
    first, second = trained_on("penguins", missing="impute"), trained_on("penguins", missing="impute")
    other = trained_on("penguins", missing="impute", seed=1)

    assert encode_parameters(first.model) == encode_parameters(second.model)
    assert first.draft == second.draft
    assert encode_parameters(first.model) != encode_parameters(other.model)


def test_penguins_with_missing_cells_and_text() -> None:
    """Text columns, missing cells and three classes are fitted to a certified optimum that predicts unseen rows."""
    run = trained_on("penguins", missing="impute")

    assert run.is_certified
    # Two penguins were not measured at all, which is too few for indicators; the sex of eleven is not known.
    assert [name for name in run.model.design.column_names if "missing" in name] == ["sex is missing"]
    assert run.draft.warnings == ("separation",)
    assert run.draft.metrics.held_out is not None
    assert run.draft.metrics.held_out.accuracy > 0.95
    assert run.model.schema.missing_values == ("NA",)


@pytest.mark.parametrize(("C", "names"), [(1.0, ["t=x", "t=y", "t=z", "a"]), ("inf", ["t=y", "t=z", "a"])])
def test_text_columns_with_and_without_penalty(C: object, names: list[str]) -> None:
    """With a penalty every category has a coefficient; without one the first is the reference."""
    run = trained({"t": ["x", "y", "z", "x"] * (N_ROWS // 4), "a": A}, C=C)

    assert list(run.model.design.column_names) == names
    assert run.draft.drop_first == (C == "inf")
    assert run.is_certified
    assert run.draft.warnings == ()


def test_record_says_what_was_asked_for() -> None:
    """The record states C, the penalty in words with its scale, and the number of training rows."""
    plain = trained({"a": A, "b": B}, C=0.5).draft.training
    free = trained({"a": A, "b": B}, C="inf").draft.training
    raw = trained({"a": A, "b": B}, standardize=False).draft.training

    assert (plain.options["C"], plain.rows) == (0.5, 64)
    assert plain.penalty == "L2 with C = 0.5, on standardised columns, the intercept free"
    assert (free.options["C"], free.penalty) == ("inf", "none")
    assert "on raw columns" in raw.penalty


def test_raw_coefficients_are_the_standardised_fit() -> None:
    """The model on raw columns gives the probabilities of the fit on standardised ones."""
    columns = {"a": 1000 * A + 5000, "b": B / 1000}
    matrix = np.column_stack(list(columns.values()))
    scaled = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    peer = LogisticRegression(C=0.7).fit(scaled, Y)

    run = trained(columns, validation_fraction=0.0, C=0.7)

    np.testing.assert_allclose(run.model.probabilities(table_of(columns)), peer.predict_proba(scaled), rtol=1e-12)


@pytest.mark.parametrize("C", [1.0, "inf"])
def test_without_intercept_the_logit_has_no_constant(C: object) -> None:
    """fit_intercept=False leaves no constant in the raw logit, with standardised columns far from zero too."""
    columns = {"a": A + 5, "b": B}

    run = trained(columns, fit_intercept=False, C=C)

    assert run.model.intercept.tolist() == [0.0]
    np.testing.assert_array_equal(run.model.logits(table_of({"a": [0.0], "b": [0.0]})), [[0.0]])
    assert run.model.standard_errors is not None
    assert run.model.standard_errors[0, -1] == 0


@pytest.mark.parametrize(
    ("labels", "first", "second"),
    [(Y, "0", "1"), (Y.astype(bool), "false", "true"), (np.where(Y, "yes", "no"), "no", "yes")],
    ids=["whole numbers", "booleans", "strings"],
)
def test_class_weight_goes_by_the_label_as_text(labels: npt.ArrayLike, first: str, second: str) -> None:
    """A class weight is named by its label as JSON writes a key, and means that its rows are there as often.

    The intercept is moved back to the population.
    """
    weights = np.where(Y, 3.0, 0.5)
    reference = trained({"a": A, "b": B}, sample_weight=weights)

    run = trained({"a": A, "b": B}, labels, class_weight={first: 0.5, second: 3.0})

    np.testing.assert_allclose(run.model.coef, reference.model.coef, rtol=1e-9)
    np.testing.assert_allclose(run.model.intercept + np.log(3.0 / 0.5), reference.model.intercept, rtol=1e-9)


def test_class_weight_of_an_unknown_label_is_refused() -> None:
    """A weight for a class that is not there is a mistake, not a wish."""
    with pytest.raises(InvalidWeights, match="not in y"):
        trained({"a": A}, class_weight={"7": 1.0})


def test_balanced_classes_weigh_the_same() -> None:
    """``balanced`` is the weight n / (K · n of the class) for each class."""
    labels = (np.arange(N_ROWS) % 5 == 0).astype(int)
    run = trained({"a": A}, labels, class_weight="balanced", validation_fraction=0.0)

    by_hand = trained({"a": A}, labels, class_weight={"0": 0.625, "1": 2.5}, validation_fraction=0.0)

    np.testing.assert_allclose(run.model.coef, by_hand.model.coef, rtol=1e-9)


def test_row_of_weight_zero_is_not_there() -> None:
    """Rows of weight 0 leave the model and the metrics unchanged, also when they alone have a label."""
    columns = {"a": np.append(A, [3.0, 4.0]), "b": np.append(B, [0.0, 0.0])}
    labels = np.append(np.where(Y, "yes", "no"), ["ghost", "ghost"])
    weights = np.append(np.ones(N_ROWS), [0.0, 0.0])

    run = trained(columns, labels, sample_weight=weights)
    reference = trained({"a": A, "b": B}, np.where(Y, "yes", "no"))

    assert run.model.classes == ("no", "yes")
    assert run.draft.metrics == reference.draft.metrics
    np.testing.assert_array_equal(run.model.coef, reference.model.coef)


def test_no_rows_are_held_out_at_fraction_zero() -> None:
    """With validation_fraction 0 all rows train, and there are no held-out metrics."""
    run = trained({"a": A}, validation_fraction=0.0)

    assert run.held_out is None
    assert run.draft.metrics.held_out is None
    assert run.draft.training.rows == N_ROWS


@pytest.mark.parametrize("row", range(0, N_ROWS, 13))
def test_missing_cell_is_named_by_the_row_that_was_sent(row: int) -> None:
    """Under ``reject`` the error names the row's number in the data, on whichever side of the split it falls."""
    b = B.copy()
    b[row] = np.nan

    with pytest.raises(MissingValue, match=rf"^row {row}, column 'b' is missing") as error:
        trained({"a": A, "b": b})

    assert error.value.errors[0].pointer == f"/instances/{row}/1"


def test_fewer_rows_than_columns_need_a_penalty() -> None:
    """Without a penalty fewer training rows than parameters are refused; with one they are fitted."""
    columns = {f"x{index}": values for index, values in enumerate(np.random.default_rng(1).normal(size=(10, 8)))}

    with pytest.raises(Underdetermined, match="6 training rows cannot determine 10 columns"):
        trained(columns, [0, 1] * 4, C="inf")
    assert trained(columns, [0, 1] * 4).is_certified


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e150, 1e300])
def test_standardised_columns_of_any_unit_give_a_finite_model(scale: float) -> None:
    """With a penalty, columns near the ends of the doubles are fitted; standard errors that overflow are left out."""
    columns = {"a": A * scale, "b": B}
    reference = trained({"a": A, "b": B})

    run = trained(columns)

    probabilities = run.model.probabilities(table_of(columns))
    np.testing.assert_allclose(probabilities, reference.model.probabilities(table_of({"a": A, "b": B})), rtol=1e-9)
    assert run.model.standard_errors is None or np.isfinite(run.model.standard_errors).all()


def test_numbers_out_of_range_are_refused() -> None:
    """A fit that cannot be computed in doubles, or whose coefficients are none, is NumericOverflow."""
    with pytest.raises(NumericOverflow, match="too large"):
        trained({"a": A * 1e300, "b": B}, C="inf")
    with pytest.raises(NumericOverflow, match="too large"):
        trained({"a": A * 1e300, "b": B}, solver="gradient-descent", C="inf")
    with pytest.raises(NumericOverflow, match="so small that its coefficient overflows"):
        trained({"a": A * 3e-308, "b": B}, 1 * (A > 0), C=1e6)


def test_what_cannot_be_learnt_from_is_refused() -> None:
    """Separated classes without a penalty, no column that varies, a single class with weight, and other lengths."""
    with pytest.raises(SeparationError):
        trained({"a": A}, (A > 0).astype(int), C="inf")
    with pytest.raises(InvalidInput, match="nothing to learn from"):
        trained({"t": ["same"] * N_ROWS}, C="inf")
    with pytest.raises(SingleClass):
        trained({"a": A}, sample_weight=Y)
    with pytest.raises(LengthMismatch, match="79 targets for 80 rows"):
        TrainingData(table_of({"a": A}), Y[:-1])
