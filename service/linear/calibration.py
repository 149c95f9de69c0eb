"""Whether events of probability p happen a share p of the time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.errors import InvalidParameter
from service.linear.columns.arrays import Matrix, Vector
from service.linear.metrics import Counts, Labels, check_probabilities, positive_rows, row_weights


@dataclass(frozen=True, slots=True)
class CalibrationTable:
    """The m bins that hold a row, in ascending order.

    bin_edges: shape (m, 2), the lower and the upper edge of each bin, which holds lower < p <= upper (0 is in the
    first).  mean_predicted and fraction_positive: shape (m,), in [0, 1].  count: rows in the bin, shape (m,).
    """

    bin_edges: Matrix
    mean_predicted: Vector
    fraction_positive: Vector
    count: Counts


def calibration_table(y_true: Labels, probability: Vector, n_bins: int = 10) -> CalibrationTable:
    """Predicted against observed frequency of the positive label, by bin.

    n_bins: bins of equal width over [0, 1], of which the empty ones are left out.
    y_true: two labels, see ``metrics.positive_rows``.  probability: of the positive one, shape (n,).
    Raises EmptyInput, LengthMismatch, TooManyClasses, NonFinite, or InvalidParameter for a probability outside [0, 1]
    or ``n_bins`` below 1.  Source: ``sklearn.calibration.calibration_curve(strategy="uniform")``.
    """
    if n_bins < 1:
        raise InvalidParameter("n_bins must be at least 1")
    row_weights(y_true, probability)
    check_probabilities(probability)
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    bins = np.searchsorted(edges[1:-1], probability)
    count = np.bincount(bins, minlength=n_bins)
    held = count > 0
    predicted, positive = (
        np.bincount(bins, weights=values, minlength=n_bins)[held] for values in (probability, positive_rows(y_true))
    )
    pairs = np.column_stack([edges[:-1], edges[1:]])
    return CalibrationTable(pairs[held], predicted / count[held], positive / count[held], count[held])


def expected_calibration_error(y_true: Labels, probability: Vector, n_bins: int = 10) -> float:
    """The mean gap, over rows, between both frequencies of a row's bin.

        ECE = sum_b (count_b / n) |fraction_positive_b - mean_predicted_b|, in [0, 1]

    Raises the errors of ``calibration_table``.  Source: Naeini, Cooper and Hauskrecht, AAAI 2015.
    """
    table = calibration_table(y_true, probability, n_bins)
    return float(np.average(np.abs(table.fraction_positive - table.mean_predicted), weights=table.count))
