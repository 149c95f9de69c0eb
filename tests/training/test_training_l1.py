"""Training runs with ``l1_ratio``: what is fitted, what the record says, and what is not offered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from training_runs import A, B, Y, trained, trained_on

from service.errors import InvalidParameter
from service.linear.estimator import LogisticRegression
from service.training.options import parse_options

NOISE = np.random.default_rng(3).normal(size=(6, 80))
COLUMNS = {"a": A, "b": B, **{f"n{k}": column for k, column in enumerate(NOISE)}}


def test_the_penalty_removes_columns() -> None:
    """With L1 most columns that mean nothing have the coefficient 0, on the raw scale too, and the fit is certified."""
    run = trained({**COLUMNS, "a": 1000 * A + 5000}, l1_ratio=1.0, C=0.1)

    assert run.is_certified
    assert run.draft.certificate.solver == "prox-newton"
    assert run.model.coef[0, 0] != 0
    assert np.count_nonzero(run.model.coef == 0) >= 4


def test_the_fit_is_that_of_the_estimator() -> None:
    """The run is ``LogisticRegression`` with this l1_ratio on the standardised training columns."""
    run = trained({"a": A, "b": B}, l1_ratio=0.5, C=0.2, validation_fraction=0)

    X = np.column_stack([A, B])
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    peer = LogisticRegression(C=0.2, l1_ratio=0.5).fit(scaled, Y)
    np.testing.assert_allclose(run.model.coef, peer.coef_ / X.std(axis=0), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"l1_ratio": 1.0, "C": 0.5}, "L1 with C = 0.5, on standardised columns, the intercept free"),
        ({"l1_ratio": 0.25, "C": 0.5}, "elastic net (0.25 of it L1) with C = 0.5, on standardised columns"),
        ({"l1_ratio": 1.0}, "L1 with C = 1, leave-one-out being for L2 alone, on standardised columns"),
        ({"l1_ratio": 1.0, "C": "inf"}, "none"),
    ],
)
def test_the_record_names_the_penalty(options: dict[str, Any], words: str) -> None:
    """The record says which penalty it was; C is chosen for L2 alone, and without a penalty the ratio does not matter."""
    record = trained({"a": A, "b": B}, **options).draft.training

    assert record.penalty.startswith(words)
    assert record.strength_path == ()
    assert record.options["l1_ratio"] == options["l1_ratio"]


def test_what_rests_on_a_smooth_optimum_is_left_out() -> None:
    """Standard errors and leave-one-out figures are not told of an L1 fit."""
    run = trained_on("iris", l1_ratio=1.0, C=1.0)

    assert run.is_certified
    assert run.model.standard_errors is None
    assert run.model.covariance is None
    assert run.draft.training.leave_one_out is None
    assert (run.model.coef == 0).any()


def test_another_solver_is_refused() -> None:
    """A solver that knows no L1 penalty is refused, with the option's name and the remedy."""
    with pytest.raises(InvalidParameter, match="prox-newton") as caught:
        trained({"a": A, "b": B}, l1_ratio=0.5, solver="newton")

    assert caught.value.errors[0].pointer == "/options/solver"


@pytest.mark.parametrize("value", [-0.1, 1.1, "half"])
def test_a_ratio_is_from_0_to_1(value: object) -> None:
    """Anything else is refused by name."""
    with pytest.raises(InvalidParameter, match="l1_ratio"):
        parse_options({"l1_ratio": value})
