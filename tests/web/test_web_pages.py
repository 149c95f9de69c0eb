"""What is the same for every model: health, index, metrics, version, documentation, problem types."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from asking import Client, MakeClient, abc_table, train_into
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

import service
from service.errors import ServiceError, all_errors
from service.web.errors import STATUS, status_of
from service.web.pages import ASSET_TYPES

pytest_plugins = ("served",)

ROW = [[1.0, 2.0, 3.0]]
PAGES = ["/", "/livez", "/readyz", "/healthz", "/version", "/metrics", "/openapi.json", "/docs", "/models"]


def metrics(client: Client) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(client.get("/metrics").text)}


def count(client: Client, family: str, suffix: str = "_total", **labels: str) -> float:
    """The sum of a counter's samples that have these labels."""
    samples = metrics(client)[family].samples
    return sum(
        sample.value
        for sample in samples
        if sample.name == family + suffix and labels.items() <= dict(sample.labels).items()
    )


def n_answers(client: Client, **labels: str) -> float:
    """Answers with these labels, named without ``http_`` in front."""
    family = "http_server_request_duration_seconds"
    return count(client, family, "_count", **{f"http_{name}": value for name, value in labels.items()})


def operations(client: Client) -> list[tuple[str, str, dict[str, Any]]]:
    """Path, method and description of every documented operation."""
    document = client.get("/openapi.json").json()
    return [(path, method, one) for path, verbs in document["paths"].items() for method, one in verbs.items()]


@pytest.mark.parametrize("path", PAGES)
def test_pages_answer_get_and_head(client: Client, path: str) -> None:
    """Every page answers GET with a body that ends in a newline, HEAD without one, and nothing else."""
    got, head, posted = client.get(path), client.request("HEAD", path), client.post(path)

    assert (got.status_code, head.status_code) == (200, 200)
    assert got.content.endswith(b"\n")
    assert head.content == b""
    client.check_problem(posted, 405, "method-not-allowed")
    assert posted.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/nowhere", "/livez/", "/models/", "/predict/", "/docs/x.js"])
def test_other_paths_are_404(client: Client, path: str) -> None:
    """What is no page is a problem; no redirect names a host that a client sent."""
    client.check_problem(client.get(path, headers={"host": "evil.example"}), 404, "route-not-found")


def test_every_link_of_the_index_leads_somewhere(client: Client) -> None:
    """The index names pages that exist, whatever the method."""
    body = client.get("/").json()

    assert body["service"] == "logitd"
    assert all(client.get(link).status_code in {200, 405} for link in body["links"].values())


def test_the_version_is_the_releases(client: Client) -> None:
    """``/version`` has the releases of logitd, Python and NumPy."""
    body = client.get("/version").json()

    assert body["logitd"] == service.__version__
    assert body.keys() == {"logitd", "python", "numpy"}


def test_ready_after_the_first_publication(make_client: MakeClient, tmp_path: Path) -> None:
    """S7, E12: an empty store is live but not ready, with the reason; the first live version makes it ready."""
    client = make_client(tmp_path / "store", default_model="abc")
    before = [client.get(path) for path in ("/readyz", "/healthz", "/livez")]

    train_into(tmp_path / "store", "abc", abc_table(), "y")

    for answer in before[:2]:
        problem = client.check_problem(answer, 503, "no-live-model")
        assert "LOGITD_DEFAULT_MODEL" in problem["detail"]
        assert int(answer.headers["retry-after"]) >= 1
    assert before[2].status_code == 200
    assert [client.get(path).status_code for path in ("/readyz", "/healthz")] == [200, 200]
    assert client.post("/predict", json=ROW).status_code == 200


def test_requests_are_counted_by_route_and_rows_by_version(make_client: MakeClient, trained_store: Path) -> None:
    """The counters know route templates, methods, statuses, and the version that predicted."""
    client = make_client(trained_store)

    client.post("/predict?model=abc", json=ROW * 7)
    client.post("/predict?model=abc", json=[])
    client.get("/models/abc")
    client.get("/models/iris")

    assert n_answers(client, request_method="POST", route="/predict", response_status_code="200") == 1
    assert n_answers(client, request_method="POST", route="/predict", response_status_code="422") == 1
    assert n_answers(client, request_method="GET", route="/models/{model}", response_status_code="200") == 2
    assert count(client, "logitd_prediction_rows", model="abc", version="1") == 7
    assert count(client, "logitd_predictions", model="abc", version="1") == 1
    assert count(client, "logitd_rejections", reason="empty-input") == 1
    loaded = [sample.labels for sample in metrics(client)["logitd_model_info"].samples]
    assert {"model": "abc", "version": "1", "alias": "live"}.items() <= loaded[0].items()
    assert metrics(client)["logitd_build_info"].samples[0].labels == {"version": service.__version__}
    assert metrics(client)["http_server_active_requests"].samples[0].value == 1  # the scrape itself


def test_clients_cannot_add_series(make_client: MakeClient, trained_store: Path) -> None:
    """Paths, methods and models that a client makes up do not make the exposition longer."""
    client = make_client(trained_store)

    def made_up(number: int) -> int:
        client.get(f"/nowhere/{number}")
        client.get(f"/models/made-up-{number}")
        client.get(f"/problems/made-up-{number}")
        client.post(f"/predict?model=made-up-{number}", json=ROW)
        client.request(f"METHOD{number}", "/predict")
        return len(client.get("/metrics").text.splitlines())

    made_up(0)  # the series of /metrics itself begin after the first scrape

    assert len({made_up(number) for number in range(1, 6)}) == 1


def test_a_failed_reload_is_counted(make_client: MakeClient, store_copy: Path) -> None:
    """A damaged version shows in ``logitd_model_reloads_total``, while the service is not ready."""
    client = make_client(store_copy, default_model="abc")
    shutil.rmtree(store_copy / "abc" / "versions" / "1")
    (store_copy / "abc" / "versions" / "1").mkdir()

    assert client.get("/readyz").status_code == 503
    assert count(client, "logitd_model_reloads", outcome="failed") == 1


def test_metrics_can_be_switched_off(make_client: MakeClient, trained_store: Path) -> None:
    """With LOGITD_METRICS=off there is no such page, in the index neither."""
    client = make_client(trained_store, metrics=False)

    client.check_problem(client.get("/metrics"), 404, "route-not-found")
    assert "metrics" not in client.get("/").json()["links"]
    assert "/metrics" not in client.get("/openapi.json").json()["paths"]


def test_the_document_describes_what_there_is(client: Client) -> None:
    """Operation ids are unique, and no documented path and method is unknown to the service."""
    document = client.get("/openapi.json").json()
    described = operations(client)

    assert document["openapi"].startswith("3.1")
    assert len({one["operationId"] for _, _, one in described}) == len(described)
    for path, method, one in described:
        names = re.findall(r"{(\w+)}", path)
        assert sorted(names) == sorted(p["name"] for p in one.get("parameters", []) if p["in"] == "path")
        answer = client.request(method, re.sub(r"{\w+}", "nope", path))
        assert answer.status_code != 405
        assert "/problems/route-not-found" not in answer.text
        assert one["summary"]


def test_documented_statuses_are_the_real_ones(make_client: MakeClient, store_copy: Path) -> None:
    """/train says 201 and DELETE 204, and neither claims 200."""
    described = {(method, path): set(one["responses"]) for path, method, one in operations(make_client(store_copy))}

    successes = {operation: {code for code in codes if code[0] == "2"} for operation, codes in described.items()}
    assert successes.pop(("post", "/train")) == {"201"}
    assert successes.pop(("delete", "/models/{model}/versions/{version}")) == {"204"}
    assert set(map(frozenset, successes.values())) == {frozenset({"200"})}
    assert {code for codes in described.values() for code in codes if code[0] in "45"} == {
        str(status) for status in STATUS.values() if status not in {405, 500}
    }


def test_references_of_the_document_lead_somewhere(client: Client) -> None:
    """Whatever the document refers to by ``$ref`` is in it, with keys and without."""
    text = client.get("/openapi.json").text
    parts = json.loads(text)["components"]
    targets = set(re.findall(r'"\$ref":"#/components/(\w+)/(\w+)"', text))

    assert len(targets) > 20
    assert [target for target in targets if target[1] not in parts[target[0]]] == []


def test_documented_examples_work(make_client: MakeClient, store_copy: Path) -> None:
    """Every example of a request body in the document is answered with success, JSON and CSV."""
    client = make_client(store_copy)
    tried = 0

    for path, method, one in operations(client):
        for media_type, content in one.get("requestBody", {}).get("content", {}).items():
            target = path.format(model="iris", alias="champion", version="1")
            if path == "/train" and media_type == "text/csv":
                target += "?model=doubled&target=y"
            body = {"json": content["example"]} if media_type == "application/json" else {"content": content["example"]}
            answer = client.request(method, target, headers={"content-type": media_type}, **body)
            assert answer.status_code in {200, 201}, (method, path, media_type, answer.text)
            tried += 1

    assert tried == 7


def test_the_documentation_needs_no_network(client: Client) -> None:
    """/docs refers to this host only, and its script, style and icon answer with the right types."""
    page = client.get("/docs").text
    links = re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)["']""", page)

    assert "//" not in "".join(links)
    assert len(links) == 4
    for link in links:
        assert client.get(link).status_code == 200
    for name, media_type in ASSET_TYPES.items():
        assert client.get(f"/docs/{name}").headers["content-type"] == media_type
    assert not re.search(r"@import|url\(\s*[\"']?(?:https?:)?//", client.get("/docs/swagger-ui.css").text)


@pytest.mark.parametrize("kind", list(all_errors()), ids=lambda kind: kind.slug)
def test_every_error_has_a_status_and_a_page(client: Client, kind: type[ServiceError]) -> None:
    """``/problems/<slug>`` tells title, status and meaning of each error class, and slugs are unique."""
    body = client.get(f"/problems/{kind.slug}").json()

    assert body["type"] == kind.slug
    assert body["status"] == status_of(kind)
    assert 400 <= body["status"] <= 599
    assert len(body["meaning"]) > 20
    assert [other for other in all_errors() if other.slug == kind.slug] == [kind]


def test_an_unknown_problem_is_404(client: Client) -> None:
    """A slug that no error has is not found."""
    client.check_problem(client.get("/problems/nope"), 404, "problem-not-found")


@pytest.mark.parametrize("headers", [{}, {"Inference-Header-Content-Length": "10"}], ids=["JSON", "binary"])
@pytest.mark.parametrize(
    "path",
    [
        "/v2",
        "/v2/models/abc/infer",
        "/v2/models/abc/versions/1/infer",
        "/v2/repository/index",
        "/v2/repository/models/abc/load",
    ],
)
def test_a_protocol_that_is_not_spoken_is_not_found(client: Client, path: str, headers: dict[str, str]) -> None:
    """V1 to V20 are about the Open Inference Protocol, which there is not; that nothing is loaded by it (V19) holds."""
    answer = client.post(path, content=b'{"inputs":[]}' + bytes(24), headers=headers)

    client.check_problem(answer, 404, "route-not-found")
