"""``/models…``: what is stored, where aliases point, and moving them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from asking import Client, MakeClient, abc_table, train_into

pytest_plugins = ("served",)

MODELS = ["abc", "breast-cancer", "iris", "penguins"]
IRIS = "/models/iris"
ALIAS = f"{IRIS}/aliases/champion"
ROW = [[1.0, 2.0, 3.0]]


@pytest.fixture
def writing(make_client: MakeClient, store_copy: Path) -> Client:
    """The application over a store of its own, in which abc has two versions, the first of them live."""
    train_into(store_copy, "abc", abc_table(), "y", C=0.01, promote="never")
    return make_client(store_copy)


def test_the_list_has_every_model_with_its_headline(client: Client) -> None:
    """``GET /models`` names each model with versions, aliases and the live version's quality."""
    body = client.get("/models").json()

    assert [line["name"] for line in body["models"]] == MODELS
    assert body["next"] is None
    assert all(line["versions"] == [1] and line["aliases"] == {"live": 1} for line in body["models"])
    assert body["models"][0]["metrics"].keys() == {"on", "rows", "accuracy", "log_loss"}


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 1000])
def test_the_list_comes_in_pages(client: Client, limit: int) -> None:
    """Following ``next`` from page to page gives every model once, in order."""
    found, target = [], f"/models?limit={limit}"

    while target:
        page = client.get(target).json()
        assert len(page["models"]) <= limit
        found += [line["name"] for line in page["models"]]
        target = page["next"]

    assert found == MODELS


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=1001", "limit=x", "limit=1.5", "limit=9999999999", "limit="]
)
def test_a_page_has_from_1_to_1000_models(client: Client, query: str) -> None:
    """A limit that is no whole number from 1 to 1000 is 422."""
    client.check_problem(client.get(f"/models?{query}"), 422, "invalid-parameter")


def test_a_damaged_model_does_not_hide_the_others(writing: Client, store_copy: Path) -> None:
    """The list tells the problem of a model whose files are damaged, and still has the rest."""
    (store_copy / "iris" / "aliases.json").write_text("{}")
    (store_copy / "abc" / "versions" / "1" / "manifest.json").write_text("{}")

    answer = writing.get("/models")

    assert answer.status_code == 200
    lines = {line["name"]: line for line in answer.json()["models"]}
    assert list(lines) == MODELS
    assert "problem" in lines["iris"]
    assert "problem" in lines["abc"]
    assert "problem" not in lines["penguins"]


def test_a_model_tells_its_history(writing: Client) -> None:
    """``GET /models/{m}`` has versions, aliases, and each move of an alias with its reason."""
    writing.put("/models/abc/aliases/live", json={"version": 2, "reason": "smaller"})

    body = writing.get("/models/abc").json()

    assert (body["name"], body["versions"]) == ("abc", [1, 2])
    assert body["aliases"]["live"]["version"] == 2
    assert [(entry["version"], entry["previous"]) for entry in body["history"]] == [(1, None), (2, 1)]
    assert body["history"][1]["reason"] == "smaller"


@pytest.mark.parametrize("version", ["1", "live"])
def test_a_version_is_its_manifest_with_coefficients(client: Client, version: str) -> None:
    """By number or alias: schema, certificate, metrics, provenance, and coefficients with standard errors."""
    answer = client.get(f"{IRIS}/versions/{version}")

    body = answer.json()
    assert answer.headers["model-version"] == "iris/1"
    assert {"schema", "classes", "certificate", "metrics", "training", "provenance", "created_at"} <= body.keys()
    assert len(body["coefficients"]) == 3 * 5
    assert all(entry["standard_error"] > 0 for entry in body["coefficients"])


@pytest.mark.parametrize(
    ("path", "status", "slug"),
    [
        ("/models/nope", 404, "model-not-found"),
        ("/models/nope/example", 404, "model-not-found"),
        ("/models/nope/versions/1", 404, "model-not-found"),
        ("/models/nope/versions/1/summary", 404, "model-not-found"),
        ("/models/nope/aliases/live", 404, "model-not-found"),
        (f"{IRIS}/versions/2", 404, "version-not-found"),
        (f"{IRIS}/versions/champion", 404, "version-not-found"),
        (f"{IRIS}/versions/{'9' * 30}", 404, "version-not-found"),
        *((f"{IRIS}/versions/{text}", 422, "invalid-version") for text in ("0", "-1", "1.0", "01", "+1", "1e3")),
        (f"{IRIS}/versions/LIVE", 422, "invalid-name"),
        (f"{IRIS}/aliases/champion", 404, "alias-not-found"),
        *((f"{IRIS}/aliases/{text}", 422, "invalid-name") for text in ("7", "versions", "Live", "a b")),
        ("/models/iris/diff", 404, "route-not-found"),
        ("/models/iris/", 404, "route-not-found"),
        ("/models?page=2", 422, "unknown-field"),
        ("/models/iris?x=1", 422, "unknown-field"),
    ],
)
def test_what_is_not_there_is_told(client: Client, path: str, status: int, slug: str) -> None:
    """Unknown models, versions and aliases are 404, malformed ones 422; ``diff`` comes later."""
    client.check_problem(client.get(path), status, slug)


def test_the_summary_can_be_recomputed(client: Client) -> None:
    """z is coefficient over standard error, P>|z| its two-sided normal tail, the interval 1.96 errors; last the bias."""
    text = client.get("/models/abc/versions/live/summary").text
    entries = client.get("/models/abc/versions/1").json()["coefficients"]

    assert "under a penalty" in text.lower()
    for entry in entries:
        value, error = entry["value"], entry["standard_error"]
        shown = next(line for line in text.splitlines() if line.startswith(entry["name"] + " ")).split()[1:]
        z = value / error
        expected = [
            value,
            error,
            z,
            math.erfc(abs(z) / math.sqrt(2)),
            value - 1.959964 * error,
            value + 1.959964 * error,
            entry["shrinkage_bias"],
        ]
        assert [float(cell) for cell in shown] == pytest.approx(expected, rel=1e-3, abs=6e-4)


@pytest.mark.parametrize("name", MODELS)
def test_the_example_works(client: Client, name: str) -> None:
    """The body that ``/models/{m}/example`` gives is answered by both prediction routes of the model."""
    example = client.get(f"/models/{name}/example").json()

    for path in ("/predict", "/predict_proba"):
        assert client.post(f"{path}?model={name}", json=example).status_code == 200


def test_an_alias_moves_and_rolls_back_by_the_same_verb(writing: Client) -> None:
    """PUT moves an alias; the next prediction follows; PUT of the old version rolls it back."""
    before = writing.post("/predict_proba?model=abc", json=ROW)

    moved = writing.put("/models/abc/aliases/live", json={"version": 2})
    during = writing.post("/predict_proba?model=abc", json=ROW)
    writing.put("/models/abc/aliases/live", json={"version": 1, "reason": "rollback"})
    after = writing.post("/predict_proba?model=abc", json=ROW)

    assert moved.json()["version"] == 2
    assert [answer.json()["version"] for answer in (before, during, after)] == [1, 2, 1]
    assert during.json()["probabilities"] != before.json()["probabilities"]
    assert after.content == before.content


def test_if_match_guards_a_move(writing: Client) -> None:
    """A PUT with the ETag that was read succeeds once; the tag is spent by it."""
    created = writing.put(ALIAS, json={"version": 1}, headers={"If-None-Match": "*"})
    tag = writing.get(ALIAS).headers["etag"]

    first = writing.put(ALIAS, json={"version": 1}, headers={"If-Match": tag})
    second = writing.put(ALIAS, json={"version": 1}, headers={"If-Match": tag})
    again = writing.put(ALIAS, json={"version": 1}, headers={"If-None-Match": "*"})

    assert created.headers["etag"] == tag
    assert (created.status_code, first.status_code) == (200, 200)
    assert first.headers["etag"] != tag
    writing.check_problem(second, 412, "precondition-failed")
    writing.check_problem(again, 412, "precondition-failed")
    assert writing.get(ALIAS).headers["etag"] == first.headers["etag"]


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        (b"", 400, "invalid-json"),
        (b"[1]", 422, "wrong-type"),
        (b"{}", 422, "wrong-type"),
        (b'{"version": 0}', 422, "wrong-type"),
        (b'{"version": true}', 422, "wrong-type"),
        (b'{"version": "1"}', 422, "wrong-type"),
        (b'{"version": 1.0}', 422, "wrong-type"),
        (b'{"version": 1, "reason": 5}', 422, "wrong-type"),
        (b'{"version": 1, "why": ""}', 422, "unknown-field"),
        (b'{"version": 1, "reason": "' + b"x" * 1001 + b'"}', 422, "invalid-parameter"),
        (b'{"version": 2}', 404, "version-not-found"),
        (b'{"version": 1' + b"0" * 30 + b"}", 404, "version-not-found"),
    ],
)
def test_a_bad_move_moves_nothing(writing: Client, body: bytes, status: int, slug: str) -> None:
    """What cannot be a move of an alias is refused, and the alias is not created."""
    answer = writing.put(ALIAS, content=body)

    writing.check_problem(answer, status, slug)
    assert writing.get(ALIAS).status_code == 404


@pytest.mark.parametrize("tag", ["5", '"x"', 'W/"1"', "*", '""'])
def test_if_match_must_be_an_etag(writing: Client, tag: str) -> None:
    """An If-Match that no alias ever had is 422."""
    writing.check_problem(writing.put(ALIAS, json={"version": 1}, headers={"If-Match": tag}), 422, "invalid-parameter")


def test_an_alias_may_begin_with_a_digit(writing: Client) -> None:
    """An alias such as 2026-q1 or 1.0 is found where versions are, too."""
    for alias in ("2026-q1", "1.0"):
        assert writing.put(f"{IRIS}/aliases/{alias}", json={"version": 1}).status_code == 200

        assert writing.get(f"{IRIS}/versions/{alias}").json()["version"] == 1
        assert writing.post(f"/predict?model=iris@{alias}", json=[[5, 3, 1, 0]]).status_code == 200


def test_deleting_a_version(writing: Client) -> None:
    """DELETE removes a version that no alias uses, also one that answered before; one in use is 409."""
    assert writing.post("/predict?model=abc/2", json=ROW).status_code == 200

    in_use = writing.delete("/models/abc/versions/1")
    gone = writing.delete("/models/abc/versions/2")

    writing.check_problem(in_use, 409, "version-in-use")
    assert (gone.status_code, gone.content) == (204, b"")
    writing.check_problem(writing.delete("/models/abc/versions/2"), 404, "version-not-found")
    writing.check_problem(writing.post("/predict?model=abc/2", json=ROW), 404, "version-not-found")
    writing.check_problem(writing.delete("/models/abc/versions/live"), 422, "invalid-version")
    writing.check_alive()


@pytest.mark.parametrize(
    "headers", [{"If-None-Match": '"1"'}, {"If-None-Match": ""}, {"If-None-Match": "*", "If-Match": '"1"'}], ids=str
)
def test_a_condition_is_never_passed_over(writing: Client, headers: dict[str, str]) -> None:
    """An If-None-Match that is not *, and one beside If-Match, are 422, and nothing is created."""
    answer = writing.put(ALIAS, json={"version": 1}, headers=headers)

    writing.check_problem(answer, 422, "invalid-parameter")
    assert writing.get(ALIAS).status_code == 404


@pytest.mark.parametrize(("method", "path"), [("PUT", ALIAS), ("DELETE", "/models/abc/versions/2")])
@pytest.mark.parametrize(
    ("settings", "headers", "slug"),
    [
        ({"host": "0.0.0.0"}, {}, "predictions-only"),
        ({}, {"origin": "https://evil.example"}, "cross-site"),
        ({}, {"sec-fetch-site": "cross-site"}, "cross-site"),
    ],
)
def test_writes_need_permission(
    make_client: MakeClient,
    store_copy: Path,
    method: str,
    path: str,
    settings: dict[str, str],
    headers: dict[str, str],
    slug: str,
) -> None:
    """Beyond loopback without keys, and from other sites' pages, every write is 403 and changes nothing."""
    client = make_client(store_copy, **settings)

    answer = client.request(method, path, json={"version": 1}, headers=headers)

    problem = client.check_problem(answer, 403, slug)
    assert slug == "cross-site" or "LOGITD_TRUST_NETWORK=on" in problem["hint"]
    assert make_client(store_copy).get(IRIS).json()["aliases"].keys() == {"live"}
    client.check_alive()
