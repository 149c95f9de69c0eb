"""The columns that a proximal Newton step treats, and the curvature of the objective in them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from service.linear.certificate_l1 import DualPoint
from service.linear.columns.arrays import Index, Matrix, Vector
from service.linear.objective import Objective
from service.linear.solvers.kept_metric import draw_sample
from service.linear.solvers.l1_model import Curvature, DenseCurvature, ProductCurvature

# Columns join by so many at a time, or by as many as there are coefficients that are not 0.
FEWEST_NEW = 64
# The Hessian of so many parameters takes 72 MB; beyond, only its products are used.
MOST_DENSE = 3_000
# Where a Hessian of all rows takes more multiplications than this, that of a sample stands in for it.
CHEAP_HESSIAN = 3e8
SAMPLE_SHARE, ROWS_PER_PARAM = 16, 100
# A change of the logits beyond which the curvature is another one.
FAR = 0.1


@dataclass(frozen=True)
class WorkingSet:
    """Some columns, as an objective of their own, and where its parameters are among those of the whole, (q,)."""

    columns: Index
    objective: Objective
    positions: Index

    @classmethod
    def of(cls, whole: Objective, columns: Index) -> WorkingSet:
        """The objective of these columns, ascending: a copy, unless they are all."""
        rows = whole.rows
        if len(columns) == len(rows.l2):
            return cls(columns, whole, np.arange(whole.n_params))
        of_logit = np.append(columns, np.arange(len(rows.l2), rows.width))
        first = rows.width * np.arange(whole.n_params // rows.width)
        part = whole.with_columns(rows.X.select(columns), rows.l2[columns], rows.l1[columns])
        return cls(columns, part, np.add.outer(first, of_logit).ravel())


def needed_columns(objective: Objective, w: Vector, dual: DualPoint) -> Index:
    """The columns with a coefficient, and those whose correlation exceeds κ the most; all where these are most."""
    rows = objective.rows
    n_columns = len(rows.l2)
    has_coefficient = w.reshape(-1, rows.width)[:, :n_columns].any(axis=0)
    excess = np.abs(dual.correlation.reshape(-1, rows.width)[:, :n_columns]).max(axis=0) / rows.l1
    beyond = np.flatnonzero((excess > 1) & ~has_coefficient)
    most = max(FEWEST_NEW, int(has_coefficient.sum()))
    joining = beyond[np.argsort(-excess[beyond], kind="stable")[:most]]
    columns = np.union1d(np.flatnonzero(has_coefficient), joining)
    return np.arange(n_columns) if 2 * len(columns) > n_columns else columns


@dataclass(frozen=True)
class LocalMetric:
    """The Hessian of a part's smooth loss at a point, of all rows or of a sample.

    hessian: None where there are too many parameters.  anchor: the logits at the point.  largest_factor: of the sample's
    rows: hessian / largest_factor is at most the Hessian of all rows there.  share: what part of the rows it was asked of.
    """

    curvature: Curvature
    hessian: Matrix | None
    anchor: Matrix
    largest_factor: float
    share: int

    @classmethod
    def at(cls, part: Objective, w: Vector, raw_prediction: Matrix, share: int) -> LocalMetric:
        """Of about one row in ``share``, more where they are few for the parameters; of all where that saves little."""
        if part.n_params > MOST_DENSE:
            multiply, diagonal = part.hessian_product(w)
            return cls(ProductCurvature(multiply, diagonal), None, raw_prediction, 1.0, 1)
        rows, largest_factor = part.rows, 1.0
        size = max(rows.n_rows // share, ROWS_PER_PARAM * rows.width)
        if share > 1 and 2 * size < rows.n_rows:
            # A fixed seed: the same rows give the same fit.
            rng = np.random.default_rng(rows.n_rows)
            sample = draw_sample(part.class_index(), size, min(4 * rows.width, size), rng)
            part, largest_factor = part.subset(sample.index, sample.factor), float(sample.factor.max())
        else:
            share = 1
        _, _, hessian = part.value_gradient_hessian(w)
        hessian = without_gauge(part, hessian)
        return cls(DenseCurvature(hessian), hessian, raw_prediction, largest_factor, share)

    def looseness(self, part: Objective, raw_prediction: Matrix) -> float:
        """The f with hessian / f² at most the Hessian at these logits: a logit that moves by Δ changes it by e^-Δ."""
        moved = part.largest_change(raw_prediction - self.anchor)
        return math.sqrt(self.largest_factor * math.exp(min(moved, 700.0)))


def is_cheap(part: Objective) -> bool:
    """Whether a Hessian of all rows costs no more than the steps that a better one spares."""
    return part.rows.n_rows * float(part.n_params) ** 2 <= CHEAP_HESSIAN


def without_gauge(objective: Objective, hessian: Matrix) -> Matrix:
    """The Hessian less the gauge of ``SoftmaxObjective`` on the coefficients.

    Moving those of all classes alike leaves the loss, but not the absolute penalty: the model must be free to.
    """
    rows = objective.rows
    n_classes = objective.n_params // rows.width
    if n_classes == 1:
        return hessian
    # The gauge is (1/K) 11ᵀ ⊗ D, D the mean of the diagonal over classes, which the gauge itself raised by a Kth.
    gauge = np.diag(hessian).reshape(n_classes, -1).mean(axis=0) / (n_classes + 1)
    gauge[len(rows.l2) :] = 0.0
    return hessian - np.kron(np.ones((n_classes, n_classes)), np.diag(gauge))
