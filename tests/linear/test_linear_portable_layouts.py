"""The memory that rows, labels and weights lie in is not changed by a fit, and changes no bit of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pytest
from portable import OPTIMAL, bits, cases, every_solver, fit, two_or_three_classes
from problems import drawn

from service import LogisticRegression
from service.linear.columns.arrays import Matrix

Layout: TypeAlias = Callable[[Matrix, Path], Any]


def mapped(array: Any, folder: Path, mode: Any = "r") -> Any:
    """The array as a file that is mapped into memory."""
    path = folder / f"{array.dtype}-{array.size}.bin"
    array.tofile(path)
    return np.memmap(path, dtype=array.dtype, mode=mode, shape=array.shape)


def read_only(array: Any) -> Any:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def unaligned(X: Matrix, _: Path) -> Matrix:
    shifted: Matrix = np.ndarray(X.shape, X.dtype, buffer=bytearray(X.nbytes + 1), offset=1)
    shifted[:] = X
    return shifted


LAYOUTS: dict[str, Layout] = {
    "read-only": lambda X, _: read_only(X),
    "mapped": mapped,
    "mapped copy-on-write": lambda X, folder: mapped(X, folder, "c"),
    "every other row": lambda X, _: X.repeat(2, axis=0)[::2],
    "every third column": lambda X, _: X.repeat(3, axis=1)[:, 1::3],
    "backwards": lambda X, _: X[::-1, ::-1].copy()[::-1, ::-1],
    "a part of wider rows": lambda X, _: np.pad(X, ((3, 2), (1, 4)))[3:-2, 1:-4],
    "big-endian": lambda X, _: X.astype(">f8"),
    "lists": lambda X, _: X.tolist(),
}
BY_COLUMN: dict[str, Layout] = {
    "Fortran": lambda X, _: np.asfortranarray(X),
    "transposed": lambda X, _: X.T.copy().T,
    "mapped Fortran": lambda X, folder: mapped(X.T.copy(), folder).T,
    "data frame": lambda X, _: pd.DataFrame(X),
}
# Columns as they are, and columns so far from 0 that the fit brings them to scale first.
SHIFTS = {"near": 0.0, "far": 1000.0}
every_shift = pytest.mark.parametrize("shift", cases(SHIFTS))


@two_or_three_classes
@every_solver
@every_shift
@pytest.mark.parametrize("layout", cases(LAYOUTS))
def test_the_layout_of_rows_changes_no_bit(layout: Layout, shift: float, solver: str, K: int, tmp_path: Path) -> None:
    """Rows in any order of memory give the bits of rows one after another, the covariance included."""
    X, y = drawn(120, 4, K, seed=6)

    model = fit(layout(X + shift, tmp_path), y, solver=solver, covariance="observed")

    assert bits(model) == bits(fit(X + shift, y, solver=solver, covariance="observed"))


@two_or_three_classes
@every_solver
@pytest.mark.parametrize("shift", cases(SHIFTS))
@pytest.mark.parametrize("layout", cases(BY_COLUMN))
def test_columns_one_after_another_change_no_bit(
    layout: Layout, shift: float, solver: str, K: int, tmp_path: Path
) -> None:
    """Rows that lie in memory by column give the bits of those that lie by row."""
    X, y = drawn(120, 4, K, seed=6)

    model = fit(layout(X + shift, tmp_path), y, solver=solver, covariance="observed")

    assert bits(model) == bits(fit(X + shift, y, solver=solver, covariance="observed"))


@pytest.mark.parametrize("solver", OPTIMAL)
def test_an_odd_address_changes_no_bit(solver: str, tmp_path: Path) -> None:
    """Rows that start between two doubles give the bits of rows that do not."""
    X, y = drawn(120, 4, seed=6)

    model = fit(unaligned(X, tmp_path), y, solver=solver)

    assert bits(model) == bits(fit(X, y, solver=solver))


@pytest.mark.parametrize("layout", cases({**LAYOUTS, **BY_COLUMN, "unaligned": unaligned}))
def test_the_layout_of_rows_changes_no_prediction(layout: Layout, tmp_path: Path) -> None:
    """The same rows get the same labels, and probabilities to the rounding of a dot product, in any layout."""
    X, y = drawn(120, 4, 3, seed=6)
    model = fit(X, y)

    laid_out = layout(X, tmp_path)

    np.testing.assert_array_equal(model.predict(laid_out), model.predict(X))
    np.testing.assert_allclose(model.predict_proba(laid_out), model.predict_proba(X), rtol=1e-13)


SIDES: dict[str, Callable[[Any, Path], Any]] = {
    "read-only": lambda array, _: read_only(array),
    "mapped": mapped,
    "every other": lambda array, _: array.repeat(2)[::2],
    "backwards": lambda array, _: array[::-1].copy()[::-1],
    "lists": lambda array, _: array.tolist(),
    "series": lambda array, _: pd.Series(array),
    "big-endian": lambda array, _: array.astype(array.dtype.newbyteorder(">")),
}


@two_or_three_classes
@every_solver
@pytest.mark.parametrize("layout", cases(SIDES))
def test_the_layout_of_labels_and_weights_changes_no_bit(
    layout: Callable[[Any, Path], Any], solver: str, K: int, tmp_path: Path
) -> None:
    """Labels and weights may lie in memory as they like too."""
    X, y = drawn(120, 4, K, seed=6)
    s = np.random.default_rng(6).uniform(0.1, 3.0, 120)

    model = fit(X, layout(y, tmp_path), layout(s, tmp_path), solver=solver)

    assert bits(model) == bits(fit(X, y, s, solver=solver))


@two_or_three_classes
@every_solver
@every_shift
@pytest.mark.parametrize("options", [{}, {"class_weight": "balanced"}, {"warm_start": True, "covariance": "hc0"}])
def test_a_fit_changes_nothing_that_it_is_given(options: dict[str, Any], shift: float, solver: str, K: int) -> None:
    """Rows, labels and weights are the same bytes after fit, prediction and score."""
    X, y = drawn(60, 4, K, seed=6)
    X, s = X + shift, np.random.default_rng(6).integers(0, 3, 60).astype(np.float64)
    before = X.tobytes(), y.tobytes(), s.tobytes()

    model = LogisticRegression(solver=solver, **options).fit(X, y, s)
    model.predict_log_proba(X)
    model.score(X, y, s)
    model.fit(X, y, s)

    assert (X.tobytes(), y.tobytes(), s.tobytes()) == before


@every_shift
def test_a_fit_keeps_no_view_of_the_rows(shift: float) -> None:
    """Overwriting rows, labels and weights after the fit changes no prediction."""
    X, y = drawn(60, 4, 3, seed=6)
    X, s, rows = X + shift, np.ones(60), X[:5] + shift
    model = fit(X, y, s)
    before = model.predict_proba(rows)

    X[:], y[:], s[:] = 0.0, 0, 7.0

    np.testing.assert_array_equal(model.predict_proba(rows), before)
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])
