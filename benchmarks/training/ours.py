"""This service as its own peer, and its solvers side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.training.objective import Coefficients
from benchmarks.training.peer import Fit, Peer, Prepare, ready
from benchmarks.training.problem import Index, Problem, RowsFile
from benchmarks.training.shapes import LEVELS, N_NUMERIC
from service import LogisticRegression
from service.linear.columns import CodedColumns, ColumnsOnDemand
from service.linear.solvers import SOLVER_NAMES
from service.tabular.parquet_reader import parquet_chunks
from service.tabular.spool import SpooledMatrix

OURS = "logitd"
AUTO = "auto"
EVERY_SHAPE = "A A3 B C D E F G H I L1E L1F"
OWN_TOLERANCE = 1e-10


def rows_for_service(problem: Problem) -> tuple[Any, Index]:
    """Rows and labels in the form that this service likes best: the one place that decides it.

    Dense and sparse rows are taken as they are, categories as codes; rows in a file are written row by row beside
    it, where a pass finds them.
    """
    if isinstance(problem.X, RowsFile):
        return _spooled(problem.X)
    if problem.codes is None:
        return problem.rows()
    X, y = problem.rows()
    return CodedColumns.of(np.ascontiguousarray(X[:, :N_NUMERIC].toarray()), problem.codes, LEVELS), y


def _spooled(file: RowsFile) -> tuple[ColumnsOnDemand, Index]:
    matrix, labels = SpooledMatrix(file.shape[1]), []
    for chunk in parquet_chunks(file.path):
        matrix.append(np.column_stack(chunk.columns[:-1]))
        labels.append(chunk.columns[-1].astype(np.int64))
    return ColumnsOnDemand(matrix.block, matrix.shape), np.concatenate(labels)


def trained_by(solver: str) -> Prepare:
    """The adapter of one of the service's solvers, or of its own choice, "auto"."""

    def prepare(problem: Problem, tolerance: float) -> Fit:
        model = LogisticRegression(
            C=problem.C,
            l1_ratio=problem.l1_ratio,
            fit_intercept=problem.fit_intercept,
            solver=solver,
            tol=tolerance,
        )
        rows = ready(problem, rows_for_service)

        def fit() -> Coefficients:
            model.fit(*rows())
            certificate = model.certificate_
            return Coefficients(model.coef_, model.intercept_, certificate.solver, certificate.status)

        return fit

    return prepare


def own(solver: str) -> Peer:
    """One of the service's solvers as a peer of the others."""
    return Peer(f"{OURS} {solver}", "logitd as service", trained_by(solver), EVERY_SHAPE, ladder=(OWN_TOLERANCE,))


SERVICE = Peer(OURS, "logitd as service", trained_by(AUTO), EVERY_SHAPE, ladder=(1e-6, 1e-10))
OWN = {solver: own(solver) for solver in SOLVER_NAMES}
