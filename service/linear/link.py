"""The sigmoid, the softmax and their logarithms, in forms that neither overflow nor cancel.

Everything rests on t = exp(-|z|), which is at most 1: log(1 + eᶻ) = max(z, 0) + log1p(t), and σ(z) is 1 / (1 + t) or
t / (1 + t) by the sign of z.  1 - σ(z) is ``sigmoid(-z)``: computed, never subtracted.

Source: M. Mächler, "Accurately computing log(1 - exp(-|a|))", CRAN Rmpfr vignette, 2012.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]


def sigmoid(z: Array) -> Array:
    """σ(z) = 1 / (1 + e⁻ᶻ), elementwise, any shape; within 4 ulp, in [0, 1], never a warning."""
    t = np.exp(-np.abs(z))
    return np.asarray(np.where(z >= 0, 1.0, t) / (1.0 + t), dtype=np.float64)


def log1pexp(z: Array) -> Array:
    """log(1 + eᶻ), the softplus, elementwise, any shape: z for large z, eᶻ for very negative z."""
    return np.asarray(np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z))), dtype=np.float64)


def log_sigmoid(z: Array) -> Array:
    """The logarithm of σ(z), -log(1 + e⁻ᶻ), elementwise: ``log_sigmoid(-1000)`` is -1000, not -inf."""
    return -log1pexp(-z)


def softmax(logits: Array) -> Array:
    """Row-wise e^{z_k} / Σ_l e^{z_l}, (n, K) → (n, K); rows sum to 1 within K ulp; K = 2 is the sigmoid of z₂ - z₁."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), dtype=np.float64)


def log_softmax(logits: Array) -> Array:
    """Row-wise z_k - logsumexp(z), (n, K) → (n, K), exact to rounding where the softmax underflows to 0."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - log_sum_of_shifted(shifted)[:, None], dtype=np.float64)


def log_sum_of_shifted(shifted: Array) -> Array:
    """The logarithm of Σ_k e^{z_k}, rows having maximum 0, (n, K) → (n,): log1p of all terms but one maximum."""
    exponentials = np.exp(shifted)
    exponentials[np.arange(len(shifted)), shifted.argmax(axis=1)] = 0.0
    return np.asarray(np.log1p(exponentials.sum(axis=1)), dtype=np.float64)
