"""Leverages: what a row does to its own logits, and its residual as a fit would have it that the row did not move.

::

    r = p - y, (k,)        the residual of a row;  W = diag(p) - ppᵀ, (k, k), the curvature of its loss
    Q = s Aᵀ(H + Λ)⁻¹A     what its residual moves its logits by;  A = I ⊗ (x, 1), s its weight

    (I - WQ)⁻¹ r           the residual after one Newton step without the row; the logits are η + Q (I - WQ)⁻¹ r there
    (I - WQ)^-½ r          of variance W/s where the model holds without a penalty; that of r is (I - WQ) W/s

    two classes: k = 1, W = p (1 - p), and h = WQ, in [0, 1), is the row's leverage
    softmax:     k = K; the eigenvalues of WQ are in [0, 1); 1ᵀW = 0, so that the gauge does not enter

The first is the Woodbury identity (H - s AWAᵀ)⁻¹ A = H⁻¹A (I - WQ)⁻¹.  For softmax, with W = GGᵀ,

    f(WQ) r = r + G h(GᵀQG) GᵀQ r,    h(t) = (f(t) - 1) / t,

where GᵀQG is symmetric.  That is the principal root of f = (1 - t)^-½; other roots have the same variance, but only
functions of WQ give the same covariance whichever class the others are compared with.

Source: D. Pregibon, Logistic regression diagnostics, Annals of Statistics 9, 1981; G. Kauermann, R. Carroll, A note on
the efficiency of sandwich covariance matrix estimation, JASA 96, 2001; R. Bell, D. McCaffrey, Bias reduction in standard
errors for linear regression with multi-stage samples, Survey Methodology 28, 2002.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from service.linear.columns.arrays import Matrix, Vector
from service.linear.factor import EPS, Factor
from service.linear.link import sigmoid, softmax
from service.linear.objective_binary import BinaryObjective
from service.linear.objective_softmax import SoftmaxObjective, residuals

Cube: TypeAlias = npt.NDArray[np.float64]


def row_residuals(objective: BinaryObjective | SoftmaxObjective, w: Vector) -> Matrix:
    """The residuals r = p - y of the logits of all rows at w, (n, k), without cancellation."""
    logits = objective.raw_prediction(w) + objective.offset
    if isinstance(objective, SoftmaxObjective):
        return residuals(softmax(logits), objective.y)
    # σ(η) for y = 0, -σ(-η) for y = 1.
    sign = np.where(objective.y > 0, -1.0, 1.0)
    return np.asarray(sign * sigmoid(sign * logits), dtype=np.float64)[:, None]


def leverages(objective: BinaryObjective, w: Vector, factor: Factor) -> Vector:
    """The leverage h of each row of two classes, (n,), in [0, 1).  factor: of (H + Λ)⁻¹ at w."""
    return _curvature(objective, w) * _own_moves(objective, factor)


def left_out_residuals(
    objective: BinaryObjective | SoftmaxObjective, w: Vector, factor: Factor
) -> tuple[Matrix, Matrix]:
    """(I - WQ)⁻¹ r, and what it moves the row's own logits by, Q (I - WQ)⁻¹ r, at the optimum w, each (n, k).

    factor: of (H + Λ)⁻¹ at w.  A row that alone determines a direction (leverage 1, which no finite optimum has without
    a penalty) gets huge numbers, never NaN for two classes.
    """
    residual = row_residuals(objective, w)
    if isinstance(objective, BinaryObjective):
        moves = _own_moves(objective, factor)
        residual /= _room(_curvature(objective, w) * moves)[:, None]
        return residual, moves[:, None] * residual
    moved = np.empty_like(residual)
    # A little more than 1 keeps rounding from singularity.
    identity = (1.0 + 4 * objective.n_classes * EPS) * np.eye(objective.n_classes - 1)
    for own in _own_blocks(objective, w, factor):
        correction = np.linalg.solve(identity - own.leverage, own.seen(residual))
        residual[own.block] += (own.G @ correction)[:, :, 0]
        moved[own.block] = (own.Q @ residual[own.block, :, None])[:, :, 0]
    return residual, moved


def unbiased_residuals(objective: BinaryObjective | SoftmaxObjective, w: Vector, factor: Factor) -> Matrix:
    """(I - WQ)^-½ r at the optimum w, (n, k).  factor: of (H + Λ)⁻¹ at w."""
    residual = row_residuals(objective, w)
    if isinstance(objective, BinaryObjective):
        return np.asarray(residual / np.sqrt(_room(leverages(objective, w, factor)))[:, None], dtype=np.float64)
    for own in _own_blocks(objective, w, factor):
        values, vectors = np.linalg.eigh(own.leverage)
        root = np.sqrt(_room(values))[:, :, None]
        # ((1 - t)^-½ - 1) / t without the difference.
        turned = vectors.transpose(0, 2, 1) @ own.seen(residual) / (root * (1.0 + root))
        residual[own.block] += (own.G @ (vectors @ turned))[:, :, 0]
    return residual


def _curvature(objective: BinaryObjective, w: Vector) -> Vector:
    """W of two classes: p (1 - p), (n,)."""
    logits = objective.raw_prediction(w) + objective.offset
    return np.asarray(sigmoid(logits) * sigmoid(-logits), dtype=np.float64)


def _own_moves(objective: BinaryObjective, factor: Factor) -> Vector:
    """Q of two classes: s (x, 1)ᵀ(H + Λ)⁻¹(x, 1), (n,)."""
    rows, moves = objective.rows, np.empty(objective.rows.n_rows)
    for block, cells in rows.dense_parts():
        moves[block] = ((cells @ factor.F) ** 2).sum(axis=1)
    return np.asarray(rows.sample_weight * moves, dtype=np.float64)


def _room(leverage: Vector) -> Vector:
    """1 - h: above 0, for only a row whose direction no other row has reaches 1, and that one separates the classes."""
    return np.maximum(1.0 - leverage, EPS)


@dataclass(frozen=True, slots=True)
class _OwnBlock:
    """Of a block of m rows of softmax: Q (m, K, K), G (m, K, K - 1), GᵀQ (m, K - 1, K)."""

    block: slice
    Q: Cube
    G: Cube
    across: Cube

    @property
    def leverage(self) -> Cube:
        """GᵀQG, whose eigenvalues are those of WQ, (m, K - 1, K - 1)."""
        return np.asarray(self.across @ self.G, dtype=np.float64)

    def seen(self, residual: Matrix) -> Cube:
        """GᵀQ r of the block's rows among residuals (n, K), (m, K - 1, 1)."""
        return np.asarray(self.across @ residual[self.block, :, None], dtype=np.float64)


def _own_blocks(objective: SoftmaxObjective, w: Vector, factor: Factor) -> Iterator[_OwnBlock]:
    rows, by_class = objective.rows, factor.F.reshape(objective.n_classes, objective.rows.width, -1)
    p = softmax(objective.raw_prediction(w) + objective.offset)
    for block, cells in rows.dense_parts():
        projected = np.einsum("ip,kpr->ikr", cells, by_class, optimize=True)
        Q = rows.sample_weight[block, None, None] * (projected @ projected.transpose(0, 2, 1))
        G = curvature_root(p[block])
        yield _OwnBlock(block, Q, G, G.transpose(0, 2, 1) @ Q)


def curvature_root(p: Matrix) -> Cube:
    """G with GGᵀ = diag(p) - ppᵀ for each row of probabilities (n, K), lower triangular, (n, K, K - 1).

        Gₖₖ = √(pₖ tₖ₊₁ / tₖ),   Gⱼₖ = -Gₖₖ pⱼ / tₖ₊₁ for j > k,   tₖ = Σ_{j ≥ k} pⱼ

    No entry cancels, however close to 0 or 1 a probability is.  Source: K. Tanabe, M. Sagae, An exact Cholesky decomposition and the
    generalized inverse of the variance-covariance matrix of the multinomial distribution, JRSS B 54, 1992.
    """
    tails = np.cumsum(p[:, ::-1], axis=1)[:, ::-1]
    # Divided by inf, what has underflowed stays 0.
    divisor = np.where(tails > 0, tails, np.inf)
    pivots = np.sqrt(p[:, :-1] * (tails[:, 1:] / divisor[:, :-1]))
    below = np.tril(np.repeat(p[:, :, None], p.shape[1] - 1, axis=2), -1) / divisor[:, None, 1:]
    return np.asarray((np.eye(p.shape[1])[:, :-1] - below) * pivots[:, None, :], dtype=np.float64)
