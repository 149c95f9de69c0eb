"""The problems: synthetic, from a seed, in the shapes that people train on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from scipy import sparse

from benchmarks.training.problem import Index, Matrix, Problem, RowsFile, rows_path, save

LEVELS = (10, 20, 50, 200, 500, 2000)
N_NUMERIC = 10
# Rows of shape I that are drawn, and written as a row group, at a time.
ROW_GROUP = 250_000

Draw: TypeAlias = Callable[[np.random.Generator], Problem]
Fill: TypeAlias = Callable[[np.random.Generator, Path], Problem]


@dataclass(frozen=True, slots=True)
class Shape:
    """A name, what stands behind it, how to draw it into a folder, and the shape whose rows it shares, if any."""

    name: str
    text: str
    fill: Fill
    rows_of: str = ""


def dense(n_rows: int, n_columns: int, n_classes: int = 2) -> Draw:
    """Normal columns with one factor in common and spreads from 0.5 to 2; logits of spread 2."""

    def draw(rng: np.random.Generator) -> Problem:
        X = _normal_columns(n_rows, n_columns, rng)
        w = rng.standard_normal((n_columns, 1 if n_classes == 2 else n_classes))
        return Problem(X, _labels(X @ w, rng), n_classes, C=1.0)

    return draw


def words(n_rows: int, n_columns: int, per_row: int) -> Draw:
    """Sparse rows of unit length, as of a text: column frequencies fall like 1 / rank."""

    def draw(rng: np.random.Generator) -> Problem:
        frequency = 1.0 / (np.arange(n_columns) + 10.0)
        columns = rng.choice(n_columns, size=(n_rows, per_row), p=frequency / frequency.sum())
        rows = np.repeat(np.arange(n_rows), per_row)
        X = sparse.csr_matrix((np.ones(rows.size), (rows, columns.ravel())), shape=(n_rows, n_columns))
        X.data = np.log1p(X.data)
        X = sparse.csr_matrix(sparse.diags(1.0 / np.sqrt(X.multiply(X).sum(axis=1).A1)) @ X)
        return Problem(X, _labels(X @ rng.standard_normal((n_columns, 1)), rng), 2, C=10.0)

    return draw


def one_hot(n_rows: int) -> Draw:
    """Ten normal columns, then six categoricals of 10 to 2000 levels as one-hot columns, in CSR."""

    def draw(rng: np.random.Generator) -> Problem:
        # The square crowds the low levels, as real categories are crowded.
        codes = np.column_stack([(n * rng.random(n_rows) ** 2).astype(np.int64) for n in LEVELS])
        starts = N_NUMERIC + np.concatenate([[0], np.cumsum(LEVELS)[:-1]])
        per_row = N_NUMERIC + len(LEVELS)
        columns = np.column_stack([np.broadcast_to(np.arange(N_NUMERIC), (n_rows, N_NUMERIC)), codes + starts])
        values = np.ones((n_rows, per_row))
        values[:, :N_NUMERIC] = rng.standard_normal((n_rows, N_NUMERIC))
        indptr = np.arange(0, n_rows * per_row + 1, per_row)
        n_columns = N_NUMERIC + sum(LEVELS)
        parts = (values.ravel(), columns.ravel().astype(np.int32), indptr.astype(np.int32))
        X = sparse.csr_matrix(parts, shape=(n_rows, n_columns))
        return Problem(X, _labels(X @ rng.standard_normal((n_columns, 1)), rng), 2, C=1.0, codes=codes)

    return draw


def with_l1(draw: Draw, fraction: float, *, fit_intercept: bool) -> Draw:
    """A drawn problem of two classes with an L1 penalty, at this fraction of the strength that leaves no column."""

    def penalised(rng: np.random.Generator) -> Problem:
        problem = draw(rng)
        residual = problem.y - (problem.y.mean() if fit_intercept else 0.5)
        strongest = float(abs(problem.X.T @ residual).max())
        return replace(problem, C=1.0 / (fraction * strongest), l1_ratio=1.0, fit_intercept=fit_intercept)

    return penalised


def kept(draw: Draw) -> Fill:
    """Draw in memory, and save in the folder."""

    def fill(rng: np.random.Generator, folder: Path) -> Problem:
        problem = draw(rng)
        save(problem, folder)
        return problem

    return fill


def in_file(n_rows: int, n_columns: int, row_group: int = ROW_GROUP) -> Fill:
    """The rows of ``dense`` for two classes, in a Parquet file, with one row group in memory at a time."""

    def fill(rng: np.random.Generator, folder: Path) -> Problem:
        w = rng.standard_normal((n_columns, 1))
        spreads = _spreads(n_columns)
        # The spread of the logits of ``_normal_columns``: ``dense`` takes it from its rows, which here come one by one.
        w *= 2.0 / np.sqrt(np.sum((spreads * w[:, 0]) ** 2) + 0.25 * np.sum(spreads * w[:, 0]) ** 2)

        def chunk(start: int) -> tuple[Matrix, Index]:
            X = _normal_columns(min(row_group, n_rows - start), n_columns, rng)
            return X, _two_classes(X @ w, rng)

        chunks = map(chunk, range(0, n_rows, row_group))
        rows, y = RowsFile.write(rows_path(folder), n_columns, chunks)
        problem = Problem(rows, y, 2, C=1.0)
        save(problem, folder)
        return problem

    return fill


def _spreads(n_columns: int) -> Matrix:
    return np.geomspace(0.5, 2.0, n_columns)


def _normal_columns(n_rows: int, n_columns: int, rng: np.random.Generator) -> Matrix:
    X = rng.standard_normal((n_rows, n_columns))
    X += 0.5 * rng.standard_normal((n_rows, 1))
    X *= _spreads(n_columns)
    return X


def _labels(logits: Matrix, rng: np.random.Generator) -> Index:
    logits = 2.0 * (logits - logits.mean(axis=0)) / logits.std()
    if logits.shape[1] == 1:
        return _two_classes(logits, rng)
    return np.asarray((logits + rng.gumbel(size=logits.shape)).argmax(axis=1), dtype=np.int64)


def _two_classes(logits: Matrix, rng: np.random.Generator) -> Index:
    return np.asarray(rng.logistic(size=len(logits)) < logits[:, 0], dtype=np.int64)


_WIDE, _WORDS = dense(500, 20_000), words(20_000, 100_000, 100)
SHAPES = {
    shape.name: shape
    for shape in (
        Shape("A", "150×4", kept(dense(150, 4))),
        Shape("A3", "150×4, 3 classes", kept(dense(150, 4, 3))),
        Shape("B", "1e6×30", kept(dense(1_000_000, 30))),
        Shape("C", "2e5×200", kept(dense(200_000, 200))),
        Shape("D", "2e4×2000", kept(dense(20_000, 2_000))),
        Shape("E", "500×20 000", kept(_WIDE)),
        Shape("F", "sparse 2e4×1e5, 100 draws a row, C = 10", kept(_WORDS)),
        Shape("G", "1e5×50, 10 classes", kept(dense(100_000, 50, 10))),
        Shape("H", "one-hot 5e5 rows, 6 categoricals of 10–2000 levels, 10 numeric", kept(one_hot(500_000))),
        Shape("I", "5e6×30 from a Parquet file", in_file(5_000_000, 30)),
        Shape("L1E", "500×20 000, L1", kept(with_l1(_WIDE, 0.1, fit_intercept=True)), "E"),
        Shape("L1F", "sparse 2e4×1e5, L1, no intercept", kept(with_l1(_WORDS, 0.01, fit_intercept=False)), "F"),
    )
}


def drawn(name: str, folder: Path, seed: int = 0) -> Problem:
    """Draw the problem of a shape, and leave it in a folder; the same seed gives the same numbers.

    Raises KeyError for an unknown name.
    """
    shape = SHAPES[name]
    return shape.fill(np.random.default_rng([seed, *(shape.rows_of or name).encode()]), folder)
