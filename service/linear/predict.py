"""From rows to logits and what follows from them, block by block: no array of all rows but the answer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from service.errors import NumericOverflow
from service.linear.checks import check_columns_finite
from service.linear.columns import Columns
from service.linear.columns.arrays import Matrix, Vector
from service.linear.lanes import in_lanes, parts_of
from service.linear.link import log_sigmoid, log_softmax, softmax


def of_logits(
    columns: Columns, coef: Matrix, intercept: Vector, then: Callable[[Matrix], Matrix], n_outputs: int | None
) -> Matrix:
    """``then`` of the logits X coefᵀ + intercept, (n, n_outputs), or (n,) for None.

    coef: (k, p).  then: is given the logits of a block, (m,) for k = 1, else (m, k), and may overwrite them.
    Raises NonFinite for cells that are no finite numbers, NumericOverflow for logits that are not.
    """
    n_rows = columns.shape[0]
    result = np.empty(n_rows if n_outputs is None else (n_rows, n_outputs))
    weights, constant = (coef[0], intercept[0]) if len(coef) == 1 else (np.ascontiguousarray(coef.T), intercept)

    def is_finite(lane: slice) -> bool:
        with np.errstate(over="ignore", invalid="ignore"):
            for part in parts_of(lane, columns.pass_height):
                logits = columns.block(part).product(weights)
                logits += constant
                if not np.isfinite(logits).all():
                    return False
                result[part] = then(logits)
        return True

    if not all(in_lanes(n_rows, columns.row_numbers, is_finite)):
        check_columns_finite(columns)
        raise NumericOverflow("X holds numbers too large for these coefficients; rescale its columns")
    return result


def probabilities(logits: Matrix) -> Matrix:
    """P(class | row): (m, 2) of the logits of the second of two classes, (m,), or (m, K) of (m, K)."""
    if logits.ndim == 2:
        return softmax(logits)
    # ``sigmoid`` of z and of -z, which share their exponential.
    t = np.exp(-np.abs(logits))
    denominator = 1.0 + t
    likelier, other, is_second = 1.0 / denominator, t / denominator, logits >= 0
    both = np.empty((len(logits), 2))
    both[:, 0] = np.where(is_second, other, likelier)
    both[:, 1] = np.where(is_second, likelier, other)
    return both


def log_probabilities(logits: Matrix) -> Matrix:
    """The logarithms of ``probabilities``, finite where those underflow to 0."""
    if logits.ndim == 2:
        return log_softmax(logits)
    return np.column_stack([log_sigmoid(-logits), log_sigmoid(logits)])
