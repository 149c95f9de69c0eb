"""From whatever a caller passes to checked float64 arrays; the messages name what is wrong and where."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from service.errors import (
    EmptyInput,
    FeatureCount,
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
from service.linear.interop import warn_column_vector
from service.linear.lanes import in_lanes

Matrix: TypeAlias = npt.NDArray[np.float64]
Vector: TypeAlias = npt.NDArray[np.float64]
Labels: TypeAlias = npt.NDArray[Any]

LARGEST_MAGNITUDE = 1e150
# The span of labels up to which counting beats sorting.
MOST_COUNTED = 1 << 16
MAX_CLASSES = 1000


def as_matrix(X: Any) -> Matrix:
    """X as float64 (n, p), n ≥ 1, p ≥ 1, all finite.

    Raises TypeError for sparse matrices, RaggedRows, WrongType, WrongShape, EmptyInput, NonFinite, or ValueError for
    complex numbers.
    """
    if hasattr(X, "toarray"):
        raise TypeError("sparse input is not supported here; pass X.toarray()")
    matrix = _as_numbers(X)
    if matrix.ndim != 2:
        raise WrongShape(
            f"Expected 2D array of rows, got {matrix.ndim}D array instead. Reshape your data: X.reshape(-1, 1) "
            "for one column, X.reshape(1, -1) for one row"
        )
    if 0 in matrix.shape:
        axis = "sample" if matrix.shape[0] == 0 else "feature"
        raise EmptyInput(f"Found array with 0 {axis}(s) (shape={matrix.shape}) while a minimum of 1 is required.")
    check_finite(matrix)
    return matrix


def _as_numbers(X: Any) -> Matrix:
    try:
        array = np.asarray(X)
    except ValueError:
        raise RaggedRows("the rows of X have different lengths; each needs one number a column") from None
    if np.iscomplexobj(array):
        raise ValueError("Complex data not supported")
    try:
        return np.asarray(array, dtype=np.float64)
    except ValueError:
        raise WrongType("X holds text that is not a number; encode text columns as numbers first") from None


def check_finite(matrix: Matrix) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        sums = in_lanes(len(matrix), matrix.shape[1], lambda lane: float(matrix[lane].sum()))
    if all(map(math.isfinite, sums)):
        return
    finite = np.isfinite(matrix)
    if finite.all():
        return
    row, column = np.argwhere(~finite)[0]
    word = "NaN" if np.isnan(matrix[row, column]) else "infinity"
    raise NonFinite(f"Input X contains {word} (first at row {row}, column {column}); impute or remove it first")


def check_range(matrix: Matrix) -> None:
    """Raise NumericOverflow where squares of the numbers would leave the range of doubles."""
    columns = ~(np.maximum(matrix.max(axis=0), -matrix.min(axis=0)) <= LARGEST_MAGNITUDE)
    if columns.any():
        raise NumericOverflow(
            f"column {int(np.argmax(columns))} holds numbers too large to compute with (above {LARGEST_MAGNITUDE:g}); "
            "rescale it"
        )


def as_labels(y: Any, n_rows: int) -> Labels:
    """Labels y as a vector of n_rows: booleans, whole numbers or strings.

    Raises LengthMismatch, WrongShape, or NotCategorical for continuous, missing or nested labels.
    """
    if y is None:
        raise NotCategorical("requires y to be passed, but the target y is None")
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        warn_column_vector()
        labels = labels.ravel()
    if labels.ndim != 1:
        raise WrongShape(f"y must be a vector of labels, got shape {labels.shape}")
    if len(labels) != n_rows:
        raise LengthMismatch(f"y has {len(labels)} labels for {n_rows} rows")
    if labels.dtype.kind == "O":
        labels = _as_homogeneous(labels)
    if labels.dtype.kind == "f":
        if not np.isfinite(labels).all():
            raise NotCategorical("Input y contains NaN or infinity; remove these rows")
        if (labels != np.round(labels)).any():
            raise NotCategorical("Unknown label type: continuous. Labels must be whole numbers, strings or booleans")
    elif labels.dtype.kind not in "biuUS":
        raise NotCategorical("Unknown label type: labels must be whole numbers, strings or booleans")
    return labels


def _as_homogeneous(labels: Labels) -> Labels:
    """Labels of dtype object as a plain array, when they are all strings, all booleans or all numbers."""
    for kind in (str, bool, int, float, np.generic):
        if all(isinstance(label, kind) for label in labels):
            return np.array(labels.tolist())
    raise NotCategorical("Unknown label type: the labels mix types, or are neither numbers, strings nor booleans")


def classes_and_index(labels: Labels) -> tuple[Labels, npt.NDArray[np.intp]]:
    """The distinct labels, sorted, and the position of each label among them, (n,): ``np.unique`` without a sort of all
    rows where the labels are whole numbers close to each other.
    """
    if labels.dtype.kind not in "iu" or len(labels) == 0:
        return np.unique(labels, return_inverse=True)
    smallest, largest = int(labels.min()), int(labels.max())
    if largest - smallest > MOST_COUNTED:
        return np.unique(labels, return_inverse=True)
    shifted = (labels - smallest).astype(np.intp)
    present = np.bincount(shifted) > 0
    return np.flatnonzero(present).astype(labels.dtype) + labels.dtype.type(smallest), (np.cumsum(present) - 1)[shifted]


def as_weights(sample_weight: Any, n_rows: int) -> Vector:
    """Weights as float64 (n_rows,), 1 by default; raises LengthMismatch or InvalidWeights."""
    if sample_weight is None:
        return np.ones(n_rows)
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.ndim == 0:
        weights = np.full(n_rows, float(weights))
    if weights.shape != (n_rows,):
        raise LengthMismatch(f"sample_weight has shape {weights.shape}, expected ({n_rows},)")
    if not ((weights >= 0) & (weights <= LARGEST_MAGNITUDE)).all() or not weights.any():
        raise InvalidWeights(f"sample_weight must be from 0 to {LARGEST_MAGNITUDE:g}, and not all zero")
    return weights


def with_class_weight(weights: Vector, index: npt.NDArray[np.intp], classes: Labels, class_weight: Any) -> Vector:
    """Weights times the weight of each row's class.

    class_weight: None, "balanced" (n / (K · rows of the class), rows counted by weight), or a mapping from label to
    weight in which a label left out counts 1.  Raises InvalidWeights.
    """
    if class_weight is None:
        return weights
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise InvalidWeights('class_weight must be None, "balanced" or a mapping from label to weight')
        totals = np.bincount(index, weights=weights, minlength=len(classes))
        return np.asarray(weights * (weights.sum() / (len(classes) * totals))[index], dtype=np.float64)
    if not isinstance(class_weight, Mapping):
        raise InvalidWeights('class_weight must be None, "balanced" or a mapping from label to weight')
    unknown = [label for label in class_weight if label not in classes.tolist()]
    if unknown:
        raise InvalidWeights(f"class_weight names {len(unknown)} label(s) that are not in y")
    per_class = np.array([float(class_weight.get(label, 1.0)) for label in classes.tolist()])
    if not ((per_class >= 1 / LARGEST_MAGNITUDE) & (per_class <= LARGEST_MAGNITUDE)).all():
        raise InvalidWeights(
            f"class_weight must be above 0 and at most {LARGEST_MAGNITUDE:g}; to ignore a class, leave out its rows"
        )
    return np.asarray(weights * per_class[index], dtype=np.float64)


def check_feature_count(matrix: Matrix, expected: int, estimator: str) -> None:
    if matrix.shape[1] != expected:
        raise FeatureCount(
            f"X has {matrix.shape[1]} features, but {estimator} is expecting {expected} features as input"
        )


def check_classes(classes: Labels) -> None:
    if len(classes) < 2:
        raise SingleClass(f"y holds {len(classes)} class with positive weight; a classifier needs at least 2 classes")
    if len(classes) > MAX_CLASSES:
        raise TooManyClasses(f"y holds {len(classes)} classes, more than {MAX_CLASSES}; is it an identifier?")


def feature_names(X: Any) -> Labels | None:
    """The column names of a data frame when all are strings, else None."""
    columns = getattr(X, "columns", None)
    if columns is None:
        return None
    names = np.asarray(columns, dtype=object)
    return names if all(isinstance(name, str) for name in names) else None
