"""Separation is told with a witness, a witness is checked exactly, and what is not proved is "undecided"."""

from __future__ import annotations

import math

import numpy as np
import pytest

from service.errors import SeparationError
from service.linear.columns import DenseColumns
from service.linear.columns.arrays import Index, Matrix
from service.linear.estimator import LogisticRegression
from service.linear.separation import rounded_direction, verdict

RNG = np.random.default_rng(4)
BORDER = np.append(np.linspace(-1, 0, 20), np.linspace(0, 1, 20))[:, None]


def with_telltale(n_classes: int) -> tuple[Matrix, Index]:
    """Noise, and a rare dummy that is 1 in rows of the last class only."""
    X, y, dummy = RNG.normal(size=(200, 2)), RNG.integers(0, n_classes, 200), np.zeros((200, 1))
    dummy[:7], y[:7] = 1.0, n_classes - 1
    return np.hstack([X, dummy]), y


def on_a_combination() -> tuple[Matrix, Index]:
    """The sign of x0 - 2 x1 is the class; where it is 0, either."""
    X = RNG.integers(-3, 4, size=(200, 2)).astype(np.float64)
    side = X[:, 0] - 2 * X[:, 1]
    return X, np.where(side == 0, RNG.integers(0, 2, 200), side > 0).astype(np.intp)


QUASI: dict[str, tuple[tuple[Matrix, Index], list[list[float]]]] = {
    "a border": ((BORDER, (np.arange(40) >= 20).astype(np.intp)), [[1.0, 0.0]]),
    "a telltale dummy": (with_telltale(2), [[0.0, 0.0, 1.0, 0.0]]),
    "a telltale dummy, 3 classes": (with_telltale(3), [[0, 0, -1.0, 0], [0, 0, -1.0, 0], [0, 0, 0, 0]]),
    "a combination": (on_a_combination(), [[0.5, -1.0, 0.0]]),
}


@pytest.mark.parametrize("name", QUASI)
def test_quasi_separation_has_its_witness(name: str) -> None:
    """Quasi-separated data without a penalty are refused with the direction that proves it, in raw columns."""
    (X, y), expected = QUASI[name]

    with pytest.raises(SeparationError, match="quasi") as caught:
        LogisticRegression(C=math.inf).fit(X * 8.0 + 16.0 * (name == "a telltale dummy"), y)

    witness = np.array(caught.value.witness)
    if name != "a telltale dummy":
        np.testing.assert_array_equal(witness, np.array(expected))
    assert np.flatnonzero(witness[0, :-1]).tolist() == np.flatnonzero(expected[0][:-1]).tolist()


@pytest.mark.parametrize("n_classes", [2, 3])
def test_complete_separation_has_its_witness(n_classes: int) -> None:
    """The witness of completely separated data has every row strictly on its own side."""
    centres = 10.0 * np.array([[0, 1], [1, -1], [-1, -1]])
    y = np.arange(60) % n_classes
    X = centres[y] + RNG.normal(size=(60, 2))

    with pytest.raises(SeparationError, match="complete") as caught:
        LogisticRegression(C=math.inf).fit(X, y)

    assert verdict(DenseColumns(X), y, np.array(caught.value.witness)) == "complete"


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        ([[1.0, 0.0]], "complete"),
        ([[-1.0, 0.0]], None),
        ([[0.0, 0.0]], None),
        ([[1.0, -1.0]], "quasi"),
        ([[1.0, -1.5]], None),
    ],
)
def test_a_direction_proves_what_it_proves(direction: list[list[float]], expected: str | None) -> None:
    """Rows at -1 and 1 are completely separated by 0, quasi by a border on a row, and not by anything else."""
    X, y = np.array([[-1.0], [1.0]]), np.array([0, 1])

    assert verdict(DenseColumns(X), y, np.array(direction)) == expected


def test_rounding_does_not_decide() -> None:
    """A margin of one unit in the last place is told from 0 by fractions, on either side."""
    tiny = 2.0**-52
    y = np.array([0, 0, 1])

    assert verdict(DenseColumns(np.array([[-1.0], [1.0], [1.0]])), y, np.array([[1.0, -1.0]])) == "quasi"
    assert verdict(DenseColumns(np.array([[-1.0], [1.0 + tiny], [1.0 + 3 * tiny]])), y, np.array([[1.0, -1.0]])) is None
    assert (
        verdict(DenseColumns(np.array([[-1.0], [1.0 - tiny], [1.0 + tiny]])), y, np.array([[1.0, -1.0]])) == "complete"
    )


def test_directions_are_rounded_to_small_fractions() -> None:
    """The largest coordinate becomes 1, small fractions are hit exactly, what is rounding becomes 0."""
    rounded = rounded_direction(np.array([[3.0, 1.0 + 1e-12, -1e-11, 1.5]]))

    assert rounded.tolist() == [[1.0, 1 / 3, 0.0, 0.5]]
    assert not rounded_direction(np.zeros((1, 3))).any()
    assert not rounded_direction(np.array([[math.inf, 1.0]])).any()
