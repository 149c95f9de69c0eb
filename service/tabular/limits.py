"""``Limits``: how large a table may be before it is read."""

from __future__ import annotations

from dataclasses import dataclass

from service.errors import TooManyCells, TooManyFeatures, TooManyRows


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest table that is accepted; a table exactly at a limit is."""

    max_rows: int = 10_000
    max_features: int = 4_096
    max_cells: int = 2_000_000

    def check(self, n_rows: int, n_features: int) -> None:
        """Raise TooManyRows, TooManyFeatures or TooManyCells when a table of this shape is too large."""
        if n_rows > self.max_rows:
            raise TooManyRows(f"there are more than {self.max_rows} rows")
        if n_features > self.max_features:
            raise TooManyFeatures(f"there are more than {self.max_features} columns")
        if n_rows * n_features > self.max_cells:
            raise TooManyCells(f"{n_rows} rows of {n_features} columns are more than {self.max_cells} cells")
