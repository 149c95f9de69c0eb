"""The reliability table agrees with scikit-learn, and with bins counted by hand."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.calibration import calibration_curve

from service.errors import EmptyInput, InvalidParameter, LengthMismatch, NonFinite
from service.linear.calibration import calibration_table, expected_calibration_error
from service.linear.columns.arrays import Vector

binary_rows = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=40).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)


@settings(deadline=None)
@given(binary_rows, st.integers(1, 12))
def test_table_has_the_bins_of_scikit_learn(rows: list[tuple[bool, float]], n_bins: int) -> None:
    """Observed and predicted frequencies are scikit-learn's, and every row is in one bin, between its edges."""
    y_true, probability = (np.array(column) for column in zip(*rows, strict=True))
    fraction_positive, mean_predicted = calibration_curve(y_true, probability, n_bins=n_bins)

    table = calibration_table(y_true, probability, n_bins)

    np.testing.assert_allclose(table.fraction_positive, fraction_positive, rtol=1e-12)
    np.testing.assert_allclose(table.mean_predicted, mean_predicted, rtol=1e-12)
    assert table.count.sum() == len(rows)
    # A mean of equal numbers may round one unit past the edge that they lie on.
    assert (table.bin_edges[:, 0] <= table.mean_predicted + 1e-15).all()
    assert (table.mean_predicted <= table.bin_edges[:, 1] + 1e-15).all()


def test_bins_counted_by_hand() -> None:
    """Four rows in five bins: 0.2 closes the first bin, three bins are empty, and the error weighs bins by rows."""
    y_true, probability = np.array(["no", "no", "yes", "yes"]), np.array([0.0, 0.2, 0.2, 0.9])

    table = calibration_table(y_true, probability, n_bins=5)
    error = expected_calibration_error(y_true, probability, n_bins=5)

    np.testing.assert_allclose(table.bin_edges, [[0.0, 0.2], [0.8, 1.0]])
    np.testing.assert_allclose(table.mean_predicted, [0.4 / 3, 0.9])
    np.testing.assert_allclose(table.fraction_positive, [1 / 3, 1.0])
    assert table.count.tolist() == [3, 1]
    assert error == pytest.approx(3 / 4 * 0.2 + 1 / 4 * 0.1)


def test_error_is_zero_when_frequencies_match_and_one_when_they_oppose() -> None:
    """Certain and right has no calibration error; certain and wrong has all of it."""
    y_true = np.array([0, 1, 1, 0])

    right, wrong = (expected_calibration_error(y_true, p.astype(float)) for p in (y_true, 1 - y_true))

    assert (right, wrong) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("probability", "n_bins", "error"),
    [
        (np.array([]), 10, LengthMismatch),
        (np.array([0.1, np.nan]), 10, NonFinite),
        (np.array([0.1, 1.1]), 10, InvalidParameter),
        (np.array([0.1, 0.2]), 0, InvalidParameter),
    ],
    ids=["lengths", "nan", "above-one", "no-bins"],
)
def test_what_cannot_be_binned_is_refused(probability: Vector, n_bins: int, error: type[Exception]) -> None:
    """A table needs one probability a row, between 0 and 1, and a bin to put it in."""
    with pytest.raises(error):
        calibration_table(np.array([0, 1]), probability, n_bins)


def test_no_rows_have_no_table() -> None:
    """Without rows there is no frequency to compare."""
    with pytest.raises(EmptyInput):
        expected_calibration_error(np.array([]), np.array([]))
