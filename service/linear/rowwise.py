"""Logits and probabilities of a row that have the same bits alone, in a batch, and by plain arithmetic.

Every sum goes from left to right, and e to a power is NumPy's in each form.  A matrix product may add in another order
for another number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from service.linear.columns.arrays import Matrix, Vector
from service.linear.link import sigmoid

# Half the range of doubles: softmax subtracts two of these.
LARGEST_LOGIT = 2.0**1022


def rowwise_product(matrix: Matrix, coef: Matrix, intercept: Vector) -> Matrix:
    """Intercept + Σⱼ xⱼ coefⱼ, summed from left to right, (n, d), (k, d), (k,) → (n, k)."""
    logits = np.empty((len(matrix), len(coef)))
    terms = np.empty((len(matrix), matrix.shape[1] + 1))
    for k, weights in enumerate(coef):
        terms[:, 0] = intercept[k]
        np.multiply(matrix, weights, out=terms[:, 1:])
        logits[:, k] = np.add.accumulate(terms, axis=1)[:, -1]
    return logits


def probabilities_of(logits: Matrix) -> Matrix:
    """The sigmoid of one logit a row, and its complement, or the softmax of several, (n, k) → (n, K), K = max(k, 2)."""
    if logits.shape[1] == 1:
        return np.column_stack([sigmoid(-logits[:, 0]), sigmoid(logits[:, 0])])
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / np.add.accumulate(exponentials, axis=1)[:, -1:], dtype=np.float64)


class FewRows:
    """The probabilities of a few rows without arrays, whose calls cost more than the sums of some eight rows.

    coef: (k, d), intercept: (k,).
    """

    def __init__(self, coef: Matrix, intercept: Vector) -> None:
        self._weights, self._intercepts = coef.tolist(), intercept.tolist()
        self.of_row = self._sigmoids if len(coef) == 1 else self._softmax
        """The probabilities of one row; None and TypeError as below."""

    def probabilities(self, rows: Sequence[Sequence[float]]) -> list[list[float]] | None:
        """As ``probabilities_of(rowwise_product(rows, coef, intercept))``; None where a logit is too large for it.

        Raises TypeError for a cell of any row that is no number.
        """
        found = [self.of_row(row) for row in rows]
        within = [one for one in found if one is not None]
        return within if len(within) == len(found) else None

    def _sigmoids(self, row: Sequence[float]) -> list[float] | None:
        z = self._intercepts[0]
        # Loops: they are faster than ``reduce``, and ``sum`` rounds in another way from Python 3.12 on.
        for x, weight in zip(row, self._weights[0], strict=False):
            z += x * weight
        # A NaN, from two infinities, fails every comparison.
        if not -LARGEST_LOGIT <= z <= LARGEST_LOGIT:
            return None
        t = float(np.exp(-abs(z)))
        near, far = 1.0 / (1.0 + t), t / (1.0 + t)
        return [far, near] if z >= 0 else [near, far]

    def _softmax(self, row: Sequence[float]) -> list[float] | None:
        logits = []
        for weights, z in zip(self._weights, self._intercepts, strict=True):
            for x, weight in zip(row, weights, strict=False):
                z += x * weight  # noqa: PLW2901 — the sum begins with the intercept
            logits.append(z)
        if not all(-LARGEST_LOGIT <= z <= LARGEST_LOGIT for z in logits):
            return None
        largest = max(logits)
        exponentials = np.exp([z - largest for z in logits]).tolist()
        total = 0.0
        for one in exponentials:
            total += one
        return [one / total for one in exponentials]
