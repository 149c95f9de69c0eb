"""``Dataset``: a table with what one must know to use it."""

from __future__ import annotations

from dataclasses import dataclass

from service.tabular.table import Table


@dataclass(frozen=True, slots=True)
class Dataset:
    """A built-in table, its target column among the others.

    source, licence: where the rows come from and under which terms.
    missing_values: the words that stand for a missing cell in the source, besides the empty cell.
    """

    name: str
    table: Table
    target: str
    description: str
    source: str
    licence: str
    missing_values: tuple[str, ...] = ()
