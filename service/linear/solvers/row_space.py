"""Fewer rows than columns: the optimum lies in the span of the rows, so the problem has as many unknowns as rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from service.errors import InvalidParameter
from service.linear.certificate import ridge_gap_bound
from service.linear.columns import DenseColumns
from service.linear.columns.arrays import Matrix, Vector
from service.linear.factor import EPS
from service.linear.objective import Objective, Rows
from service.linear.solver import Solution, Status
from service.linear.solvers.newton import Newton


@dataclass(frozen=True, slots=True)
class RowSpace:
    """Newton on n unknowns a logit in place of p: for p > n, with an L2 penalty on every column.

    With A = X Λ^-½ and its row Gram matrix A Aᵀ = V D Vᵀ, the coefficients are β = Λ^-½ Aᵀ V D^-½ γ; then Xβ = V D^½ γ
    and ½ βᵀΛβ = ½ ‖γ‖² (the representer theorem).  The certificate is that of the whole problem, not of the small one.
    Raises InvalidParameter where a column is not penalised.
    Source: T. Hastie, R. Tibshirani, Efficient quadratic regularization for expression arrays, Biostatistics 5, 2004.
    """

    tol: float = 1e-10
    max_iter: int = 100
    name: ClassVar[str] = "row-space"
    promises_optimum: ClassVar[bool] = True

    def minimise(self, objective: Objective, start: Vector) -> Solution:
        if not (objective.rows.l2 > 0).all():
            raise InvalidParameter('solver="row-space" needs a penalty on every column: a finite C')
        basis, spread = _row_space(objective.rows)
        small = objective.with_columns(DenseColumns(np.ascontiguousarray(basis * spread)), np.ones(len(spread)))
        # The small problem is solved further than asked for: its gap is a part of the whole one's.
        solution = Newton(tol=1e-2 * self.tol, max_iter=self.max_iter).minimise(small, np.zeros(small.n_params))
        w = _lifted(objective, solution.w, basis / spread, n_params=len(start))
        value, _ = objective.value_and_gradient(w)
        gap = ridge_gap_bound(objective, w)
        status = Status.OPTIMAL if gap <= self.tol * value else Status.BUDGET_SPENT
        rank = len(spread) if len(spread) == objective.rows.n_rows else None
        return replace(
            solution, w=w, objective=value, gap_bound=gap, status=status, passes=solution.passes + 6, rank=rank
        )


def _row_space(rows: Rows) -> tuple[Matrix, Vector]:
    """V (n, r) and D^½ (r,) of the row Gram matrix, directions within its rounding left out."""
    gram = rows.row_gram(1.0 / rows.l2)
    values, vectors = np.linalg.eigh(gram)
    kept = values > 8 * len(values) * EPS * max(float(values[-1]), 0.0)
    return np.ascontiguousarray(vectors[:, kept]), np.sqrt(values[kept])


def _lifted(objective: Objective, w: Vector, back: Matrix, *, n_params: int) -> Vector:
    """The parameters of the whole problem: β = Λ⁻¹ Xᵀ V D^-½ γ for each logit, the intercepts as they are."""
    rows = objective.rows
    by_logit = w.reshape(n_params // rows.width, -1)
    lifted = np.zeros((len(by_logit), rows.width))
    by_row = rows.transposed_product(back @ by_logit[:, : back.shape[1]].T).reshape(len(by_logit), -1)
    lifted[:, : rows.n_columns] = by_row[:, : rows.n_columns] / rows.l2
    lifted[:, rows.n_columns :] = by_logit[:, back.shape[1] :]
    return lifted.ravel()
