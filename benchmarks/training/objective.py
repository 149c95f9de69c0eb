"""The judge: the objective and its optimum, computed without the service and without any peer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.training.shapes import Matrix, Problem

MAX_NEWTON_STEPS = 60
MAX_CG_STEPS = 400
# Far below the smallest gap that is asked of a peer, far above the rounding of a mean in float64.
REFERENCE_GAP = 1e-14


@dataclass(frozen=True, slots=True)
class Coefficients:
    """coef (k, p) and intercept (k,); k = 1 for two classes, else one row per class."""

    coef: Matrix
    intercept: Matrix


@dataclass(frozen=True, slots=True)
class Optimum:
    """value: f at the reference; gap: half its squared Newton decrement over f, what Newton's model says is left."""

    value: float
    gap: float
    at: Coefficients


def value(problem: Problem, at: Coefficients) -> float:
    """Penalised mean log-loss, in nats per row.

        f = mean(loss) + l2/2 ‖coef‖²,   l2 = 1 / (n C),   the intercept free

    loss: log(1 + e^z) - y z for two classes, log Σ e^z - z_y for more.
    """
    return _loss(_logits(problem, at), problem) + 0.5 * problem.l2 * float((at.coef**2).sum())


def optimum(problem: Problem) -> Optimum:
    """The minimum of ``value``: Newton's method in float64, each step by preconditioned conjugate gradients.

    Matrix-free, and so the same for every shape.  Stops at a squared decrement of 2e-14 of f, or where rounding ends
    the descent.
    """
    n_logits = 1 if problem.n_classes == 2 else problem.n_classes
    w = np.zeros((n_logits, problem.X.shape[1] + 1))
    f = value(problem, _split(w))
    gap = np.inf
    for _ in range(MAX_NEWTON_STEPS):
        gradient, curvature, diagonal = _derivatives(problem, w)
        # Tight to the end: the last step must be Newton's, or its decrement says nothing.
        step = conjugate_gradients(curvature, -gradient, diagonal, residual=1e-3)
        slope = float((gradient * step).sum())
        gap = 0.5 * abs(slope) / f
        size, trial = 1.0, value(problem, _split(w + step))
        while trial > f + 1e-4 * size * slope and size > 1e-6 and gap > REFERENCE_GAP:
            size /= 2
            trial = value(problem, _split(w + size * step))
        if trial <= f:
            w, f = w + size * step, trial
        if gap <= REFERENCE_GAP or size <= 1e-6:
            break
    return Optimum(f, gap, _split(w))


def conjugate_gradients(apply: Callable[[Matrix], Matrix], b: Matrix, diagonal: Matrix, *, residual: float) -> Matrix:
    """An x with ‖b - apply(x)‖ ≤ residual ‖b‖ in the metric of 1 / diagonal, or the best of the budget."""
    x = np.zeros_like(b)
    r = b.copy()
    z = r / diagonal
    direction, rz = z.copy(), float((r * z).sum())
    enough = residual**2 * rz
    for _ in range(MAX_CG_STEPS):
        if rz <= enough:
            break
        image = apply(direction)
        length = rz / float((direction * image).sum())
        x += length * direction
        r -= length * image
        z = r / diagonal
        rz, before = float((r * z).sum()), rz
        direction = z + (rz / before) * direction
    return x


def _split(w: Matrix) -> Coefficients:
    return Coefficients(w[:, :-1], w[:, -1])


def _logits(problem: Problem, at: Coefficients) -> Matrix:
    return np.asarray(problem.X @ at.coef.T) + at.intercept


def _loss(logits: Matrix, problem: Problem) -> float:
    if problem.n_classes == 2:
        z = logits[:, 0]
        return float(np.mean(np.maximum(z, 0) - z * problem.y + np.log1p(np.exp(-np.abs(z)))))
    top = logits.max(axis=1)
    total = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    return float(np.mean(total - logits[np.arange(len(logits)), problem.y]))


def _probabilities(logits: Matrix) -> Matrix:
    if logits.shape[1] == 1:
        tail = np.exp(-np.abs(logits))
        return np.asarray(np.where(logits > 0, 1.0, tail) / (1.0 + tail))
    powers = np.exp(logits - logits.max(axis=1)[:, None])
    return np.asarray(powers / powers.sum(axis=1)[:, None])


def _derivatives(problem: Problem, w: Matrix) -> tuple[Matrix, Callable[[Matrix], Matrix], Matrix]:
    """Gradient, Hessian-times-vector and a positive diagonal, each shaped (k, p + 1)."""
    at, n_rows = _split(w), len(problem.y)
    P = _probabilities(_logits(problem, at))
    ridge = np.append(np.full(w.shape[1] - 1, problem.l2), 0.0)
    truth = problem.y[:, None] == (1 if problem.n_classes == 2 else np.arange(problem.n_classes))

    def gathered(by_row: Matrix) -> Matrix:
        return np.column_stack([np.asarray(problem.X.T @ by_row).T, by_row.sum(axis=0)]) / n_rows

    def curvature(v: Matrix) -> Matrix:
        moved = P * _logits(problem, _split(v))
        moved -= P * moved.sum(axis=1)[:, None]
        return gathered(moved) + ridge * v

    squares = problem.X.multiply(problem.X) if hasattr(problem.X, "multiply") else problem.X**2
    weight = P * (1.0 - P)
    diagonal = np.column_stack([np.asarray(squares.T @ weight).T, weight.sum(axis=0)]) / n_rows + ridge
    return gathered(P - truth) + ridge * w, curvature, diagonal
