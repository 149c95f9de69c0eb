"""The judge: the objective, its gradient and curvature, computed without the service and without any peer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.training.problem import Matrix, Problem


@dataclass(frozen=True, slots=True)
class Coefficients:
    """coef (k, p) and intercept (k,); k = 1 for two classes, else one row per class.

    solver and status: who found them, and how it ended, where a peer says so.
    """

    coef: Matrix
    intercept: Matrix
    solver: str = ""
    status: str = ""


def value(problem: Problem, at: Coefficients) -> float:
    """Penalised mean log-loss, in nats per row.

        f = mean(loss) + l2/2 ‖coef‖² + l1 ‖coef‖₁,   l1 + l2 = 1 / (n C),   the intercept free

    loss: log(1 + e^z) - y z for two classes, log Σ e^z - z_y for more.
    """
    penalty = 0.5 * problem.l2 * float((at.coef**2).sum()) + problem.l1 * float(np.abs(at.coef).sum())
    return _loss(logits_of(problem, at), problem) + penalty


def split(w: Matrix) -> Coefficients:
    """Parameters (k, p + 1), the intercept last, as coefficients."""
    return Coefficients(w[:, :-1], w[:, -1])


def logits_of(problem: Problem, at: Coefficients) -> Matrix:
    """X coef + intercept, (n, k)."""
    return np.asarray(problem.X @ at.coef.T) + at.intercept


def _loss(logits: Matrix, problem: Problem) -> float:
    if problem.n_classes == 2:
        z = logits[:, 0]
        return float(np.mean(np.maximum(z, 0) - z * problem.y + np.log1p(np.exp(-np.abs(z)))))
    top = logits.max(axis=1)
    total = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    return float(np.mean(total - logits[np.arange(len(logits)), problem.y]))


def probabilities(logits: Matrix) -> Matrix:
    """Of the second class, (n, 1), or of each class, (n, k)."""
    if logits.shape[1] == 1:
        tail = np.exp(-np.abs(logits))
        return np.asarray(np.where(logits > 0, 1.0, tail) / (1.0 + tail))
    powers = np.exp(logits - logits.max(axis=1)[:, None])
    return np.asarray(powers / powers.sum(axis=1)[:, None])


def gradient_at(problem: Problem, w: Matrix) -> Matrix:
    """Of ``value`` without its L1 part at w, (k, p + 1).

    An intercept that is not fitted has no gradient and no curvature, and so stays where it is.
    """
    truth = problem.y[:, None] == (1 if problem.n_classes == 2 else np.arange(problem.n_classes))
    return _gathered(problem, probabilities(logits_of(problem, split(w))) - truth) + _ridge(problem) * w


def curvature_at(problem: Problem, w: Matrix) -> tuple[Callable[[Matrix], Matrix], Matrix]:
    """Of ``value`` without its L1 part at w: Hessian-times-vector, and a positive diagonal, each (k, p + 1)."""
    P = probabilities(logits_of(problem, split(w)))
    ridge = _ridge(problem)

    def curvature(v: Matrix) -> Matrix:
        moved = P * logits_of(problem, split(v))
        moved -= P * moved.sum(axis=1)[:, None]
        return _gathered(problem, moved) + ridge * v

    squares = problem.X.multiply(problem.X) if hasattr(problem.X, "multiply") else problem.X**2
    weight = P * (1.0 - P)
    diagonal = np.column_stack([np.asarray(squares.T @ weight).T, weight.sum(axis=0)]) / len(problem.y) + ridge
    return curvature, diagonal


def _gathered(problem: Problem, by_row: Matrix) -> Matrix:
    """The mean over the rows of by_row (n, k) times (x, 1), (k, p + 1)."""
    for_intercept = problem.fit_intercept * by_row.sum(axis=0)
    return np.column_stack([np.asarray(problem.X.T @ by_row).T, for_intercept]) / len(problem.y)


def _ridge(problem: Problem) -> Matrix:
    return np.append(np.full(problem.X.shape[1], problem.l2), 0.0)
