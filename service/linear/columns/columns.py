"""``Columns``: the matrix X of a fit in whatever form it is kept, and ``Block``: a part of its rows, ready for arithmetic."""

from __future__ import annotations

from typing import Protocol

from service.linear.columns.arrays import Index, Matrix, Vector
from service.linear.columns.moments import Moments
from service.linear.scaling import Scaling


class Columns(Protocol):
    """n rows of p numbers.  Passes over the rows go by blocks, whose heights depend on the data alone."""

    @property
    def shape(self) -> tuple[int, int]:
        """(n, p)."""

    @property
    def row_numbers(self) -> int:
        """How many numbers a pass reads for a row."""

    @property
    def pass_height(self) -> int:
        """Rows of a block that is read and multiplied."""

    @property
    def gram_height(self) -> int:
        """Rows of a block whose weighted Gram matrix is taken."""

    def block(self, rows: slice) -> Block:
        """The rows from ``rows.start`` to ``rows.stop``."""

    def take(self, rows: Index) -> Columns:
        """The rows at ``rows``, (m,) in ascending order, a copy."""

    @property
    def moments(self) -> Moments:
        """Sums over the rows, computed once."""

    def select(self, columns: Index) -> Columns:
        """The columns at ``columns``, (m,), a copy."""

    def is_idle(self) -> bool:
        """Whether the columns are fit for arithmetic as they are: see ``Moments.are_idle``."""

    def conditioning(self) -> Scaling:
        """The scaling that makes them so, as far as it keeps their form."""

    def scaled(self, scaling: Scaling) -> Columns:
        """The columns (x - centre) / scale; a form that cannot be centred takes a centre of 0 only."""

    def largest_magnitudes(self) -> Vector:
        """The largest |x| of each column, (p,)."""


class Block(Columns, Protocol):
    """Columns in memory: what the objectives ask of a part of the rows."""

    def dense(self) -> Matrix:
        """X, (n, p); not to be written to."""

    def product(self, w: Matrix) -> Matrix:
        """X w, (n,) or (n, K) for w (p,) or (p, K)."""

    def transposed_product(self, values: Matrix) -> Matrix:
        """Xᵀ v, (p,) for v (n,), or (K, p) for v (n, K)."""

    def gram(self, weights: Vector, *, with_ones: bool, single: bool = False) -> Matrix:
        """(X, 1)ᵀ diag(weights) (X, 1), (p + 1, p + 1), for weights (n,) ≥ 0; without ones: Xᵀ diag(weights) X.

        single: the products may be rounded to single precision, where that is faster.
        """

    def row_gram(self, column_weights: Vector) -> Matrix:
        """X diag(column_weights) Xᵀ, (n, n), for column_weights (p,) ≥ 0."""

    def magnitudes(self) -> Block:
        """|x|, cell by cell."""

    def squares(self) -> Block:
        """x², cell by cell."""

    def square_norms(self) -> Vector:
        """Σⱼ xⱼ² of each row, (n,)."""
