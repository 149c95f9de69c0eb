"""The gate between a trained version and ``live``, and rolling back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import PROVENANCE, abc_table

from service.errors import AliasNotFound, InvalidName, SingleClass, VersionNotFound
from service.serving.control_plane import ControlPlane, TrainingOutcome
from service.store.model_store import ModelStore
from service.tabular.table import Table
from service.training.options import Promotion, TrainingOptions
from service.training.request import TrainingRequest, data_with_target

NOW = datetime(2026, 3, 1, tzinfo=UTC)
EARLY: dict[str, Any] = {"solver": "gradient-descent", "max_iter": 1}


@pytest.fixture
def plane(tmp_path: Path) -> ControlPlane:
    """The write side over an empty store."""
    return ControlPlane(ModelStore(tmp_path / "store"), clock=lambda: NOW)


def train(plane: ControlPlane, promote: Promotion, table: Table | None = None, **options: Any) -> TrainingOutcome:
    data = data_with_target(table or abc_table(), "y")
    return plane.train(TrainingRequest("abc", data, TrainingOptions(**options), promote), PROVENANCE)


def live(plane: ControlPlane) -> int | None:
    entry = plane.store.aliases("abc").get("live")
    return None if entry is None else entry.version


@pytest.mark.parametrize(
    ("promote", "options", "promoted", "reason"),
    [
        ("certified", {}, True, "the fit is certified"),
        ("never", {}, False, "promotion was not asked for"),
        ("always", EARLY, True, "promotion was asked for in any case"),
        ("certified", EARLY, False, "the fit is not certified: budget spent"),
        ("if_better", EARLY, False, "the fit is not certified: budget spent"),
        ("if_better", {"validation_fraction": 0}, False, "no rows were held out to compare with the live version on"),
    ],
)
def test_the_gate(
    plane: ControlPlane, promote: Promotion, options: dict[str, Any], *, promoted: bool, reason: str
) -> None:
    """Each way of promoting lets through what it says, tells why, and always publishes."""
    train(plane, "certified")

    outcome = train(plane, promote, **options)

    assert (outcome.promoted, outcome.promotion) == (promoted, reason)
    assert live(plane) == (2 if promoted else 1)
    assert plane.store.versions("abc") == [1, 2]
    assert plane.store.aliases("abc")["live"].reason == (reason if promoted else "the fit is certified")


@pytest.mark.parametrize(("first", "second", "sign"), [(1e-4, 1.0, "<"), (1.0, 1e-4, ">="), (1.0, 1.0, ">=")])
def test_better_is_a_lower_log_loss_on_the_same_rows(
    plane: ControlPlane, first: float, second: float, sign: str
) -> None:
    """``if_better`` promotes on a lower held-out log-loss than the live version's; an equal one is not better."""
    train(plane, "certified", C=first)

    outcome = train(plane, "if_better", C=second)

    assert outcome.promoted == (sign == "<")
    assert f" {sign} " in outcome.promotion
    assert outcome.promotion.endswith("of version 1")
    assert live(plane) == (2 if outcome.promoted else 1)


def test_without_a_live_version_a_certified_fit_is_better(plane: ControlPlane) -> None:
    """``if_better`` has nothing to beat in an empty store."""
    assert train(plane, "if_better").promoted


def other_columns() -> Table:
    table = abc_table()
    return Table(("a", "b", "d", "y"), table.columns, table.n_rows)


def other_classes() -> Table:
    table = abc_table()
    named = np.where(table.column("y") == "yes", "ja", "nein").astype(object)
    return Table(table.names, (*table.columns[:3], named), table.n_rows)


@pytest.mark.parametrize("table", [other_columns(), other_classes()], ids=["columns", "classes"])
def test_what_cannot_be_compared_is_not_promoted(plane: ControlPlane, table: Table) -> None:
    """``if_better`` leaves a live version with other columns or classes where it is, and says so."""
    train(plane, "certified")

    outcome = train(plane, "if_better", table)

    assert not outcome.promoted
    assert "cannot be compared" in outcome.promotion


def test_a_damaged_live_version_is_replaced(plane: ControlPlane, tmp_path: Path) -> None:
    """A live version that does not load is no reason to keep a certified fit away."""
    train(plane, "certified")
    (tmp_path / "store" / "abc" / "versions" / "1" / "manifest.json").write_text("{}")

    assert train(plane, "if_better").promoted
    assert live(plane) == 2


def test_what_cannot_be_trained_publishes_nothing(plane: ControlPlane) -> None:
    """An error of the name or of the fit leaves the store as it was."""
    table = abc_table()
    single = Table(table.names, (*table.columns[:3], np.full(table.n_rows, "yes", dtype=object)), table.n_rows)
    data = data_with_target(table, "y")

    with pytest.raises(SingleClass):
        train(plane, "always", single)
    with pytest.raises(InvalidName):
        plane.train(TrainingRequest("../abc", data, TrainingOptions(), "always"), PROVENANCE)

    assert plane.store.names() == []


def test_phases_are_told_in_order(plane: ControlPlane) -> None:
    """``on_phase`` hears what begins, which the command line shows."""
    heard: list[str] = []
    request = TrainingRequest("abc", data_with_target(abc_table(), "y"), TrainingOptions(), "never")

    plane.train(request, PROVENANCE, on_phase=heard.append)

    assert heard == ["splitting", "fitting", "evaluating", "storing"]


def test_rollback_goes_to_the_version_before(plane: ControlPlane) -> None:
    """A rollback points the alias to what it pointed to before, and a second one back again."""
    train(plane, "certified")
    train(plane, "always")

    found = [plane.rollback("abc", "live").version for _ in range(2)]

    assert found == [1, 2]
    assert plane.store.history("abc")[-1].reason == "rollback"


def test_rollback_needs_a_version_before(plane: ControlPlane) -> None:
    """An alias that never moved has nowhere to go, and an unknown one is not found."""
    train(plane, "certified")

    with pytest.raises(VersionNotFound):
        plane.rollback("abc", "live")
    with pytest.raises(AliasNotFound):
        plane.rollback("abc", "champion")
