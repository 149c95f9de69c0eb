"""``Schema``: the feature contract of a model, and the check of a ``Table`` against it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property
from itertools import islice
from typing import Annotated, Literal, Self, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.errors import (
    MAX_NAME_LENGTH,
    MissingFeature,
    MissingValue,
    NonFinite,
    UnknownCategory,
    UnknownFeature,
    WrongType,
    quoted,
)
from service.tabular.table import Column, Table, cell_pointer, check_column_names, is_numeric, missing_cells

MAX_COMPARED = 256

MissingPolicy: TypeAlias = Literal["reject", "impute"]

# In per cent.  Steps of 5 can be merged to the deciles or quartiles of any drift measure; 1 and 99 see tails that move,
# which the range does not: its ends belong to single rows.
QUANTILE_LEVELS = (0, 1, *range(5, 100, 5), 99, 100)


class NumericFeature(BaseModel):
    """A numeric column: training mean (imputes missing cells, anchors explanations), range and quantiles.

    All are of the cells that are present.  quantiles: at ``QUANTILE_LEVELS``, each the least value with at least that
    share of the values at or below it (NumPy's ``inverted_cdf``); () in versions stored before they were kept.
    missing_share, has_indicator: the share of the training rows without a value, and whether ``Design`` has a column
    for it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["numeric"] = "numeric"
    name: str
    mean: float
    minimum: float
    maximum: float
    quantiles: tuple[float, ...] = ()
    missing_share: float = Field(default=0.0, ge=0, lt=1)
    has_indicator: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.quantiles and len(self.quantiles) != len(QUANTILE_LEVELS):
            raise ValueError(f"expected {len(QUANTILE_LEVELS)} quantiles or none")
        if list(self.quantiles) != sorted(self.quantiles):
            raise ValueError("quantiles must ascend")
        return self


class CategoricalFeature(BaseModel):
    """A text column: its categories in sorted order and the share of each among the training rows that have one.

    The most frequent category (the first of them, on a tie) imputes missing cells.
    missing_share, has_indicator: as of ``NumericFeature``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["categorical"] = "categorical"
    name: str
    categories: tuple[str, ...] = Field(min_length=1)
    frequencies: tuple[float, ...]
    missing_share: float = Field(default=0.0, ge=0, lt=1)
    has_indicator: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.categories)) != len(self.frequencies) or len(self.categories) != len(self.frequencies):
            raise ValueError("categories must differ, and each have one frequency")
        return self

    @property
    def most_frequent(self) -> str:
        return self.categories[int(np.argmax(self.frequencies))]


Feature: TypeAlias = Annotated[NumericFeature | CategoricalFeature, Field(discriminator="kind")]


class Schema(BaseModel):
    """What a model expects of a row, in the order of its columns.

    missing: ``reject`` refuses missing cells, ``impute`` fills them from training statistics.
    missing_values: the words that stand for a missing cell in a CSV file, besides the empty cell.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[Feature, ...] = Field(min_length=1)
    missing: MissingPolicy = "reject"
    missing_values: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_column_names(self.names)
        return self

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    def check_names(self, names: Collection[str], *, pointer: str = "") -> None:
        """Raise MissingFeature or UnknownFeature (with the nearest name) unless ``names`` are the schema's."""
        check_same_names(names, self.names, pointer=pointer)

    def conform(self, table: Table) -> Table:
        """``table`` with the schema's columns in the schema's order, kinds checked and missing cells imputed.

        Raises UnknownFeature, MissingFeature, WrongType, NonFinite, MissingValue or UnknownCategory; the pointer is
        that of ``cell_pointer``.
        """
        self.check_names(table.names)
        given = dict(table)
        columns = [
            self._conform_column(index, feature, given[feature.name], table)
            for index, feature in enumerate(self.features)
        ]
        return Table(self.names, tuple(columns), table.n_rows)

    def _conform_column(self, index: int, feature: Feature, column: Column, table: Table) -> Column:
        column = with_kind(feature, column)
        if is_numeric(column) and np.isfinite(column.astype(np.float64, copy=False)).all():
            return column
        missing = missing_cells(column)
        if missing.any() and self.missing == "reject":
            row = int(np.argmax(missing))
            raise MissingValue(
                f"row {row}, column {quoted(feature.name)} is missing, and this model rejects missing cells",
                pointer=cell_pointer(table, row, feature.name, index),
                hint='fill the cell, or train with missing: "impute"',
            )
        fill = feature.mean if isinstance(feature, NumericFeature) else feature.most_frequent
        if missing.any():
            column = column.copy()
            column[missing] = fill
        check_values(feature, column, lambda row: cell_pointer(table, row, feature.name, index))
        return column


def check_same_names(given: Collection[str], known: Sequence[str], *, pointer: str) -> None:
    """Raise UnknownFeature (with the nearest name) or MissingFeature unless both hold the same names, in any order."""
    given_names, known_names = set(given), set(known)
    if given_names == known_names:
        return
    for name in given:
        if name not in known_names:
            raise UnknownFeature(
                f"{quoted(name)} is not one of the {len(known)} expected columns",
                pointer=pointer,
                hint=nearest(name, known),
            )
    missing = next(name for name in known if name not in given_names)
    raise MissingFeature(f"column {quoted(missing)} is missing", pointer=pointer)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The hint "did you mean …?" with the known name most like ``name``, or None; many or long names are not compared."""
    # Names that were chosen for it take a millisecond a pair, and the event loop waits.
    close = difflib.get_close_matches(name[:MAX_NAME_LENGTH], list(islice(known, MAX_COMPARED)), n=1)
    return f"did you mean {quoted(close[0])}?" if close else None


def with_kind(feature: Feature, column: Column) -> Column:
    """The column in its feature's kind: a column without any value has either; else WrongType."""
    wanted = isinstance(feature, NumericFeature)
    if is_numeric(column) == wanted:
        return column
    if missing_cells(column).all():
        return np.full(len(column), np.nan) if wanted else np.full(len(column), None, dtype=object)
    expected = "numbers" if wanted else "strings"
    raise WrongType(f"column {quoted(feature.name)} takes {expected}")


def check_values(feature: Feature, column: Column, pointer: Callable[[int], str]) -> None:
    """Raise NonFinite for an infinite number, UnknownCategory for a category that training did not see.

    pointer: from a row to the JSON pointer of its cell.
    """
    if isinstance(feature, NumericFeature):
        bad = np.isinf(column.astype(np.float64, copy=False))
        if bad.any():
            row = int(np.argmax(bad))
            raise NonFinite(
                f"row {row}, column {quoted(feature.name)} is not a finite number",
                pointer=pointer(row),
            )
        return
    unknown = set(column.tolist()).difference(feature.categories)
    if unknown:
        row = next(row for row, cell in enumerate(column) if cell in unknown)
        some = ", ".join(quoted(category) for category in feature.categories[:5])
        raise UnknownCategory(
            f"row {row}, column {quoted(feature.name)} has a category that training did not see",
            pointer=pointer(row),
            hint=f"known categories: {some}" + (", …" if len(feature.categories) > 5 else ""),
        )
