"""``Design``: from a ``Table`` to the numeric matrix of a model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from service.tabular.schema import Feature, NumericFeature, Schema
from service.tabular.table import Column, Table, missing_cells

Matrix: TypeAlias = npt.NDArray[np.float64]
Vector: TypeAlias = npt.NDArray[np.float64]
Codes: TypeAlias = npt.NDArray[np.int32]
Index: TypeAlias = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Design:
    """The matrix columns of a schema: one for a numeric feature, one for each category of a text feature.

    A feature with an indicator has one more: 1.0 where the cell is missing, which is imputed in the columns before.
    drop_first: leave out the first category of each text feature.  With a penalty all categories stay, so that none
    is special; without one they would add up to the intercept, and the first becomes the reference.
    """

    schema: Schema
    drop_first: bool = False

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """``age`` for a numeric feature, ``island=Biscoe`` for a category, ``age is missing`` for an indicator."""
        return tuple(name for feature in self.schema.features for name in self._names(feature))

    @cached_property
    def feature_of_column(self) -> tuple[int, ...]:
        """For each matrix column, the index of the feature that it comes from."""
        return tuple(index for index, feature in enumerate(self.schema.features) for _ in self._names(feature))

    @cached_property
    def means(self) -> Vector:
        """The training mean of each matrix column, imputed cells included, shape (n_columns,)."""
        return np.array([mean for feature in self.schema.features for mean in self._means(feature)], dtype=np.float64)

    def matrix(self, table: Table) -> Matrix:
        """The rows of ``table`` on the raw scale, shape (n_rows, n_columns).

        The table is checked and imputed by the schema first: see ``Schema.conform`` for the errors.
        """
        numbers, codes = self.coded(table)
        if not self.category_places:
            return numbers
        matrix = np.zeros((len(numbers), len(self.column_names)))
        matrix[:, self.number_places] = numbers
        for place, code in zip(self.category_places, codes.T, strict=True):
            rows = np.flatnonzero(code >= 0)
            matrix[rows, place.start + code[rows]] = 1.0
        return matrix

    def coded(self, table: Table) -> tuple[Matrix, Codes]:
        """``matrix`` with a code in place of the one-hot columns of a text feature.

        The other columns, (n_rows, q), at ``number_places``; and the codes of the text features, (n_rows, c), the first of
        ``category_places`` being 0, and -1 a row that is in none of them.
        """
        conformed, given = self.schema.conform(table), dict(table)
        numbers = np.empty((conformed.n_rows, len(self.number_places)))
        codes = np.empty((conformed.n_rows, len(self.category_places)), dtype=np.int32)
        n_numbers = n_codes = 0
        for feature, column in zip(self.schema.features, conformed.columns, strict=True):
            if isinstance(feature, NumericFeature):
                numbers[:, n_numbers] = column
                n_numbers += 1
            else:
                codes[:, n_codes] = codes_of(column, feature.categories) - int(self.drop_first)
                n_codes += 1
            if feature.has_indicator:
                numbers[:, n_numbers] = missing_cells(given[feature.name])
                n_numbers += 1
        return numbers, codes

    @cached_property
    def category_places(self) -> tuple[slice, ...]:
        """The matrix columns of each text feature, its indicator aside."""
        starts = np.cumsum([0, *(len(self._names(feature)) for feature in self.schema.features)]).tolist()
        return tuple(
            slice(start, start + len(self._names(feature)) - int(feature.has_indicator))
            for start, feature in zip(starts, self.schema.features, strict=False)
            if not isinstance(feature, NumericFeature)
        )

    @cached_property
    def number_places(self) -> Index:
        """The matrix columns that are not one-hot, (q,)."""
        is_number = np.ones(len(self.column_names), dtype=np.bool_)
        for place in self.category_places:
            is_number[place] = False
        return np.flatnonzero(is_number)

    def _names(self, feature: Feature) -> list[str]:
        """The matrix columns of one feature: its own, then its indicator."""
        if isinstance(feature, NumericFeature):
            own = [feature.name]
        else:
            own = [f"{feature.name}={category}" for category in feature.categories[self.drop_first :]]
        return [*own, f"{feature.name} is missing"] if feature.has_indicator else own

    def _means(self, feature: Feature) -> list[float]:
        """The training means of ``_names``."""
        share = feature.missing_share
        if isinstance(feature, NumericFeature):
            own = [feature.mean]
        else:
            imputed = feature.most_frequent
            shares = zip(feature.categories, feature.frequencies, strict=True)
            own = [(1 - share) * of_present + share * (category == imputed) for category, of_present in shares]
            own = own[self.drop_first :]
        return [*own, share] if feature.has_indicator else own


def codes_of(column: Column, categories: tuple[str, ...]) -> Codes:
    """The position of each cell among ``categories``, (n_rows,)."""
    code = {category: index for index, category in enumerate(categories)}
    return np.fromiter((code[cell] for cell in column.tolist()), dtype=np.int32, count=len(column))
