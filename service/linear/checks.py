"""From whatever a caller passes to checked float64 arrays; the messages name what is wrong and where."""

from __future__ import annotations

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
from service.linear.columns import CodedColumns, Columns, ColumnsOnDemand, DenseColumns, SparseColumns
from service.linear.columns.arrays import Matrix, Vector
from service.linear.interop import warn_column_vector
from service.linear.lanes import parts_of

Labels: TypeAlias = npt.NDArray[Any]

LARGEST_MAGNITUDE = 1e150
# An array in another order or type than C's doubles is copied up to here, 32 MiB, and read block by block beyond.
MOST_COPIED = 1 << 22
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
    matrix = _as_doubles(_as_array(X))
    check_columns_finite(DenseColumns(matrix))
    return matrix


def as_columns(X: Any) -> Columns:
    """X as columns (n, p), n ≥ 1, p ≥ 1: see ``service.linear.columns`` for the forms.

    A C-ordered float64 array is taken as it is, float32 and other orders stay so in memory, a memory-mapped file stays
    on disk, SciPy's sparse matrices stay sparse, and ``Columns`` are themselves.  Raises what ``as_matrix`` raises, but looks at no cell: see
    ``check_columns_finite``.
    """
    if isinstance(X, (DenseColumns, SparseColumns, CodedColumns, ColumnsOnDemand)):
        columns: Columns = X
        check_shape(*columns.shape)
    elif hasattr(X, "tocsr"):
        columns = _sparse_columns(X)
    else:
        array = _as_array(X)
        is_plain = array.dtype == np.float64 and array.flags.c_contiguous
        if _is_on_disk(array) or (array.dtype.kind == "f" and array.size > MOST_COPIED and not is_plain):
            columns = ColumnsOnDemand.of_array(array)
        else:
            columns = DenseColumns(np.require(_as_doubles(array), requirements=["C", "A"]))
    return columns


def _sparse_columns(X: Any) -> SparseColumns:
    """The sparse matrix in CSR, a copy where it is not in that order already."""
    check_shape(*X.shape)
    if np.issubdtype(X.dtype, np.complexfloating):
        raise ValueError("Complex data not supported")
    csr = X.tocsr()
    csr = csr if csr.dtype == np.float64 else csr.astype(np.float64)
    if not csr.has_canonical_format:
        csr = csr.copy()
        csr.sum_duplicates()
    return SparseColumns(csr)


def _is_on_disk(array: npt.NDArray[Any]) -> bool:
    """Whether the cells are a mapped file, of which a copy may not fit into memory."""
    base: object = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            return array.dtype.kind == "f"
        base = base.base
    return False


def _as_array(X: Any) -> npt.NDArray[Any]:
    """X as an array of two dimensions."""
    try:
        array: npt.NDArray[Any] = np.asanyarray(X) if isinstance(X, np.memmap) else np.asarray(X)
    except ValueError:
        raise RaggedRows("the rows of X have different lengths; each needs one number a column") from None
    if np.iscomplexobj(array):
        raise ValueError("Complex data not supported")
    if array.ndim != 2:
        # Cells that are no numbers are the greater surprise.
        _as_doubles(array)
        raise WrongShape(
            f"Expected 2D array of rows, got {array.ndim}D array instead. Reshape your data: X.reshape(-1, 1) "
            "for one column, X.reshape(1, -1) for one row"
        )
    check_shape(*array.shape)
    return array


def _as_doubles(array: npt.NDArray[Any]) -> Matrix:
    try:
        return np.asarray(array, dtype=np.float64)
    except ValueError:
        raise WrongType("X holds text that is not a number; encode text columns as numbers first") from None


def check_shape(n_rows: int, n_columns: int) -> None:
    """Raise EmptyInput without rows or columns."""
    if n_rows and n_columns:
        return
    axis = "feature" if n_rows else "sample"
    raise EmptyInput(f"Found array with 0 {axis}(s) (shape={n_rows, n_columns}) while a minimum of 1 is required.")


def check_columns_finite(columns: Columns) -> None:
    """Raise NonFinite naming row and column of the first cell that is not a finite number."""
    if columns.moments.are_finite:
        return
    for part in parts_of(slice(0, columns.shape[0]), columns.pass_height):
        cells = columns.block(part)
        # 0 · x is 0, unless x is NaN or infinite; a sum of the cells themselves could overflow.
        with np.errstate(invalid="ignore"):
            rows = np.flatnonzero(np.isnan(cells.product(np.zeros(columns.shape[1]))))
        if not len(rows):
            continue
        first = cells.block(slice(int(rows[0]), int(rows[0]) + 1)).dense()[0]
        column = int(np.argmin(np.isfinite(first)))
        word = "NaN" if np.isnan(first[column]) else "infinity"
        raise NonFinite(
            f"Input X contains {word} (first at row {part.start + rows[0]}, column {column}); impute or remove it first"
        )


def check_range(columns: Columns) -> None:
    """Raise NumericOverflow where squares of the numbers would leave the range of doubles."""
    too_large = ~(columns.largest_magnitudes() <= LARGEST_MAGNITUDE)
    if too_large.any():
        raise NumericOverflow(
            f"column {int(np.argmax(too_large))} holds numbers too large to compute with (above {LARGEST_MAGNITUDE:g}); "
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
    if largest - smallest > MOST_COUNTED or largest > np.iinfo(np.intp).max:
        return np.unique(labels, return_inverse=True)
    # In their own type differences of small integers would wrap.
    shifted = labels.astype(np.intp) - smallest
    present = np.bincount(shifted) > 0
    return (np.flatnonzero(present) + smallest).astype(labels.dtype), (np.cumsum(present) - 1)[shifted]


def as_weights(sample_weight: Any, n_rows: int) -> Vector:
    """Weights as float64 (n_rows,), 1 by default; raises LengthMismatch or InvalidWeights."""
    if sample_weight is None:
        return np.ones(n_rows)
    weights = np.ascontiguousarray(sample_weight, dtype=np.float64)
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


def check_feature_count(n_columns: int, expected: int, estimator: str) -> None:
    """Raise FeatureCount, in scikit-learn's words."""
    if n_columns != expected:
        raise FeatureCount(f"X has {n_columns} features, but {estimator} is expecting {expected} features as input")


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
