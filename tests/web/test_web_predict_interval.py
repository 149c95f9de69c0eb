"""``/predict_proba?interval=0.95``: what the answer carries, and when there is none."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import Client, MakeClient

from service.record import VersionDraft
from service.store.model_store import ModelStore

pytest_plugins = ("served",)

ROWS = [[0.1, -0.2, 0.3], [1.5, 2.0, -1e-3], [-3.0, 0.0, 7.25]]


def asked(client: Client, name: str, rows: Any, interval: str) -> dict[str, Any]:
    answer = client.post(f"/predict_proba?model={name}&interval={interval}", json=rows)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_two_classes_have_the_interval_of_their_logit(client: Client, trained_store: Path) -> None:
    """The limits of the second class are σ(logit ± 1.96 √(xᵀVx)) by hand; those of the first are their complements."""
    model = ModelStore(trained_store).load("abc", 1).model
    assert model.covariance is not None

    answer = asked(client, "abc", ROWS, "0.95")

    assert answer["interval"] == 0.95
    for row, limits in zip(ROWS, answer["intervals"], strict=True):
        x = np.array([*row, 1.0])
        z, half = x @ np.append(model.coef[0], model.intercept), 1.959963984540054 * math.sqrt(x @ model.covariance @ x)
        low, high = (1 / (1 + math.exp(-end)) for end in (z - half, z + half))
        assert limits == [pytest.approx([1 - high, 1 - low], rel=1e-9), pytest.approx([low, high], rel=1e-9)]


@pytest.mark.parametrize("name", ["abc", "iris", "breast-cancer", "penguins"])
def test_limits_hold_the_probability_and_widen_with_the_level(client: Client, name: str) -> None:
    """For each row and class 0 ≤ low ≤ p ≤ high ≤ 1, the more so the higher the level; nothing else in the answer changes."""
    example = client.get(f"/models/{name}/example").json()
    plain = client.post(f"/predict_proba?model={name}", json=example).json()

    narrow, wide = (asked(client, name, example, level) for level in ("0.5", "0.999"))

    limits = np.array([[wide["intervals"], narrow["intervals"]]])[0]
    shares = np.array(plain["probabilities"])
    assert limits.shape == (2, 1, len(plain["classes"]), 2)
    ordered = [
        np.zeros_like(shares),
        limits[0, ..., 0],
        limits[1, ..., 0],
        shares,
        limits[1, ..., 1],
        limits[0, ..., 1],
    ]
    assert (np.diff([*ordered, np.ones_like(shares)], axis=0) >= 0).all()
    assert (limits[0, ..., 0] < limits[0, ..., 1]).all()
    assert {key: value for key, value in wide.items() if not key.startswith("interval")} == plain


@pytest.mark.parametrize("name", ["abc", "iris"])
def test_rows_far_out_have_limits(client: Client, name: str) -> None:
    """A row whose variance overflows still has numbers between 0 and 1 for limits."""
    width = 3 if name == "abc" else 4

    answer = asked(client, name, [[1e200] * width, [-1.7e308] * width], "0.9")

    limits = np.array(answer["intervals"])
    assert ((limits >= 0) & (limits <= 1)).all()
    assert (limits[..., 0] <= limits[..., 1]).all()


@pytest.mark.parametrize(
    "level", ["0", "1", "95", "-0.5", "nan", "inf", "", "high", "1e-400", "0.99999999999999999999"]
)
def test_levels_outside_0_and_1_are_refused(client: Client, level: str) -> None:
    """A level is a number above 0 and below 1; the answer to another one names the parameter."""
    answer = client.post(f"/predict_proba?model=abc&interval={level}", json=ROWS)

    problem = client.check_problem(answer, 422, "invalid-parameter")
    assert problem["errors"][0]["pointer"] == "/interval"


def test_labels_have_no_interval(client: Client) -> None:
    """``/predict`` answers labels, and does not know the parameter."""
    answer = client.post("/predict?model=abc&interval=0.95", json=ROWS)

    client.check_problem(answer, 422, "unknown-field")


def test_a_version_without_covariance_says_so(store_copy: Path, make_client: MakeClient) -> None:
    """Versions that were stored without a covariance answer as ever, and to an interval 422 with the remedy."""
    store = ModelStore(store_copy)
    stored = store.load("abc", 1)
    draft = VersionDraft(**{field: getattr(stored.manifest, field) for field in VersionDraft.model_fields})
    manifest = store.put("old", draft, replace(stored.model, covariance=None), now=stored.manifest.created_at)
    client = make_client(store_copy)

    plain = client.post(f"/predict_proba?model=old/{manifest.version}", json=ROWS)
    answer = client.post(f"/predict_proba?model=old/{manifest.version}&interval=0.95", json=ROWS)

    assert plain.status_code == 200
    problem = client.check_problem(answer, 422, "invalid-parameter")
    assert "train anew" in problem["detail"]
