"""The problems: synthetic, from a seed, in the shapes that people train on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse

Matrix: TypeAlias = npt.NDArray[np.float64]
Index: TypeAlias = npt.NDArray[np.int64]

LEVELS = (10, 20, 50, 200, 500, 2000)
N_NUMERIC = 10


@dataclass(frozen=True, slots=True)
class Problem:
    """Rows X (n, p), dense or CSR, classes y (n,) in 0…n_classes-1, and C, the inverse strength of the L2 penalty.

    codes (n, 6): the levels behind the one-hot columns of shape H, for peers that take categoricals; else None.
    """

    X: Any
    y: Index
    n_classes: int
    C: float
    codes: Index | None = None

    @property
    def l2(self) -> float:
        """1 / (n C): the strength beside a mean loss."""
        return 1.0 / (len(self.y) * self.C)

    def head(self, n_rows: int) -> Problem:
        """The first rows alone, to warm up on."""
        codes = None if self.codes is None else self.codes[:n_rows]
        return Problem(self.X[:n_rows], self.y[:n_rows], self.n_classes, self.C, codes)


@dataclass(frozen=True, slots=True)
class Shape:
    """A name, what stands behind it, and how to draw it."""

    name: str
    text: str
    draw: Callable[[np.random.Generator], Problem]


def dense(n_rows: int, n_columns: int, n_classes: int = 2) -> Callable[[np.random.Generator], Problem]:
    """Normal columns with one factor in common and spreads from 0.5 to 2; logits of spread 2."""

    def draw(rng: np.random.Generator) -> Problem:
        X = rng.standard_normal((n_rows, n_columns))
        X += 0.5 * rng.standard_normal((n_rows, 1))
        X *= np.geomspace(0.5, 2.0, n_columns)
        w = rng.standard_normal((n_columns, 1 if n_classes == 2 else n_classes))
        return Problem(X, _labels(X @ w, rng), n_classes, C=1.0)

    return draw


def words(n_rows: int, n_columns: int, per_row: int) -> Callable[[np.random.Generator], Problem]:
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


def one_hot(n_rows: int) -> Callable[[np.random.Generator], Problem]:
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


def _labels(logits: Matrix, rng: np.random.Generator) -> Index:
    logits = 2.0 * (logits - logits.mean(axis=0)) / logits.std()
    if logits.shape[1] == 1:
        return np.asarray(rng.logistic(size=len(logits)) < logits[:, 0], dtype=np.int64)
    return np.asarray((logits + rng.gumbel(size=logits.shape)).argmax(axis=1), dtype=np.int64)


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("A", "150×4", dense(150, 4)),
        Shape("A3", "150×4, 3 classes", dense(150, 4, 3)),
        Shape("B", "1e6×30", dense(1_000_000, 30)),
        Shape("C", "2e5×200", dense(200_000, 200)),
        Shape("D", "2e4×2000", dense(20_000, 2_000)),
        Shape("E", "500×20 000", dense(500, 20_000)),
        Shape("F", "sparse 2e4×1e5, 100 draws a row, C = 10", words(20_000, 100_000, 100)),
        Shape("G", "1e5×50, 10 classes", dense(100_000, 50, 10)),
        Shape("H", "one-hot 5e5 rows, 6 categoricals of 10–2000 levels, 10 numeric", one_hot(500_000)),
    )
}


def drawn(name: str, seed: int = 0) -> Problem:
    """The problem of a shape; the same seed gives the same numbers.  Raises KeyError for an unknown name."""
    return SHAPES[name].draw(np.random.default_rng([seed, *name.encode()]))


def save(problem: Problem, folder: Path) -> None:
    """Write a problem where the child processes find it."""
    if sparse.issparse(problem.X):
        sparse.save_npz(folder / "X.npz", problem.X, compressed=False)
    else:
        np.save(folder / "X.npy", problem.X)
    if problem.codes is not None:
        np.save(folder / "codes.npy", problem.codes)
    np.savez(folder / "rest.npz", y=problem.y, n_classes=problem.n_classes, C=problem.C)


def load(folder: Path) -> Problem:
    """Read what ``save`` wrote."""
    dense_file, codes_file = folder / "X.npy", folder / "codes.npy"
    X = np.load(dense_file) if dense_file.exists() else sparse.load_npz(folder / "X.npz")
    codes = np.load(codes_file) if codes_file.exists() else None
    with np.load(folder / "rest.npz") as rest:
        return Problem(X, rest["y"], int(rest["n_classes"]), float(rest["C"]), codes)
