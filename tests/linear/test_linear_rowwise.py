"""A row alone, in a batch and without arrays: the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.testing import assert_array_equal

from service.linear.link import sigmoid, softmax
from service.linear.rowwise import LARGEST_LOGIT, FewRows, probabilities_of, rowwise_product


@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0, 1e3, 1e300])
@pytest.mark.parametrize("k", [1, 3, 4, 9, 17])
def test_a_row_has_the_same_bits_in_every_form(k: int, scale: float) -> None:
    """Batch, single row and plain arithmetic agree to the last bit, for few and many classes, near 0 and saturated."""
    rng = np.random.default_rng(k)
    coef, intercept, X = rng.normal(size=(k, 30)) * scale, rng.normal(size=k), rng.normal(size=(200, 30))
    few = FewRows(coef, intercept)

    together = probabilities_of(rowwise_product(X, coef, intercept))

    for row, expected in zip(X, together, strict=True):
        assert_array_equal(probabilities_of(rowwise_product(row[None], coef, intercept))[0], expected)
        assert few.probabilities([row.tolist()]) == [expected.tolist()]
    assert few.probabilities(X[:8].tolist()) == together[:8].tolist()


@given(st.floats(-800, 800))
def test_two_classes_are_the_sigmoid(z: float) -> None:
    """One logit gives its sigmoid and that of its negative, which are the softmax of (0, z)."""
    far, near = probabilities_of(np.array([[z]]))[0]

    assert near == sigmoid(np.array([z]))[0]
    assert far == sigmoid(np.array([-z]))[0]
    np.testing.assert_allclose([far, near], softmax(np.array([[0.0, z]]))[0], rtol=1e-14, atol=5e-324)


@pytest.mark.parametrize("row", [[1.7e308, 1.7e308], [-1.7e308, 1.0], [LARGEST_LOGIT, 0.0]])
def test_a_logit_out_of_range_is_left_to_the_careful_form(row: list[float]) -> None:
    """Sums beyond half the range of doubles, and NaN from two infinities, are not answered by plain arithmetic."""
    few = FewRows(np.array([[2.0, -2.0]]), np.zeros(1))

    assert few.probabilities([row]) is None
    assert few.probabilities([[1.0, 1.0]]) == [[0.5, 0.5]]


@pytest.mark.parametrize("cell", ["1", None, [1.0], {}])
def test_a_cell_that_is_no_number_is_an_error(cell: Any) -> None:
    """TypeError, wherever the cell stands, behind a logit out of range too."""
    with pytest.raises(TypeError):
        FewRows(np.array([[2.0, 1.0]]), np.zeros(1)).probabilities([[1.7e308, 1.0], [1.0, cell]])
