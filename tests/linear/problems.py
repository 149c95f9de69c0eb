"""The one table of fitting problems, each with its optimum: in closed form, or by Newton's method in 80-bit numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from service.linear.columns import DenseColumns
from service.linear.columns.arrays import Index, Matrix, Vector
from service.linear.objective import Rows
from service.linear.objective_binary import BinaryObjective
from service.linear.objective_softmax import SoftmaxObjective

Wide: TypeAlias = npt.NDArray[np.longdouble]

# The reference is good to some 1e-18 of the sums that it adds up; a margin of 1e-15 is far above that.
REFERENCE_ERROR = 1e-15


@dataclass(frozen=True, eq=False)
class Problem:
    """Rows, labels 0…K-1 and the penalty; optimum: P* where it is known in closed form."""

    name: str
    X: Matrix
    y: Index
    C: float = 1.0
    weights: Vector | None = None
    fit_intercept: bool = True
    optimum: float | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def n_classes(self) -> int:
        return int(self.y.max()) + 1

    @property
    def l2(self) -> float:
        return 0.0 if math.isinf(self.C) else 1.0 / self.C

    @cached_property
    def sample_weight(self) -> Vector:
        return np.ones(len(self.X)) if self.weights is None else self.weights

    @cached_property
    def objective(self) -> BinaryObjective | SoftmaxObjective:
        rows = Rows(DenseColumns(self.X), self.sample_weight, np.full(self.X.shape[1], self.l2), self.fit_intercept)
        if self.n_classes == 2:
            return BinaryObjective(rows, self.y.astype(np.float64))
        return SoftmaxObjective(rows, self.y, self.n_classes)

    def true_gap(self, w: Vector) -> float:
        """P(w) - P* in 80 bits."""
        value = value_gradient_hessian(self, np.asarray(w, dtype=np.longdouble))[0]
        return float(value - reference_optimum(self))


def value_gradient_hessian(problem: Problem, w: Wide) -> tuple[np.longdouble, Wide, Wide]:
    """P, ∇P and ∇²P by the textbook's formula; two classes have one free logit, more have one each."""
    X = np.asarray(problem.X, dtype=np.longdouble)
    rows = np.column_stack([X, np.ones(len(X), dtype=np.longdouble)]) if problem.fit_intercept else X
    is_free = np.arange(problem.n_classes) > (0 if problem.n_classes == 2 else -1)
    logits = np.zeros((len(X), problem.n_classes), dtype=np.longdouble)
    by_class = w.reshape(-1, rows.shape[1])
    logits[:, is_free] = rows @ by_class.T
    shifted = logits - logits[np.arange(len(X)), problem.y][:, None]
    top = shifted.max(axis=1, keepdims=True)
    others = np.exp(shifted - top)
    others[np.arange(len(X)), shifted.argmax(axis=1)] = 0.0
    loss = top[:, 0] + np.log1p(others.sum(axis=1))
    p = np.exp(shifted - loss[:, None])
    residual = p - (np.arange(problem.n_classes) == problem.y[:, None])
    s = problem.sample_weight.astype(np.longdouble)
    penalty = np.zeros_like(by_class)
    penalty[:, : X.shape[1]] = 1.0 / np.longdouble(problem.C)
    value = s @ loss + (penalty * by_class**2).sum() / 2
    gradient = (s[:, None] * residual[:, is_free]).T @ rows + penalty * by_class
    p = p[:, is_free]
    curvature = p[:, :, None] * (np.eye(p.shape[1], dtype=np.longdouble) - p[:, None, :])
    hessian = np.einsum("n,nkj,np,nq->kpjq", s, curvature, rows, rows).reshape(w.size, w.size)
    return value, gradient.ravel(), hessian + np.diag(penalty.ravel())


def solve_semidefinite(hessian: Wide, gradient: Wide) -> Wide:
    """H⁺-like solution by elimination with the largest pivot first; pivots at rounding level are left out."""
    unit = np.sqrt(np.where(np.diag(hessian) > 0, np.diag(hessian), 1.0))
    matrix, right = hessian / unit[:, None] / unit, (gradient / unit).copy()
    order: list[int] = []
    for _ in range(len(unit)):
        pivots = np.diag(matrix).copy()
        pivots[order] = -1.0
        k = int(pivots.argmax())
        if pivots[k] < 1e-15:
            break
        order.append(k)
        ratio = matrix[:, k] / matrix[k, k]
        ratio[k] = 0.0
        matrix, right = matrix - ratio[:, None] * matrix[k], right - ratio * right[k]
    solution = np.zeros_like(right)
    solution[order] = right[order] / np.diag(matrix)[order]
    return np.asarray(solution / unit, dtype=np.longdouble)


@cache
def reference_minimiser(problem: Problem) -> Wide:
    """The optimum w by Newton's method in 80 bits, damped by the change of the logits that a step makes."""
    w = np.zeros(problem.objective.n_params, dtype=np.longdouble)
    for _ in range(300):
        value, gradient, hessian = value_gradient_hessian(problem, w)
        step = -solve_semidefinite(hessian, gradient)
        candidates = [w + length * step for length in (1.0, damped_length(problem, step))]
        w = min(candidates, key=lambda candidate: value_gradient_hessian(problem, candidate)[0])
        if -gradient @ step <= 1e-19 * value:
            return w
    raise AssertionError(f"no reference for {problem.name}")


def damped_length(problem: Problem, step: Wide) -> np.longdouble:
    change = problem.objective.largest_change(problem.objective.raw_prediction(np.asarray(step, dtype=np.float64)))
    return np.longdouble(math.log1p(change) / change if change > 1e-9 else 1.0)


@cache
def reference_optimum(problem: Problem) -> np.longdouble:
    """P*, from the closed form where there is one, which the 80-bit optimum must agree with."""
    value = value_gradient_hessian(problem, reference_minimiser(problem))[0]
    assert problem.optimum is None or abs(value - problem.optimum) <= REFERENCE_ERROR * problem.optimum
    return value


def entropy(*counts: float) -> float:
    """Σ -count · log(share): the least loss that a constant probability can reach."""
    return -sum(count * math.log(count / sum(counts)) for count in counts)


def drawn(n: int, p: int, K: int = 2, *, seed: int = 0, spread: float = 1.0) -> tuple[Matrix, Index]:
    """Normal rows, and labels from a softmax model of them; every class occurs."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    logits = spread * X @ rng.normal(size=(p, K)) + rng.gumbel(size=(n, K))
    y = logits.argmax(axis=1)
    y[:K] = np.arange(K)
    return X, y


def _problems() -> tuple[Problem, ...]:
    X, y = drawn(60, 3)
    X3, y3 = drawn(90, 3, 3)
    rng = np.random.default_rng(1)
    two_points = np.repeat([[-1.0], [1.0]], 10, axis=0), np.array([1] * 2 + [0] * 8 + [1] * 7 + [0] * 3)
    rare = np.arange(10_001) == 0
    far = np.vstack([X, [[1e6, 0.0, 0.0], [-1e6, 0.0, 0.0]]])
    far_y = np.append(y, [1, 0]) if reference_sign(X, y) else np.append(y, [0, 1])
    return (
        Problem("binary", X, y),
        Problem("binary-unpenalised", X, y, C=math.inf),
        Problem("three-classes", X3, y3),
        Problem("three-classes-unpenalised", X3, y3, C=math.inf),
        Problem("log-odds", np.zeros((12, 1)), np.repeat([0, 1], [9, 3]), C=math.inf, optimum=entropy(9, 3)),
        Problem("log-odds-3", np.zeros((12, 1)), np.repeat([0, 1, 2], [6, 4, 2]), optimum=entropy(6, 4, 2)),
        Problem("two-points", *two_points, C=math.inf, optimum=entropy(2, 8) + entropy(7, 3)),
        Problem("collinear", np.column_stack([X, X @ [1.0, -2.0, 0.5]]), y),
        Problem("collinear-unpenalised", np.column_stack([X, X @ [1.0, -2.0, 0.5]]), y, C=math.inf),
        Problem("duplicated", np.column_stack([X, X[:, 0]]), y, C=1e20),
        Problem("duplicated-3", np.column_stack([X3, X3[:, 0]]), y3, C=math.inf),
        Problem("constant-column", np.column_stack([X, np.full(60, 0.1)]), y),
        Problem("constant-unpenalised", np.column_stack([X, np.full(60, 0.1)]), y, C=math.inf),
        Problem("one-row-per-class", np.array([[-1.0, 2.0], [1.0, 0.5]]), np.array([0, 1])),
        Problem("more-columns", *drawn(10, 25)),
        Problem("more-columns-3", *drawn(12, 20, 3), C=100.0),
        Problem("imbalanced", rng.normal(size=(10_001, 2)) + 2.0 * rare[:, None], rare.astype(np.intp)),
        Problem("columns-1e6", X * [1e6, 1.0, 1e-6], y),
        Problem("columns-1e150", X * [1e150, 1.0, 1e-150], y),
        Problem("margins-1e6", far, far_y),
        Problem("no-intercept", X, y, fit_intercept=False),
        Problem("no-intercept-3", X3, y3, fit_intercept=False, C=10.0),
        Problem("weighted", X, y, weights=rng.uniform(0.1, 3.0, 60)),
        Problem("weighted-3", X3, y3, weights=rng.uniform(0.1, 3.0, 90), C=math.inf),
        Problem("separable", X, (X[:, 0] > 0).astype(np.intp), C=100.0),
        Problem("separable-3", *_corners(), C=1e8),
        Problem("quasi-separable", *_quasi_separated(), C=1e4),
    )


def reference_sign(X: Matrix, y: Index) -> bool:
    return bool(X[y == 1, 0].mean() > X[y == 0, 0].mean())


def _corners() -> tuple[Matrix, Index]:
    """Three tight groups, each its own class."""
    return np.repeat(np.eye(3), 5, axis=0) + 0.01 * drawn(15, 3)[0], np.repeat([0, 1, 2], 5)


def _quasi_separated() -> tuple[Matrix, Index]:
    """Overlapping classes in a plane, and three rows of class 1 beyond it, in no direction of a single column."""
    X, y = drawn(40, 3, spread=0.3)
    normal = np.ones(3)
    plane = X - np.outer(X @ normal, normal) / 3
    return np.vstack([plane, plane[:3] + normal]), np.append(y, [1, 1, 1])


PROBLEMS = _problems()
SMALL = tuple(problem for problem in PROBLEMS if len(problem.X) < 1000)

# Without a penalty and without a finite optimum.
SEPARATED = (
    Problem("one-column", np.array([[-2.0], [-1.0], [1.0], [3.0]]), np.array([0, 0, 1, 1]), C=math.inf),
    Problem("oblique", drawn(60, 3)[0], (drawn(60, 3)[0].sum(axis=1) > 0.2).astype(np.intp), C=math.inf),
    Problem("corners", *_corners(), C=math.inf),
    Problem("underdetermined", *drawn(10, 25), C=math.inf),
    Problem("two-rows", np.array([[0.0], [1e-6]]), np.array([1, 0]), C=math.inf),
)
QUASI_SEPARATED = (
    Problem("oblique-quasi", *_quasi_separated(), C=math.inf),
    Problem("touching", np.array([[-1.0], [0.0], [0.0], [1.0]]), np.array([0, 0, 1, 1]), C=math.inf),
    Problem("pure-category", np.array([[0.0], [0.0], [0.0], [1.0]]), np.array([0, 1, 1, 1]), C=math.inf),
    Problem("quasi-3", np.array([[0.0], [0.0], [0.0], [1.0]]), np.array([0, 1, 2, 2]), C=math.inf),
)
