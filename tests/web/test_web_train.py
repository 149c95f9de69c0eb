"""``/train``: what a good request gets, when the new version becomes live, and what happens to a repeat."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import PROVENANCE, Client, MakeClient, train_into

from service.serving.control_plane import ControlPlane
from service.store.model_store import ModelStore
from service.tabular.limits import Limits
from service.tabular.table import Table
from service.training.request import request_from_csv, request_from_json

pytest_plugins = ("served",)

RNG = np.random.default_rng(11)
X = np.round(RNG.normal(size=(60, 2)), 3).tolist()
Y = ["yes" if row[0] + 0.7 * noise > 0 else "no" for row, noise in zip(X, RNG.normal(size=60), strict=True)]
BODY: dict[str, Any] = {"model": "churn", "instances": X, "targets": Y, "feature_names": ["age", "visits"]}
CSV = "age,visits,churned\n" + "".join(f"{a},{b},{label}\n" for (a, b), label in zip(X, Y, strict=True))
SEPARATED = {"model": "apart", "instances": [[float(i)] for i in range(20)], "targets": [0] * 10 + [1] * 10}
ROW = [[0.5, 0.5]]


@pytest.fixture
def training(make_client: MakeClient, store_copy: Path) -> Client:
    """The application over a store of its own."""
    return make_client(store_copy)


def test_json_is_trained_published_and_served(training: Client) -> None:
    """201 with the fields of the contract; Location resolves; the next prediction is by the new version."""
    answer = training.post("/train", json=BODY)

    body = answer.json()
    assert answer.status_code == 201, answer.text
    assert answer.content.endswith(b"}\n")
    assert answer.headers["location"] == "/models/churn/versions/1"
    assert answer.headers["model-version"] == "churn/1"
    assert (body["model"], body["version"], body["promoted"]) == ("churn", 1, True)
    assert body["promotion"] == "the fit is certified"
    assert body["certificate"]["status"] == "optimal"
    assert body["certificate"]["gap_relative"] <= 1e-10
    assert body["metrics"]["training"]["rows"] + body["metrics"]["held_out"]["rows"] == 60
    assert [entry["name"] for entry in body["coefficients"]] == ["age", "visits", "(intercept)"]
    assert body["warnings"] == []
    stored = training.get(answer.headers["location"]).json()
    assert stored["coefficients"] == body["coefficients"]
    assert stored["provenance"]["command"] == "POST /train"
    predicted = training.post("/predict?model=churn", json=ROW)
    assert (predicted.status_code, predicted.headers["model-version"]) == (200, "churn/1")


def test_csv_and_json_train_the_same_model(training: Client) -> None:
    """The same rows as CSV, with model, target and options in the query, give the same coefficients as version 2."""
    first = training.post("/train", json={**BODY, "options": {"C": 2.0, "seed": 3}}).json()

    second = training.post(
        "/train?model=churn&target=churned&C=2.0&seed=3", content=CSV, headers={"content-type": "text/csv"}
    ).json()

    assert (first["version"], second["version"]) == (1, 2)
    assert second["coefficients"] == first["coefficients"]
    assert second["metrics"] == first["metrics"]
    assert training.post("/predict?model=churn", json=ROW).json()["version"] == 2


def test_a_repeat_with_the_same_key_is_the_same_answer(training: Client) -> None:
    """T18: the same Idempotency-Key and body repeat the answer byte for byte; another body is 422.

    A failure is not remembered: the next try with the same key is a try, which is what the key is for.
    """
    key = {"Idempotency-Key": "order-66"}
    first = training.post("/train", json=BODY, headers=key)

    again = training.post("/train", json=BODY, headers=key)
    other = training.post("/train", json={**BODY, "promote": False}, headers=key)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    training.check_problem(other, 422, "idempotency-mismatch")
    assert training.get("/models/churn").json()["versions"] == [1]


def test_an_uncertified_fit_is_published_but_not_live(training: Client) -> None:
    """T14, T29: a fit that stopped early is 201 with its warning, and does not become live by itself."""
    early = {**BODY, "model": "abc", "options": {"solver": "gradient-descent", "max_iter": 1}}

    body = training.post("/train", json=early).json()

    assert (body["version"], body["promoted"]) == (2, False)
    assert "not certified" in body["promotion"]
    assert "not-converged" in body["warnings"]
    assert training.post("/predict?model=abc", json=[[1, 2, 3]]).json()["version"] == 1


def test_an_l1_penalty_over_http(training: Client) -> None:
    """``l1_ratio`` fits an L1 penalty: certified, live, zeros exact, no standard errors."""
    body = training.post("/train", json={**BODY, "options": {"l1_ratio": 1.0, "C": 0.05}}).json()

    assert body["promoted"]
    assert body["certificate"]["solver"] == "prox-newton"
    assert body["penalty"].startswith("L1 with C = 0.05")
    assert 0.0 in [entry["value"] for entry in body["coefficients"]]
    assert {entry["standard_error"] for entry in body["coefficients"]} == {None}


def test_separation_is_told_or_refused(training: Client) -> None:
    """T3: separated classes are 422 without a penalty, 201 with a warning and finite numbers with one."""
    refused = training.post("/train", json={**SEPARATED, "options": {"C": "inf"}})
    trained = training.post("/train", json=SEPARATED)

    training.check_problem(refused, 422, "separation")
    assert trained.status_code == 201
    assert trained.json()["warnings"] == ["separation"]
    assert all(abs(entry["value"]) < 100 for entry in trained.json()["coefficients"])


def test_a_job_goes_on_when_its_client_leaves(training: Client) -> None:
    """T19: a client that disconnects after its request does not stop the training; the version is published."""
    status, _ = training.raw("POST", "/train", b'{"model": "left", "instances": [[1], [2], [3]], "targets": [0, 1, 0]}')

    assert status == 201
    assert training.get("/models/left").json()["versions"] == [1]


@pytest.mark.parametrize(
    ("rows", "warnings"),
    [
        ([[row[0], 5.0] for row in X], ("constant-column",)),  # T2
        ([[row[0], row[0]] for row in X], ("collinear",)),  # T5
        ([[row[0] * 1e-300, row[1] * 1e300] for row in X], ()),  # T12
    ],
)
def test_odd_columns_are_fitted_with_a_warning(
    tmp_path: Path, rows: list[list[float]], warnings: tuple[str, ...]
) -> None:
    """Constant, repeated and wildly scaled columns give finite coefficients, and a warning where there is a reason."""
    columns = [*np.array(rows).T, np.array(Y, dtype=object)]

    train_into(tmp_path, "odd", Table(("p", "q", "y"), tuple(columns), len(Y)), "y")

    stored = ModelStore(tmp_path).load("odd", 1)
    assert np.isfinite(stored.model.coef).all()
    assert stored.manifest.warnings == warnings


def test_fewer_rows_than_columns_need_the_penalty(tmp_path: Path) -> None:
    """T4: three rows of fifty columns are fitted with a penalty, and the fit is certified."""
    columns = [*RNG.normal(size=(50, 3)), np.array(["a", "b", "a"], dtype=object)]
    names = (*(f"x{index}" for index in range(50)), "y")

    train_into(tmp_path, "wide", Table(names, tuple(columns), 3), "y")

    assert ModelStore(tmp_path).aliases("wide")["live"].version == 1


def test_a_class_without_weight_is_not_there(tmp_path: Path) -> None:
    """T27: rows of weight 0 count for nothing, so a class of such rows only is no class of the model."""
    targets = [*Y[:-6], *["maybe"] * 6]
    weights = [float(label != "maybe") for label in targets]
    body = json.dumps({**BODY, "targets": targets, "sample_weight": weights}).encode()

    trained = ControlPlane(ModelStore(tmp_path), lambda: datetime.now(UTC)).train(
        request_from_json(body, Limits()), PROVENANCE
    )

    assert trained.manifest.classes == ("no", "yes")
    assert trained.promoted


def test_names_that_mean_something_elsewhere_are_names(training: Client) -> None:
    """T26: ``__proto__`` is a column like any other: here no object has a prototype, and JSON.parse makes it a member."""
    records = [dict(zip(("__proto__", "constructor"), row, strict=True)) for row in X]

    trained = training.post("/train", json={"model": "odd", "instances": records, "targets": Y})
    predicted = training.post("/predict?model=odd", json=records[0])

    assert trained.status_code == 201
    assert predicted.status_code == 200


def test_a_summary_does_not_steer_a_terminal(training: Client) -> None:
    """What is no printable character in a category is escaped in the text, and is itself in JSON."""
    rows = [["\x1b[2J\n" if row[0] > 0 else "plain", row[1]] for row in X]

    training.post("/train", json={"model": "odd", "instances": rows, "targets": Y})
    text = training.get("/models/odd/versions/1/summary").text
    names = [entry["name"] for entry in training.get("/models/odd/versions/1").json()["coefficients"]]

    assert "x0=\x1b[2J\n" in names
    assert "x0=\\x1b[2J\\n" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("word", "meaning"), [(True, "certified"), (False, "never"), ("if_better", "if_better"), ("always", "always")]
)
def test_promote_has_four_values(word: object, meaning: str) -> None:
    """``promote`` is the same in JSON and in the query of a CSV; without it a certified fit becomes live."""
    text = str(word).lower() if isinstance(word, bool) else str(word)

    from_json = request_from_json(json.dumps({**BODY, "promote": word}).encode(), Limits())
    from_csv = request_from_csv(CSV.encode(), {"model": "churn", "target": "churned", "promote": text}, Limits())
    silent = request_from_json(json.dumps(BODY).encode(), Limits())

    assert from_json.promote == from_csv.promote == meaning
    assert silent.promote == "certified"
