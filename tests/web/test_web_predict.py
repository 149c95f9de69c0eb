"""Predictions: every form of body gives the same bits, and everything that an answer carries besides them."""

from __future__ import annotations

import gzip
import itertools
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from asking import HERE, Client, MakeClient
from hypothesis import given, strategies as st

from service.store.model_store import ModelStore
from service.tabular.datasets import load_dataset

pytest_plugins = ("served",)

ROWS = [[0.1, -0.2, 0.3], [1.5, 2.0, -1e-3], [-3.0, 0.0, 7.25]]
RECORDS = [dict(zip("abc", row, strict=True)) for row in ROWS]
CSV = "".join(",".join(map(repr, row)) + "\n" for row in ROWS)
AS_JSON, AS_CSV = {"content-type": "application/json"}, {"content-type": "text/csv"}
LARGEST = 1.7976931348623157e308


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


FORMS: dict[str, tuple[bytes, dict[str, str]]] = {
    "instances": (body({"instances": ROWS}), AS_JSON),
    "bare rows": (body(ROWS), AS_JSON),
    "records": (body({"instances": RECORDS}), AS_JSON),
    "bare records": (body(RECORDS), AS_JSON),
    "records in another order": (body([dict(reversed(record.items())) for record in RECORDS]), AS_JSON),
    "columns and data": (body({"columns": ["c", "a", "b"], "data": [[c, a, b] for a, b, c in ROWS]}), AS_JSON),
    "no content type": (body(ROWS), {}),
    "as curl -d sends it": (body(ROWS), {"content-type": "application/x-www-form-urlencoded"}),
    "a JSON dialect": (body(ROWS), {"content-type": "application/vnd.api+json; charset=UTF-8"}),
    "CSV": (CSV.encode(), AS_CSV),
    "CSV with header": (b"a,b,c\n" + CSV.encode(), AS_CSV),
    "CSV with CRLF": (CSV.replace("\n", "\r\n").encode(), {"content-type": 'text/csv; charset="utf-8"'}),
    "CSV with a header in another order": (
        b"b,c,a\n" + "".join(f"{b!r},{c!r},{a!r}\n" for a, b, c in ROWS).encode(),
        AS_CSV,
    ),
    "gzip": (gzip.compress(body(ROWS)), {**AS_JSON, "content-encoding": "gzip"}),
    "gzip in two members": (
        gzip.compress(body(ROWS)[:9]) + gzip.compress(body(ROWS)[9:]),
        {**AS_JSON, "content-encoding": "GZIP"},
    ),
    "gzipped CSV": (gzip.compress(CSV.encode()), {**AS_CSV, "content-encoding": "gzip"}),
}


def probabilities(client: Client, rows: Any, query: str = "model=abc") -> list[list[float]]:
    answer = client.post(f"/predict_proba?{query}", json=rows)
    assert answer.status_code == 200, answer.text
    found: list[list[float]] = answer.json()["probabilities"]
    return found


@pytest.mark.parametrize("path", ["/predict", "/predict_proba"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_bytes(client: Client, form: str, path: str) -> None:
    """P17: layout, order of names, media type and coding do not change a byte of the answer."""
    expected = client.post(f"{path}?model=abc", json=ROWS)
    content, headers = FORMS[form]

    answer = client.post(f"{path}?model=abc", content=content, headers=headers)

    assert answer.status_code == 200, answer.text
    assert answer.content == expected.content


def test_a_bare_record_is_one_row(client: Client) -> None:
    """An object with the model's columns is a single row."""
    assert probabilities(client, RECORDS[0]) == probabilities(client, ROWS[:1])


def test_a_body_in_parts_is_one_body(client: Client) -> None:
    """A chunked body is put together before it is read."""

    async def parts() -> Any:
        for byte in body(ROWS):
            yield bytes([byte])

    answer = client.post("/predict_proba?model=abc", content=parts())

    assert answer.json()["probabilities"] == probabilities(client, ROWS)


def test_the_answers_have_the_documented_fields(client: Client) -> None:
    """``/predict`` and ``/predict_proba`` answer with exactly the fields of the contract."""
    labels = client.post("/predict", json=[[5.1, 3.5, 1.4, 0.2]])
    shares = client.post("/predict_proba", json=[[5.1, 3.5, 1.4, 0.2]])

    assert labels.json() == {"predictions": ["setosa"], "model": "iris", "version": 1}
    assert list(shares.json()) == ["classes", "probabilities", "model", "version"]
    assert shares.json()["classes"] == ["setosa", "versicolor", "virginica"]


@pytest.mark.parametrize("ref", ["model=abc", "model=abc@live", "model=abc/1", "model=abc%2F1", "model=abc%40live"])
def test_a_model_is_named_three_ways(client: Client, ref: str) -> None:
    """NAME, NAME@ALIAS and NAME/VERSION lead to the same version, which the answer names twice."""
    answer = client.post(f"/predict?{ref}", json=ROWS)

    assert (answer.json()["model"], answer.json()["version"]) == ("abc", 1)
    assert answer.headers["model-version"] == "abc/1"


@pytest.mark.parametrize("name", ["iris", "breast-cancer", "penguins"])
def test_served_numbers_are_the_models_own(client: Client, trained_store: Path, name: str) -> None:
    """The probabilities on the wire are, bit for bit, those of the stored model for the same table."""
    data = load_dataset(name)
    table = data.table.without(data.target)
    columns = [[None if cell != cell else cell for cell in column.tolist()] for column in table.columns]  # noqa: PLR0124 — NaN
    rows = [list(row) for row in zip(*columns, strict=True)]
    model = ModelStore(trained_store).load(name, 1).model

    served = probabilities(client, {"columns": list(table.names), "data": rows}, f"model={name}")

    assert np.array_equal(np.array(served), model.probabilities(table))


@given(row=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3))
def test_any_finite_row_has_probabilities(client: Client, row: list[float]) -> None:
    """PP1, P6 to P9: for every finite row each p is in [0, 1] and the row sums to 1."""
    (found,) = probabilities(client, [row])

    assert all(0 <= p <= 1 for p in found)
    assert abs(math.fsum(found) - 1) <= 1e-12


@pytest.mark.parametrize(
    ("cell", "same_as"),
    [("-0", "0"), ("-0.0", "0"), ("1e-999", "0"), ("9007199254740993", "9007199254740992"), ("5e-324", "0")],
)
def test_numbers_are_read_as_doubles(client: Client, cell: str, same_as: str) -> None:
    """P6 to P8: the sign of zero means nothing, underflow is 0, and whole numbers round to the nearest double."""
    given_cell, other = (
        client.post("/predict_proba?model=abc", content=f"[[{text}, 1, 2]]") for text in (cell, same_as)
    )

    assert given_cell.content == other.content


@pytest.mark.parametrize("row", list(itertools.product([LARGEST, -LARGEST], repeat=3)))
def test_the_largest_doubles_are_certain(client: Client, row: tuple[float, ...]) -> None:
    """P9: where a logit leaves the range of doubles, the probabilities are 0 and 1."""
    assert sorted(probabilities(client, [row])[0]) == [0.0, 1.0]


@given(value=st.floats(allow_nan=False, allow_infinity=False, width=64))
def test_numbers_survive_the_round_trip(client: Client, trained_store: Path, value: float) -> None:
    """A probability parsed from the answer is the model's double, and a cell is what its text says."""
    model = ModelStore(trained_store).load("abc", 1).model

    shares = probabilities(client, [[value, 0, 0]])[0]

    assert shares == model.probabilities(np.array([[value, 0.0, 0.0]]))[0].tolist()


def test_a_row_alone_and_in_a_batch_give_the_same_bits(client: Client) -> None:
    """P28: a thousand rows one by one give, bit for bit, what they give together; the limit of rows is inclusive."""
    rows = np.random.default_rng(5).normal(scale=3, size=(1000, 3)).tolist()
    batch = probabilities(client, rows)

    alone = [probabilities(client, [row])[0] for row in rows]

    assert alone == batch
    assert len(probabilities(client, rows * 10)) == 10_000  # P27


def test_labels_are_the_most_probable_classes(client: Client) -> None:
    """``/predict`` names the largest probability of ``/predict_proba``; a tie goes to the first class (PP2)."""
    shares = client.post(
        "/predict_proba", json=[[5.1, 3.5, 1.4, 0.2], [6.0, 2.9, 4.5, 1.5], [7.1, 3.0, 5.9, 2.1]]
    ).json()
    labels = client.post("/predict", json=[[5.1, 3.5, 1.4, 0.2], [6.0, 2.9, 4.5, 1.5], [7.1, 3.0, 5.9, 2.1]]).json()

    assert labels["predictions"] == [shares["classes"][int(np.argmax(row))] for row in shares["probabilities"]]


def test_threshold_moves_the_border(client: Client) -> None:
    """The second class is predicted where p is above the threshold; p equal to it is the first class (PP2)."""
    row = ROWS[0]
    p = probabilities(client, [row])[0][1]

    found = [
        client.post(f"/predict?model=abc&threshold={t!r}", json=[row]).json()["predictions"][0]
        for t in (0.0, math.nextafter(p, 0), p, math.nextafter(p, 1), 1.0)
    ]

    assert found == ["yes", "yes", "no", "no", "no"]


@pytest.mark.parametrize("text", ["0", "1", ".5", "0.5", "5e-1", "1e-400", "1."])
def test_thresholds_are_numbers_from_0_to_1(client: Client, text: str) -> None:
    """PP3: any spelling of a number in [0, 1] is accepted."""
    assert client.post(f"/predict?model=abc&threshold={text}", json=ROWS).status_code == 200


def explained(client: Client, name: str, rows: Any) -> Iterator[tuple[list[float], list[list[float]], list[float]]]:
    """For each row the logits, the terms of each, and the probabilities."""
    answer = client.post(f"/predict_proba?model={name}&explain=true", json=rows).json()
    for one, shares in zip(answer["explanations"], answer["probabilities"], strict=True):
        terms = [one["baseline"], *one["contributions"].values()]
        logits = one["logit"] if isinstance(one["logit"], list) else [one["logit"]]
        by_logit = [[term] for term in terms] if not isinstance(one["logit"], list) else terms
        yield logits, [list(column) for column in zip(*by_logit, strict=True)], shares


@pytest.mark.parametrize("name", ["abc", "iris", "breast-cancer", "penguins"])
def test_explanations_add_up_exactly(client: Client, name: str) -> None:
    """Baseline and contributions sum to the logit with no rounding, in any order; the logit gives the probability."""
    example = client.get(f"/models/{name}/example").json()["instances"][0]
    moved = [
        {key: cell * factor if isinstance(cell, float) else cell for key, cell in example.items()}
        for factor in (1.0, 0.37, 1.91, -3.3)
    ]
    if name == "penguins":
        moved += [example | {"sex": None}, dict.fromkeys(example)]

    for logits, terms, shares in explained(client, name, moved):
        for logit, parts in zip(logits, terms, strict=True):
            assert math.fsum(parts) == sum(parts) == sum(reversed(parts)) == logit
        odds = [0.0, *logits] if len(logits) == 1 else logits
        weights = [math.exp(z - max(odds)) for z in odds]
        assert shares == pytest.approx([w / sum(weights) for w in weights], rel=1e-9, abs=1e-12)


def test_explanations_beyond_doubles_are_refused(client: Client) -> None:
    """Terms that cannot be added up in doubles are 422 with the row, never NaN in an answer."""
    answer = client.post("/predict?model=abc&explain=true", json=[[1, 2, 3], [1.7e308] * 3])

    problem = client.check_problem(answer, 422, "numeric-overflow")
    assert problem["errors"][0]["pointer"] == "/1"


def test_missing_cells_are_imputed_where_the_model_says_so(client: Client) -> None:
    """P26: null, NaN and an empty CSV cell are the same missing cell for a model with ``missing: impute``."""
    record = client.get("/models/penguins/example").json()["instances"][0]
    names, first = list(record), "sex"
    header = ",".join(names)
    rest = ",".join("" if name == first else str(record[name]) for name in names)

    null = client.post("/predict_proba?model=penguins", json={**record, first: None})
    nan = client.post("/predict_proba?model=penguins", content=json.dumps({**record, first: math.nan}))
    csv = client.post("/predict_proba?model=penguins", content=f"{header}\n{rest}\n", headers=AS_CSV)

    assert null.status_code == 200
    assert null.content == nan.content == csv.content


def test_answers_carry_id_model_and_phases(client: Client) -> None:
    """A given X-Request-Id comes back, one is made otherwise; Server-Timing names the phases."""
    kept = client.post("/predict?model=abc", json=ROWS, headers={"X-Request-Id": "Trace_1.a-Z"})
    made = [client.post("/predict?model=abc", json=ROWS).headers["x-request-id"] for _ in range(2)]

    assert kept.headers["x-request-id"] == "Trace_1.a-Z"
    assert len(set(made)) == 2
    assert re.findall(r"(\w+);dur=\d+\.\d{3}", kept.headers["server-timing"]) == ["parse", "predict", "encode", "total"]
    assert kept.headers["content-type"] == "application/json"
    assert kept.content.endswith(b"}\n")


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "*/*;q=0"])
def test_answers_are_json_whatever_is_accepted(client: Client, accept: str) -> None:
    """H31: ``Accept`` does not change the form of a prediction."""
    answer = client.post("/predict?model=abc", json=ROWS, headers={"accept": accept})

    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[::1"}, 403),
        ({"origin": HERE, "sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({}, 200),
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/predict_proba"])
def test_other_sites_pages_are_refused(client: Client, headers: dict[str, str], status: int, path: str) -> None:
    """A browser's request from another site's page is 403; our own pages and programs are not."""
    answer = client.post(f"{path}?model=abc", json=ROWS, headers=headers)

    assert answer.status_code == status
    if status == 403:
        client.check_problem(answer, 403, "cross-site")


def test_a_prefix_shows_in_links(make_client: MakeClient, trained_store: Path) -> None:
    """Behind a proxy that strips a prefix off, the links in answers begin with it."""
    client = make_client(trained_store, root_path="/ml/v1")

    problem = client.get("/nowhere").json()
    page = client.get("/models?limit=1").json()

    assert problem["type"] == "/ml/v1/problems/route-not-found"
    assert page["next"].startswith("/ml/v1/models?")
    assert client.get("/ml/v1/models").json() == client.get("/models").json()
    assert client.get("/openapi.json").json()["servers"] == [{"url": "/ml/v1"}]
    assert client.get("/").json()["links"]["predict"] == "/ml/v1/predict"


def test_a_head_is_a_get_without_body(client: Client) -> None:
    """HEAD answers with the headers of GET."""
    got = client.get("/models")

    head: httpx.Response = client.request("HEAD", "/models")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
