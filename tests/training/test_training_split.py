"""Which rows are held out."""

from __future__ import annotations

import numpy as np
import pytest

from service.training.split import stratified_split

LABELS = np.repeat(["common", "rare", "single"], [40, 10, 1])


@pytest.mark.parametrize("fraction", [0.0, 0.2, 0.5, 0.9])
def test_every_row_is_on_one_side(fraction: float) -> None:
    """Training and held-out rows are ascending, share no row, and leave none out."""
    training, held_out = stratified_split(LABELS, fraction, np.random.default_rng(0))

    assert sorted([*training, *held_out]) == list(range(len(LABELS)))
    assert (np.diff(training) > 0).all()
    assert (np.diff(held_out) > 0).all()


def test_each_class_gives_its_share() -> None:
    """Of a class with m rows, round(m · fraction) are held out; a class of one row stays in training."""
    _, held_out = stratified_split(LABELS, 0.25, np.random.default_rng(0))

    assert {label: int((LABELS[held_out] == label).sum()) for label in ("common", "rare", "single")} == {
        "common": 10,
        "rare": 2,
        "single": 0,
    }


def test_no_class_is_held_out_as_a_whole() -> None:
    """Where rounding would take all rows of a class, one stays in training."""
    training, held_out = stratified_split(np.array([0, 0, 1, 1]), 0.9, np.random.default_rng(0))

    assert len(held_out) == 2
    assert sorted(np.array([0, 0, 1, 1])[training]) == [0, 1]


def test_seed_decides() -> None:
    """The same seed gives the same rows, another seed others."""
    splits = [stratified_split(LABELS, 0.3, np.random.default_rng(seed))[1].tolist() for seed in (7, 7, 8)]

    assert splits[0] == splits[1] != splits[2]


def test_nothing_is_held_out_at_zero() -> None:
    """The fraction 0 keeps all rows for training."""
    training, held_out = stratified_split(LABELS, 0.0, np.random.default_rng(0))

    assert len(training) == len(LABELS)
    assert len(held_out) == 0
