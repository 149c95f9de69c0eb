"""A problem to train on, in memory or in a Parquet file, and the folder in which a child process finds it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse

Matrix: TypeAlias = npt.NDArray[np.float64]
Index: TypeAlias = npt.NDArray[np.int64]

LABEL = "y"
BATCH = 1 << 16


@dataclass(frozen=True, slots=True)
class RowsFile:
    """Rows in a Parquet file: float64 columns x0, x1, …, and last the labels as whole numbers in the column y."""

    path: Path

    @classmethod
    def write(cls, path: Path, n_columns: int, chunks: Iterable[tuple[Matrix, Index]]) -> tuple[RowsFile, Index]:
        """Write chunks (m, n_columns) and (m,), each as a row group; return the file and all labels."""
        fields = [*((f"x{number}", pa.float64()) for number in range(n_columns)), (LABEL, pa.int64())]
        labels: list[Index] = []
        # Doubles that never repeat have no use for a dictionary.
        with pq.ParquetWriter(path, pa.schema(fields), use_dictionary=False) as file:
            for X, y in chunks:
                file.write_table(pa.table([*np.ascontiguousarray(X.T), y], schema=file.schema), row_group_size=len(y))
                labels.append(y)
        return cls(path), np.concatenate(labels)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, and columns without the labels."""
        about = pq.read_metadata(self.path)
        return about.num_rows, about.num_columns - 1

    def read(self, order: Literal["C", "F"] = "C") -> tuple[Matrix, Index]:
        """All of it, (n, p) and (n,), batch by batch into one matrix, so that nothing is held twice."""
        X, y, start = np.empty(self.shape, order=order), np.empty(self.shape[0], dtype=np.int64), 0
        for columns, labels in self._batches():
            part = slice(start, start + len(labels))
            for number, column in enumerate(columns):
                X[part, number] = column
            y[part] = labels
            start = part.stop
        return X, y

    def head(self, n_rows: int) -> RowsFile:
        """A file beside this one that holds the first rows alone."""
        columns, labels = next(self._batches(n_rows))
        return self.write(self.path.with_name("head.parquet"), len(columns), [(np.column_stack(columns), labels)])[0]

    def __matmul__(self, vectors: Matrix) -> Matrix:
        """The rows times vectors (p, k): (n, k), with one batch in memory at a time."""
        return np.concatenate([np.column_stack(columns) @ vectors for columns, _ in self._batches()])

    def _batches(self, n_rows: int = BATCH) -> Iterator[tuple[list[Matrix], Index]]:
        for batch in pq.ParquetFile(self.path).iter_batches(n_rows):
            *columns, labels = (column.to_numpy() for column in batch.columns)
            yield columns, labels


@dataclass(frozen=True, slots=True)
class Problem:
    """Rows X (n, p): dense, CSR or a file; classes y (n,) in 0…n_classes-1; C, the inverse strength of the penalty.

    codes (n, 6): the levels behind the one-hot columns of shape H, for peers that take categoricals; else None.
    l1_ratio: 0 for an L2 penalty, 1 for L1.
    """

    X: Any
    y: Index
    n_classes: int
    C: float
    codes: Index | None = None
    l1_ratio: float = 0.0
    fit_intercept: bool = True

    @property
    def strength(self) -> float:
        """1 / (n C): the strength of the whole penalty beside a mean loss."""
        return 1.0 / (len(self.y) * self.C)

    @property
    def l2(self) -> float:
        """The strength of ½ ‖coef‖² beside a mean loss."""
        return (1.0 - self.l1_ratio) * self.strength

    @property
    def l1(self) -> float:
        """The strength of ‖coef‖₁ beside a mean loss."""
        return self.l1_ratio * self.strength

    @property
    def in_file(self) -> bool:
        """Whether training begins with reading the rows."""
        return isinstance(self.X, RowsFile)

    def rows(self, order: Literal["C", "F"] = "C") -> tuple[Any, Index]:
        """Rows and labels: at once as they are in memory, read in this order when they are in a file."""
        return self.X.read(order) if self.in_file else (self.X, self.y)

    def in_memory(self) -> Problem:
        """The same problem, its rows read."""
        return replace(self, X=self.rows()[0])

    def head(self, n_rows: int) -> Problem:
        """The first rows alone, to warm up on."""
        codes = None if self.codes is None else self.codes[:n_rows]
        X = self.X.head(n_rows) if self.in_file else self.X[:n_rows]
        return replace(self, X=X, y=self.y[:n_rows], codes=codes)


def save(problem: Problem, folder: Path) -> None:
    """Write a problem where the child processes find it; rows in a file stay there, which is this folder."""
    if sparse.issparse(problem.X):
        sparse.save_npz(folder / "X.npz", problem.X, compressed=False)
    elif not problem.in_file:
        np.save(folder / "X.npy", problem.X)
    if problem.codes is not None:
        np.save(folder / "codes.npy", problem.codes)
    rest = {name: getattr(problem, name) for name in ("y", "n_classes", "C", "l1_ratio", "fit_intercept")}
    np.savez(folder / "rest.npz", **rest)


def load(folder: Path) -> Problem:
    """Read what ``save`` wrote."""
    codes_file = folder / "codes.npy"
    codes = np.load(codes_file) if codes_file.exists() else None
    with np.load(folder / "rest.npz") as rest:
        return Problem(
            X=_rows_in(folder),
            y=rest["y"],
            n_classes=int(rest["n_classes"]),
            C=float(rest["C"]),
            codes=codes,
            l1_ratio=float(rest["l1_ratio"]),
            fit_intercept=bool(rest["fit_intercept"]),
        )


def rows_path(folder: Path) -> Path:
    """Where a problem's rows are when they are in a Parquet file."""
    return folder / "rows.parquet"


def _rows_in(folder: Path) -> Any:
    if rows_path(folder).exists():
        return RowsFile(rows_path(folder))
    dense = folder / "X.npy"
    return np.load(dense) if dense.exists() else sparse.load_npz(folder / "X.npz")
