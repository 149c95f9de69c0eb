"""Scaling: standard columns, and the way back to raw coefficients."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from service.linear.columns.arrays import Matrix
from service.linear.scaling import Scaling

RNG = np.random.default_rng(1)


def test_standard_columns_have_mean_zero_and_variance_one() -> None:
    """Ordinary, huge and tiny columns are standardised alike."""
    matrix = RNG.normal(3.0, 2.0, size=(50, 3)) * np.array([1.0, 1e150, 1e-150])

    scaled = Scaling.standard(matrix).apply(matrix)

    # The tolerance is some roundings of fifty terms.
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=1e-14)
    np.testing.assert_allclose(scaled.std(axis=0), 1.0, rtol=1e-13)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e300, 5e-324])
def test_constant_column_keeps_its_unit(value: float) -> None:
    """A constant column is centred to zero and not divided."""
    matrix = np.full((7, 1), value)

    scaling = Scaling.standard(matrix)

    assert scaling.scale.tolist() == [1.0]
    # The mean of seven equal numbers may be off by its rounding.
    np.testing.assert_allclose(scaling.apply(matrix), 0.0, atol=abs(value) * 1e-15)


def test_spread_below_the_normal_doubles_is_constant() -> None:
    """A subnormal spread would make 1/scale infinite."""
    scaling = Scaling.standard(np.array([[0.0], [5e-324]]))

    assert scaling.scale.tolist() == [1.0]


@given(st.floats(-150, 150), st.integers(1, 3))
def test_raw_coefficients_keep_the_logits(exponent: float, n_classes: int) -> None:
    """The logits of raw rows under raw coefficients are those of scaled rows under scaled coefficients."""
    rng = np.random.default_rng(n_classes)
    matrix = rng.normal(2.0, 1.0, size=(20, 2)) * np.array([1.0, 10.0**exponent])
    scaling = Scaling.standard(matrix)
    coef, intercept = rng.normal(size=(n_classes, 2)), rng.normal(size=n_classes)

    raw_coef, raw_intercept = scaling.to_raw(coef, intercept)

    logits = scaling.apply(matrix) @ coef.T + intercept
    # Centring cancels at most a digit here, since the means are two deviations.
    np.testing.assert_allclose(matrix @ raw_coef.T + raw_intercept, logits, atol=1e-13)


def test_identity_changes_nothing() -> None:
    """The identity is the scaling of a model without standardisation."""
    matrix = RNG.normal(size=(4, 2))

    assert Scaling.identity(2).apply(matrix).tolist() == matrix.tolist()


def numerical_map(scaling: Scaling, n_classes: int) -> Matrix:
    """The linear map of (columns, intercept) blocks by its action on unit vectors."""
    size = len(scaling.scale) + 1
    images = []
    for unit in np.eye(n_classes * size):
        block = unit.reshape(n_classes, size)
        coef, intercept = scaling.to_raw(block[:, :-1], block[:, -1])
        images.append(np.column_stack([coef, intercept]).ravel())
    return np.array(images).T


@pytest.mark.parametrize("n_classes", [1, 3])
def test_covariance_goes_the_way_of_the_coefficients(n_classes: int) -> None:
    """The raw covariance is T V Tᵀ with the T of ``to_raw``, found here from unit vectors."""
    scaling = Scaling(np.array([3.0, -1.0]), np.array([2.0, 0.5]))
    root = RNG.normal(size=(3 * n_classes, 3 * n_classes))
    step = numerical_map(scaling, n_classes)

    raw = scaling.covariance_to_raw(root @ root.T)

    np.testing.assert_allclose(raw, step @ (root @ root.T) @ step.T, rtol=1e-12, atol=1e-12)
