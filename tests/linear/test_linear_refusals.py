"""What cannot be fitted is refused with the class and the words that say why, and without the value that was sent."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from problems import drawn

from service import LogisticRegression
from service.errors import (
    EmptyInput,
    FeatureCount,
    InvalidParameter,
    InvalidWeights,
    LengthMismatch,
    NonFinite,
    NotCategorical,
    NumericOverflow,
    RaggedRows,
    SingleClass,
    TooManyClasses,
    WrongShape,
    WrongType,
)

X, Y = drawn(20, 2)
NAN, INF = float("nan"), float("inf")

REFUSED: dict[str, tuple[Any, ...]] = {
    "C": (0, -1, NAN, "1", None, True, 1e-320, [1.0]),
    "l1_ratio": (-0.1, 1.1, None, NAN, True),
    "solver": ("lbfgs", None, ""),
    "tol": (0, -1e-3, INF, NAN, "small"),
    "max_iter": (0, -1, 1.5, INF, NAN, True, "many"),
    "learning_rate": (0, -0.1, INF, NAN, "fast"),
    "covariance": ("hc4", True, []),
    "fit_intercept": ("no", None, 1),
    "warm_start": ("no", None),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in REFUSED.items() for value in values])
def test_parameters_out_of_range_are_refused(name: str, value: Any) -> None:
    """A parameter that it cannot have raises InvalidParameter, which names and points at it and says what is allowed."""
    with pytest.raises(InvalidParameter, match=f"^{name} must be") as caught:
        LogisticRegression(**{name: value}).fit(X, Y)

    assert caught.value.errors[0].pointer == f"/options/{name}"


def with_cell(value: float) -> Any:
    changed = X.copy()
    changed[3, 1] = value
    return changed


ROWS = [
    (X[:, 0], WrongShape, "2D array"),
    (X[None], WrongShape, "2D array"),
    (X[:0], EmptyInput, "0 sample"),
    (X[:, :0], EmptyInput, "0 feature"),
    (with_cell(NAN), NonFinite, "NaN .*row 3, column 1"),
    (with_cell(-INF), NonFinite, "infinity .*row 3, column 1"),
    (X + 1j, ValueError, "Complex"),
    ([["1", "secret"]] * 20, WrongType, "not a number"),
    ([[1.0, 2.0], [3.0]] * 10, RaggedRows, "different lengths"),
    (np.sign(X) * 1.7e308, NumericOverflow, "column 0 .*rescale"),
]


@pytest.mark.parametrize(("rows", "error", "words"), ROWS, ids=range(len(ROWS)))
def test_rows_that_cannot_be_fitted_are_refused(rows: Any, error: type[Exception], words: str) -> None:
    """Rows that are no finite matrix of numbers are refused by cause, with the place and without the value."""
    with pytest.raises(error, match=words) as caught:
        LogisticRegression().fit(rows, Y)

    assert "secret" not in str(caught.value)


LABELS = [
    (None, NotCategorical, "y to be passed"),
    (Y[:-1], LengthMismatch, "19 labels for 20 rows"),
    (np.column_stack([Y, Y]), WrongShape, "vector"),
    (X[:, 0], NotCategorical, "continuous"),
    (np.where(Y == 1, NAN, 0.0), NotCategorical, "NaN"),
    (np.array(["secret", 1] * 10, dtype=object), NotCategorical, "mix"),
    (np.array([None, "a"] * 10, dtype=object), NotCategorical, "mix"),
    (np.array(["2020-01-01"] * 20, dtype="M8[D]"), NotCategorical, "Unknown label type"),
    (np.zeros(20), SingleClass, "at least 2 classes"),
]


@pytest.mark.parametrize(("labels", "error", "words"), LABELS, ids=range(len(LABELS)))
def test_labels_that_cannot_be_fitted_are_refused(labels: Any, error: type[Exception], words: str) -> None:
    """Labels that are not one whole number, string or boolean a row, of two classes at least, are refused by cause."""
    with pytest.raises(error, match=words) as caught:
        LogisticRegression().fit(X, labels)

    assert "secret" not in str(caught.value)


def test_identifiers_are_no_classes() -> None:
    """More than a thousand classes are refused."""
    with pytest.raises(TooManyClasses, match="1001 classes, more than 1000"):
        LogisticRegression().fit(np.zeros((1001, 1)), np.arange(1001))


WEIGHTS = [
    (np.ones(19), LengthMismatch, r"\(19,\), expected \(20,\)"),
    (np.ones((20, 1)), LengthMismatch, "expected"),
    (np.zeros(20), InvalidWeights, "not all zero"),
    (-np.ones(20), InvalidWeights, "from 0"),
    (np.full(20, NAN), InvalidWeights, "from 0"),
    (np.full(20, 1e308), InvalidWeights, "to 1e"),
    (Y, SingleClass, "positive weight"),
]


@pytest.mark.parametrize(("weights", "error", "words"), WEIGHTS, ids=range(len(WEIGHTS)))
def test_weights_that_mean_nothing_are_refused(weights: Any, error: type[Exception], words: str) -> None:
    """Weights that are not one number from 0 a row, or that leave one class only, are refused by cause."""
    with pytest.raises(error, match=words):
        LogisticRegression().fit(X, Y, weights)


@pytest.mark.parametrize("class_weight", ["even", [1, 2], {0: -1.0}, {0: 0.0}, {0: NAN}, {1: 1e200}, {"secret": 1.0}])
def test_class_weights_that_mean_nothing_are_refused(class_weight: Any) -> None:
    """Class weights are None, "balanced", or positive numbers for labels that occur."""
    with pytest.raises(InvalidWeights, match="class_weight") as caught:
        LogisticRegression(class_weight=class_weight).fit(X, Y)

    assert "secret" not in str(caught.value)


def test_a_hessian_beyond_memory_is_refused() -> None:
    """So many parameters that their Hessian needs gigabytes are refused, and gradient descent is named."""
    with pytest.raises(InvalidParameter, match="gradient-descent"):
        LogisticRegression(C=np.inf).fit(np.zeros((2, 10_000)), [0, 1])


def test_prediction_wants_the_columns_of_the_fit() -> None:
    """Another number of columns, other names or another order of names are refused."""
    frame = pd.DataFrame(X, columns=["a", "b"])
    model = LogisticRegression().fit(frame, Y)

    with pytest.raises(FeatureCount, match="3 features, but LogisticRegression is expecting 2"):
        model.predict(np.ones((1, 3)))
    with pytest.raises(ValueError, match=r"unseen at fit time:\n- c\n.*missing:\n- b"):
        model.predict(frame.rename(columns={"b": "c"}))
    with pytest.raises(ValueError, match="same order"):
        model.predict(frame[["b", "a"]])


def test_prediction_beyond_doubles_is_refused() -> None:
    """A logit that leaves the doubles raises NumericOverflow, and is never NaN."""
    model = LogisticRegression().fit(X * [1.0, -1.0] * 1e-3, Y)
    model.coef_ = np.array([[10.0, -10.0]])

    with pytest.raises(NumericOverflow, match="rescale"):
        model.predict_proba([[1e308, 1e308]])


def test_a_score_wants_a_label_a_row() -> None:
    """One label is not silently compared to all rows."""
    with pytest.raises(LengthMismatch, match="1 labels for 20 rows"):
        LogisticRegression().fit(X, Y).score(X, [1])


def test_unfitted_is_said() -> None:
    """Prediction before any fit names the remedy."""
    with pytest.raises(AttributeError, match="call fit first"):
        LogisticRegression().predict(X)


def test_a_gram_matrix_that_is_too_large_is_refused() -> None:
    """More rows than a Gram matrix holds are refused, with the solvers that take them."""
    with pytest.raises(InvalidParameter, match="newton-cg"):
        LogisticRegression(solver="row-space").fit(np.zeros((20_001, 1)), np.arange(20_001) % 2)
