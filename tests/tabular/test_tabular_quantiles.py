"""The training quantiles of numeric columns: by definition, by NumPy, and at the extremes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from service.tabular.schema import QUANTILE_LEVELS, NumericFeature
from service.tabular.schema_inference import infer_schema
from service.tabular.table import Table


def feature_of(*numbers: float) -> NumericFeature:
    (feature,) = infer_schema(
        Table(("a",), (np.array(numbers, dtype=np.float64),), len(numbers)), missing="impute"
    ).features
    assert isinstance(feature, NumericFeature)
    return feature


@given(st.lists(st.floats(-2, 2) | st.integers(-2, 2).map(float), min_size=1, max_size=300))
def test_quantile_is_the_least_value_that_leaves_its_share_below(numbers: list[float]) -> None:
    """At q per cent, at least q % of the values are at or below the quantile, and fewer at or below any smaller one."""
    quantiles = feature_of(*numbers).quantiles

    assert len(quantiles) == len(QUANTILE_LEVELS)
    for level, quantile in zip(QUANTILE_LEVELS, quantiles, strict=True):
        assert quantile in numbers
        assert 100 * sum(number <= quantile for number in numbers) >= level * len(numbers)
        below = sum(number < quantile for number in numbers)
        assert below == 0 or 100 * below < level * len(numbers)


@pytest.mark.parametrize("n_rows", [1, 2, 7, 97, 344])
def test_quantiles_are_those_of_numpy(n_rows: int) -> None:
    """NumPy's method ``inverted_cdf`` gives the same numbers, where rounding does not push a rank over a whole number."""
    numbers = np.random.default_rng(n_rows).normal(size=n_rows)

    expected = np.quantile(numbers, np.array(QUANTILE_LEVELS) / 100, method="inverted_cdf")

    assert feature_of(*numbers).quantiles == tuple(expected.tolist())


def test_rank_is_exact_at_a_whole_number() -> None:
    """Of 100 values the quantile at 55 % is the 55th, though 0.55 times 100 is more than 55 in doubles."""
    at = dict(zip(QUANTILE_LEVELS, feature_of(*range(1, 101)).quantiles, strict=True))

    assert {level: at[level] for level in QUANTILE_LEVELS[1:]} == {level: level for level in QUANTILE_LEVELS[1:]}
    assert at[0] == 1


def test_missing_cells_have_no_quantile() -> None:
    """Only the cells that are present count, and the ends are the range."""
    feature = feature_of(np.nan, 3.0, np.nan, 1.0, np.nan, np.nan)

    assert set(feature.quantiles) == {1.0, 3.0}
    assert (feature.quantiles[0], feature.quantiles[-1]) == (feature.minimum, feature.maximum) == (1.0, 3.0)


def test_largest_numbers_have_quantiles() -> None:
    """Nothing is interpolated, so that nothing overflows between the ends of the doubles."""
    largest = float(np.finfo(np.float64).max)

    assert set(feature_of(-largest, largest).quantiles) == {-largest, largest}
