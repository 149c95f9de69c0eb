"""The reference: the minimum of ``objective.value``, found without the service and without any peer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds
from scipy.special import xlog1py, xlogy

from benchmarks.training.objective import (
    Coefficients,
    curvature_at,
    gradient_at,
    logits_of,
    probabilities,
    split,
    value,
)
from benchmarks.training.problem import Matrix, Problem

MAX_NEWTON_STEPS = 60
MAX_CG_STEPS = 400
# Far below the smallest gap that is asked of a peer, far above the rounding of a mean in float64.
REFERENCE_GAP = 1e-14
# Under L1: rounds of more columns, bursts of descent within a round, steps of a burst; columns to begin with.
MAX_ROUNDS, MAX_BURSTS, BURST = 30, 50, 200
FIRST_COLUMNS = 200
MAX_POLISHING_STEPS = 10


@dataclass(frozen=True, slots=True)
class Optimum:
    """value: f at the reference; gap: how far that is from the minimum, over f.

    Under L2 half the squared Newton decrement, what Newton's model says is left; under L1 the duality gap.
    """

    value: float
    gap: float
    at: Coefficients


def optimum(problem: Problem) -> Optimum:
    """The minimum of ``value`` over coefficients and intercept, for rows in memory."""
    return _sparse_optimum(problem) if problem.l1 > 0 else _smooth_optimum(problem)


def _smooth_optimum(problem: Problem) -> Optimum:
    """Newton's method in float64, each step by preconditioned conjugate gradients.

    Matrix-free, and so the same for every shape.  Stops at a squared decrement of 2e-14 of f, or where rounding ends
    the descent.
    """
    n_logits = 1 if problem.n_classes == 2 else problem.n_classes
    w = np.zeros((n_logits, problem.X.shape[1] + 1))
    f = value(problem, split(w))
    gap = np.inf
    for _ in range(MAX_NEWTON_STEPS):
        gradient, (curvature, diagonal) = gradient_at(problem, w), curvature_at(problem, w)
        # Tight to the end: the last step must be Newton's, or its decrement says nothing.
        step = conjugate_gradients(curvature, -gradient, diagonal, residual=1e-3)
        slope = float((gradient * step).sum())
        gap = 0.5 * abs(slope) / f
        size, trial = 1.0, value(problem, split(w + step))
        while trial > f + 1e-4 * size * slope and size > 1e-6 and gap > REFERENCE_GAP:
            size /= 2
            trial = value(problem, split(w + size * step))
        if trial <= f:
            w, f = w + size * step, trial
        if gap <= REFERENCE_GAP or size <= 1e-6:
            break
    return Optimum(f, gap, split(w))


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


def _sparse_optimum(problem: Problem) -> Optimum:
    """Two classes under L1: the problem of a few columns, joined by those whose gradient is beyond the penalty.

    Stops at a relative duality gap of 1e-14 over all columns, or after thirty rounds.
    """
    w = np.zeros((1, problem.X.shape[1] + 1))
    columns = np.zeros(problem.X.shape[1], dtype=bool)
    gap = math.inf
    for _ in range(MAX_ROUNDS):
        slopes = np.abs(gradient_at(problem, w)[0, :-1])
        joining = np.where(columns, 0.0, slopes)
        columns[np.argsort(-joining)[: max(FIRST_COLUMNS, int(columns.sum()))]] = True
        kept = np.append(columns, True)
        w[:, kept] = _restricted_optimum(replace(problem, X=problem.X[:, columns]), w[:, kept])
        gap = duality_gap(problem, w)
        if gap <= REFERENCE_GAP:
            break
    return Optimum(value(problem, split(w)), gap, split(w))


def _restricted_optimum(problem: Problem, w: Matrix) -> Matrix:
    """Descent finds the columns that stay, Newton's method their coefficients; in turns, from w."""
    rates = _rates(problem)
    for _ in range(MAX_BURSTS):
        w = _descended(problem, w, rates)
        polished = _polished(problem, w)
        if value(problem, split(polished)) <= value(problem, split(w)):
            w = polished
        if duality_gap(problem, w) <= REFERENCE_GAP:
            break
    return w


def _rates(problem: Problem) -> Matrix:
    """A safe step for each parameter, (p + 1,): of columns scaled to unit mean square, or rare words would hardly move."""
    squares = problem.X.multiply(problem.X) if sparse.issparse(problem.X) else problem.X**2
    scale = np.sqrt(np.asarray(squares.mean(axis=0)).ravel())
    scale[scale == 0] = 1.0
    largest = float(svds(problem.X @ sparse.diags_array(1.0 / scale), k=1, return_singular_vectors=False)[0])
    return 4.0 / (largest**2 / len(problem.y) + 1.0) / np.append(scale, 1.0) ** 2


def _descended(problem: Problem, w: Matrix, rates: Matrix) -> Matrix:
    """A burst of accelerated proximal gradient steps (FISTA; restarts by O'Donoghue and Candès 2015, section 3.2)."""
    threshold = rates * np.append(np.full(w.shape[1] - 1, problem.l1), 0.0)
    ahead, momentum = w, 1.0
    for _ in range(BURST):
        stepped = ahead - rates * gradient_at(problem, ahead)
        after = np.sign(stepped) * np.maximum(np.abs(stepped) - threshold, 0.0)
        if float(((ahead - after) * (after - w)).sum()) > 0:
            momentum = 1.0
        following = (1.0 + math.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        ahead = after + (momentum - 1.0) / following * (after - w)
        w, momentum = after, following
    return w


def _polished(problem: Problem, w: Matrix) -> Matrix:
    """Newton's method on the columns of w that are not 0, their signs held; stops where a sign would change."""
    kept = np.append(w[0, :-1] != 0, True)
    part, inside = replace(problem, X=problem.X[:, kept[:-1]]), w[:, kept]
    slope = np.append(np.full(inside.shape[1] - 1, problem.l1), 0.0) * np.sign(inside)
    for _ in range(MAX_POLISHING_STEPS):
        curvature, diagonal = curvature_at(part, inside)
        step = conjugate_gradients(curvature, -gradient_at(part, inside) - slope, diagonal, residual=1e-10)
        if (np.sign(inside + step) != np.sign(inside))[0, :-1].any():
            break
        inside = inside + step
    polished = w.copy()
    polished[:, kept] = inside
    return polished


def duality_gap(problem: Problem, w: Matrix) -> float:
    """(f(w) - D) / f(w) under L1, the intercept taken as optimal; f(w) is at most this far, relatively, from its minimum.

    D = mean(-q log q - (1 - q) log(1 - q)),   q = y - c (y - p),   c = min(1, l1 / max |Xᵀ(y - p) / n|)
    """
    steepest = float(np.abs(gradient_at(problem, w)[0, :-1]).max())
    scale = min(1.0, problem.l1 / steepest)
    p = probabilities(logits_of(problem, split(w)))[:, 0]
    q = problem.y - scale * (problem.y - p)
    dual = float(np.mean(-xlogy(q, q) - xlog1py(1.0 - q, -q)))
    f = value(problem, split(w))
    return (f - dual) / f
