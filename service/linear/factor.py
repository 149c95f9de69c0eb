"""A factor of the inverse Hessian that reveals its rank."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from service.linear.columns.arrays import Matrix, Vector

SMALL_TRIANGLE = 48
LARGEST_ERROR = 0.5
EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Factor:
    """F with F Fᵀ = H⁺, shape (n_params, rank), and how far rounding may have moved it.

    condition: condition number of the correlation-scaled Hessian on the directions that were kept (an estimate from
    the Cholesky diagonal on the fast path).  error: η with (1 - η) H ⪯ the matrix that H stands for;
    1 or more proves nothing of that matrix.
    """

    F: Matrix
    condition: float
    error: float = 0.0

    @property
    def rank(self) -> int:
        return int(self.F.shape[1])

    @cached_property
    def spread(self) -> float:
        """A bound on the spectral norm of F: √(largest column sum · largest row sum) of its magnitudes."""
        size = np.abs(self.F)
        return float(np.sqrt(size.sum(axis=0).max(initial=0.0) * size.sum(axis=1).max(initial=0.0)))

    def solve(self, gradient: Matrix) -> Matrix:
        """H⁺ g, of one gradient (n_params,) or of columns (n_params, m)."""
        return np.asarray(self.F @ (self.F.T @ gradient), dtype=np.float64)

    @property
    def slack(self) -> float:
        """A factor ≥ 1 that covers the rounding of gᵀH⁺g and xᵀH⁺x: 1 + 32 n eps condition (Higham, ch. 10).

        inf where ``error`` leaves them unbounded.
        """
        if self.error >= LARGEST_ERROR:
            return math.inf
        return (1.0 + 32.0 * len(self.F) * EPS * self.condition) / (1.0 - self.error)


def factorise(hessian: Matrix, *, element_error: float = 0.0) -> Factor:
    """The factor of H⁺ for a symmetric positive semi-definite H, (n, n), by way of its correlation C = D⁻¹ H D⁻¹.

    A Cholesky factor of C where it is far from singular; otherwise its eigenvectors, those with eigenvalues below
    n·eps of the largest left out: rounding hides whether there is any curvature along these directions.  Scaling first
    makes the rank independent of the units of the columns.

    element_error: of an element of C, at most: H + E stands for H, where ‖E‖ ≤ n · element_error in the units of C, so
    that η = n · element_error · ‖C⁻¹‖.  Where C is not regular enough for Cholesky, the factor has no columns.
    """
    diagonal = np.diag(hessian)
    # Divided by inf, a parameter without curvature drops out of every direction, to the bit.
    unit = np.sqrt(np.where(diagonal > 0, diagonal, np.inf))
    correlation = hessian / unit[:, None] / unit
    try:
        L = np.linalg.cholesky(correlation)
        is_regular = float(np.diag(L).min(initial=1.0)) >= 1e-5
    except np.linalg.LinAlgError:
        is_regular = False
    if not is_regular:
        return Factor(np.zeros((len(unit), 0)), 1.0) if element_error else _by_eigenvectors(correlation, unit)
    inverse = inverse_of_lower(np.asarray(L, dtype=np.float64))
    condition, error = float(np.sum(inverse**2)), 0.0
    if element_error:
        size = np.abs(inverse)
        largest = float(size.sum(axis=0).max() * size.sum(axis=1).max())
        error = len(unit) * element_error * min(largest, condition)
    return Factor(inverse.T / unit[:, None], condition, error)


def inverse_of_lower(L: Matrix) -> Matrix:
    """L⁻¹ of a lower triangular matrix by halves, [[A, 0], [B, C]]⁻¹ = [[A⁻¹, 0], [-C⁻¹ B A⁻¹, C⁻¹]]: products only."""
    n = len(L)
    if n <= SMALL_TRIANGLE:
        return np.asarray(np.linalg.inv(L), dtype=np.float64)
    half = n // 2
    inverse = np.zeros_like(L)
    inverse[:half, :half] = inverse_of_lower(L[:half, :half])
    inverse[half:, half:] = inverse_of_lower(L[half:, half:])
    inverse[half:, :half] = -inverse[half:, half:] @ (L[half:, :half] @ inverse[:half, :half])
    return inverse


def _by_eigenvectors(correlation: Matrix, unit: Vector) -> Factor:
    values, vectors = np.linalg.eigh(correlation)
    largest = float(values[-1])
    kept = values > 8 * len(values) * EPS * max(largest, 0.0)
    if not kept.any():
        return Factor(np.zeros((len(unit), 0)), 1.0)
    return Factor(vectors[:, kept] / np.sqrt(values[kept]) / unit[:, None], largest / float(values[kept][0]))
