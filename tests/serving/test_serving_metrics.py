"""What ``/metrics`` shows: text that Prometheus reads, bounded labels, and what was counted."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import prometheus_client
import pytest
from hypothesis import given, strategies as st
from scraped import NOTHING, samples, scrape

from service.serving.metrics import METRICS, Metrics
from service.serving.metrics.catalogue import (
    MAX_VERSIONS,
    PHASE_BUCKETS,
    PROBABILITY_BUCKETS,
    REJECTIONS,
    REQUEST_BUCKETS,
    REQUESTS,
)
from service.serving.metrics.layout import MAX_KEY_BYTES
from service.serving.metrics.metrics import SAMPLED_ROWS
from service.serving.registry import Reload

DURATIONS = st.one_of(st.sampled_from(REQUEST_BUCKETS), st.floats(0, 100))
PHASES = st.one_of(st.sampled_from(PHASE_BUCKETS), st.floats(0, 10))
PROBABILITIES = st.one_of(st.sampled_from(PROBABILITY_BUCKETS), st.floats(0, 1))


@pytest.fixture
def metrics() -> Metrics:
    """The metrics of a process that is alone."""
    return Metrics.open(version="1.2.3")


def count_everything(metrics: Metrics) -> None:
    metrics.started()
    metrics.answered("POST", "/predict", 200, 0.25)
    metrics.answered("BREW", None, 404, 0.25)
    counters = metrics.predicted("iris", 3)
    counters.rows(2)
    counters.probability(0.75)
    counters.certainties([0.75, 0.5])
    counters.phases(1e-6, 2e-6, 3e-6)
    metrics.one_row("POST", "/predict", 200, "iris", 3)(0.5, 1e-6, 2e-6, 3e-6, 0.9)
    metrics.rejected("invalid-json")
    metrics.reloaded(Reload.FAILED)
    metrics.trained(1.5)
    metrics.not_trained("single-class")


def test_prometheus_is_content(metrics: Metrics) -> None:
    """``promtool check metrics`` has nothing to say, before anything was counted and after everything was."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool, of the package prometheus, is not installed")
    empty = metrics.text(NOTHING)

    count_everything(metrics)

    for text in (empty, metrics.text(NOTHING)):
        checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_every_metric_is_shown(metrics: Metrics) -> None:
    """Each row of the list has its help and its type, whether it was counted or not."""
    lines = metrics.text(NOTHING).decode().splitlines()

    assert [line for line in lines if line.startswith("# HELP")] == [f"# HELP {m.name} {m.help}" for m in METRICS]
    assert [line for line in lines if line.startswith("# TYPE")] == [f"# TYPE {m.name} {m.kind}" for m in METRICS]


def test_everything_is_counted_once(metrics: Metrics) -> None:
    """Each call shows in the metrics that it is about."""
    count_everything(metrics)

    seen = scrape(metrics)
    route = '{http_request_method="POST",http_response_status_code="200",http_route="/predict"}'
    assert seen[f"http_server_request_duration_seconds_count{route}"] == 2
    assert seen[f"http_server_request_duration_seconds_sum{route}"] == 0.75
    assert seen["http_server_active_requests"] == 1
    assert seen['logitd_predictions_total{model="iris",version="3"}'] == 2
    assert seen['logitd_prediction_rows_total{model="iris",version="3"}'] == 3
    assert seen['logitd_prediction_probability_count{model="iris",version="3"}'] == 4
    assert seen['logitd_prediction_probability_sum{model="iris",version="3"}'] == pytest.approx(0.75 * 2 + 0.5 + 0.9)
    assert seen['logitd_prediction_phase_duration_seconds_count{phase="encode"}'] == 2
    assert seen['logitd_rejections_total{reason="invalid-json"}'] == 1
    assert seen['logitd_model_reloads_total{outcome="failed"}'] == 1
    assert seen['logitd_model_reloads_total{outcome="loaded"}'] == 0
    assert seen['logitd_trainings_total{outcome="published"}'] == 1
    assert seen['logitd_trainings_total{outcome="single-class"}'] == 1
    assert seen["logitd_training_duration_seconds_sum"] == 1.5
    assert seen['logitd_build_info{version="1.2.3"}'] == 1
    assert seen["logitd_workers"] == 1


def test_a_request_that_ended_is_not_in_flight(metrics: Metrics) -> None:
    """``ended`` takes back what ``started`` added."""
    metrics.started()
    metrics.started()

    metrics.ended()

    assert scrape(metrics)["http_server_active_requests"] == 1


def test_labels_are_bounded_whatever_a_client_sends(metrics: Metrics) -> None:
    """Made-up methods, paths that do not exist and answers that were never sent have one label value each."""
    for number in range(1000):
        metrics.answered(f"METHOD{number}", None, 0, 0.25)

    labels = 'http_request_method="_OTHER",http_response_status_code="(none)",http_route="(none)"'
    assert samples(metrics, REQUESTS.name)[f"{REQUESTS.name}_count{{{labels}}}"] == 1000
    assert len(samples(metrics, REQUESTS.name)) == len(REQUEST_BUCKETS) + 3


def test_versions_beyond_the_last_place_count_together(metrics: Metrics) -> None:
    """After a hundred versions further ones count under (other), by whichever call, and the hundred go on."""
    for version in range(1, MAX_VERSIONS + 11):
        metrics.predicted("iris", version).rows(2)
        metrics.one_row("POST", "/predict", 200, "iris", version)(0.5, 1e-6, 2e-6, 3e-6, 0.9)

    seen = samples(metrics, "logitd_prediction_rows_total")
    assert len(seen) == MAX_VERSIONS + 1
    assert seen['logitd_prediction_rows_total{model="(other)",version="(other)"}'] == 30
    assert seen[f'logitd_prediction_rows_total{{model="iris",version="{MAX_VERSIONS}"}}'] == 3


def test_a_full_table_still_counts(metrics: Metrics) -> None:
    """Every metric can be full at once, and still counts what it knows and what it does not."""
    for number in range(300):
        metrics.answered("GET", f"/route/{number}", 200, 0.25)
        metrics.rejected(f"reason-{number}")
        metrics.not_trained(f"reason-{number}")
        metrics.predicted("a" * 64, 999_999_000 + number).rows(1)
    metrics.trained(1.0)

    seen = scrape(metrics)
    assert seen['logitd_rejections_total{reason="(other)"}'] == 300 - REJECTIONS.max_series
    assert seen['logitd_rejections_total{reason="reason-0"}'] == 1
    assert seen['logitd_trainings_total{outcome="(other)"}'] == 300 - REJECTIONS.max_series + 1
    assert sum(value for sample, value in seen.items() if sample.startswith(f"{REQUESTS.name}_count")) == 300


def test_a_name_too_long_for_its_place_counts_with_the_others(metrics: Metrics) -> None:
    """A label value that the table has no room for counts under (other)."""
    metrics.rejected("a" * MAX_KEY_BYTES)

    assert samples(metrics, REJECTIONS.name) == {'logitd_rejections_total{reason="(other)"}': 1}


@given(st.lists(DURATIONS))
def test_histograms_are_those_of_prometheus_client(seconds: list[float]) -> None:
    """The same observations give the same buckets and sum as the histogram of prometheus-client, bounds included."""
    metrics = Metrics.open(version="1")
    labels = {"http_request_method": "GET", "http_route": "/", "http_response_status_code": "200"}
    registry = prometheus_client.CollectorRegistry()
    peer = prometheus_client.Histogram(
        REQUESTS.name, REQUESTS.help, REQUESTS.labels, buckets=REQUESTS.buckets, registry=registry
    ).labels(**labels)

    for one in seconds:
        metrics.answered("GET", "/", 200, one)
        peer.observe(one)

    expected = prometheus_client.generate_latest(registry).decode().splitlines()
    seen = samples(metrics, REQUESTS.name)
    for sample, _, value in (line.rpartition(" ") for line in expected if line.startswith(f"{REQUESTS.name}_")):
        if "_created" not in sample:
            assert seen.get(sample, 0.0) == float(value)


@given(st.lists(st.tuples(DURATIONS, PHASES, PHASES, PHASES, PROBABILITIES), max_size=40))
def test_one_row_counts_what_the_single_calls_count(rows: list[tuple[float, float, float, float, float]]) -> None:
    """The short way gives the same exposition as the four calls that it stands for."""
    short, long = Metrics.open(version="1"), Metrics.open(version="1")

    for seconds, parse, predict, encode, probability in rows:
        short.one_row("POST", "/predict", 200, "iris", 3)(seconds, parse, predict, encode, probability)
        long.answered("POST", "/predict", 200, seconds)
        counters = long.predicted("iris", 3)
        counters.rows(1)
        counters.phases(parse, predict, encode)
        counters.probability(probability)

    seen, expected = (
        {sample: value for sample, value in scrape(one).items() if not sample.startswith("process_")}
        for one in (short, long)
    )
    assert seen == pytest.approx(expected, rel=1e-12)


@given(st.lists(PROBABILITIES, min_size=1, max_size=50))
def test_a_batch_counts_what_its_rows_count(highest: list[float]) -> None:
    """The probabilities of a request give the same histogram at once and row by row."""
    batch, single = Metrics.open(version="1"), Metrics.open(version="1")

    batch.predicted("iris", 3).certainties(highest)
    for one in highest:
        single.predicted("iris", 3).probability(one)

    name = "logitd_prediction_probability"
    assert samples(batch, name) == pytest.approx(samples(single, name), rel=1e-12)


@pytest.mark.parametrize(
    ("n_rows", "n_seen"), [(0, 0), (SAMPLED_ROWS, SAMPLED_ROWS), (SAMPLED_ROWS + 1, 501), (10_000, 1000)]
)
def test_of_a_large_request_a_sample_is_looked_at(metrics: Metrics, n_rows: int, n_seen: int) -> None:
    """Up to a thousand rows all count for the histogram of probabilities, of more an even sample of at most so many."""
    metrics.predicted("iris", 3).certainties(np.full(n_rows, 0.5))

    assert scrape(metrics)['logitd_prediction_probability_count{model="iris",version="3"}'] == n_seen
