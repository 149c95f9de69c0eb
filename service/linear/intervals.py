"""Intervals: the normal quantile that they are made of, and how sure a probability is."""

from __future__ import annotations

from statistics import NormalDist
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from service.errors import InvalidParameter
from service.linear.columns.arrays import Matrix
from service.linear.link import log_softmax, sigmoid, softmax

Cube: TypeAlias = npt.NDArray[np.float64]


def normal_quantile(level: float) -> float:
    """The z with P(|N(0, 1)| ≤ z) = level; raises InvalidParameter unless 0 < level < 1."""
    # 1 - level rounds to 1 below 1e-16, and the lower tail keeps all digits close to 1.
    if not 0.0 < level < 1.0:
        raise InvalidParameter("the level of an interval must be above 0 and below 1", pointer="/interval")
    return -NormalDist().inv_cdf((1.0 - level) / 2)


def probability_intervals(X: Matrix, logits: Matrix, covariance: Matrix, level: float) -> Cube:
    """Limits of P(class | row) by the delta method on the log-odds of each class, shape (n, K, 2), in [0, 1].

        σ(ζ ± z √(aᵀVa)),   ζₖ = log(pₖ / (1 - pₖ)),   a = ∂ζₖ/∂w = Σⱼ (∂ζₖ/∂ηⱼ) (x, 1)

    with ∂ζₖ/∂ηₖ = 1 and ∂ζₖ/∂ηⱼ = -pⱼ / (1 - pₖ) for softmax; of two classes ζ is the logit itself.
    X: (n, p).  logits: (n, k) at the fit.  covariance: V, (k (p + 1), k (p + 1)), the intercept last of each block.
    It is the uncertainty of the probability, not of the label.  Raises InvalidParameter for the level.
    Source: A. Agresti, Categorical Data Analysis, 3rd ed., sections 5.1 and 16.1.
    """
    z = normal_quantile(level)
    # A row so far out that its variance overflows is one of which nothing is known.
    with np.errstate(over="ignore", invalid="ignore"):
        spread = _logit_covariances(X, covariance, logits.shape[1])
        if logits.shape[1] == 1:
            half = z * _roots(spread[:, 0, 0])
            low, high = logits[:, 0] - half, logits[:, 0] + half
            return np.stack([_limits(-high, -low), _limits(low, high)], axis=1)
        log_odds, slopes = _log_odds(logits)
        half = z * _roots(np.einsum("nkj,njl,nkl->nk", slopes, spread, slopes))
        return _limits(log_odds - half, log_odds + half)


def _limits(low: Matrix, high: Matrix) -> Cube:
    return np.stack([sigmoid(low), sigmoid(high)], axis=-1)


def _roots(variances: Matrix) -> Matrix:
    """Square roots; a variance that rounding made negative counts as 0, one that overflowed as infinite."""
    return np.asarray(np.sqrt(np.maximum(np.nan_to_num(variances, nan=np.inf, posinf=np.inf), 0.0)), dtype=np.float64)


def _logit_covariances(X: Matrix, covariance: Matrix, n_logits: int) -> Cube:
    """Covariance of the logits of each row, (n, k, k)."""
    rows = np.column_stack([X, np.ones(len(X))])
    blocks = covariance.reshape(n_logits, rows.shape[1], n_logits, rows.shape[1])
    spread = np.empty((len(X), n_logits, n_logits))
    for k in range(n_logits):
        for j in range(n_logits):
            spread[:, k, j] = ((rows @ blocks[k, :, j]) * rows).sum(axis=1)
    return spread


def _log_odds(logits: Matrix) -> tuple[Matrix, Cube]:
    """The log-odds of each class against the others together, (n, K), and their slopes in the logits, (n, K, K)."""
    n_classes = logits.shape[1]
    log_odds, slopes = np.empty_like(logits), np.empty((*logits.shape, n_classes))
    for k in range(n_classes):
        others = np.delete(logits, k, axis=1)
        # log(1 - p) of the others' own softmax: nothing cancels where p is close to 1.
        top = others.max(axis=1)
        log_odds[:, k] = (logits[:, k] - top) + log_softmax(others)[np.arange(len(others)), others.argmax(axis=1)]
        slopes[:, k] = np.insert(-softmax(others), k, 1.0, axis=1)
    return log_odds, slopes
