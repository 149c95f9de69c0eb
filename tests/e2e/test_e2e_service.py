"""The service from start to stop, by HTTP, curl, the command line and signals."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from service_process import PATIENCE, Service, is_running, logitd, serving

ROW = {"instances": [[5.1, 3.5, 1.4, 0.2]]}
SMALL = {"instances": [[1.0], [2.0], [3.0], [4.0], [2.5], [1.5]], "targets": ["no", "no", "yes", "yes", "yes", "no"]}


@pytest.fixture
def running(store: Path) -> Iterator[Service]:
    """The service on a copy of the store."""
    with serving(store) as service:
        yield service


def test_curl_and_httpx_get_the_same_answer(running: Service) -> None:
    """A bare ``curl -d`` is read as JSON and answers what a client with headers gets."""
    by_curl = subprocess.run(
        ["curl", "-sS", f"{running.url}/predict", "-d", json.dumps(ROW)], capture_output=True, check=True
    )
    by_httpx = running.client.post("/predict", json=ROW)

    assert by_curl.stdout == by_httpx.content
    assert by_httpx.json() == {"predictions": ["setosa"], "model": "iris", "version": 1}
    assert by_httpx.headers["Model-Version"] == "iris/1"


def test_trained_model_answers(running: Service) -> None:
    """A model trained over HTTP is stored, live, and predicts with its version; the next training is version 2."""
    trained = running.client.post("/train", json={"model": "exam", **SMALL})
    again = running.client.post("/train", json={"model": "exam", **SMALL, "promote": False})

    assert (trained.status_code, again.status_code) == (201, 201)
    assert trained.headers["Location"] == "/models/exam/versions/1"
    assert (trained.json()["promoted"], again.json()["promoted"], again.json()["version"]) == (True, False, 2)
    live = running.client.post("/predict?model=exam", json={"instances": [[4.0], [1.0]]})
    pinned = running.client.post("/predict?model=exam/2", json={"instances": [[4.0]]})
    assert live.json() == {"predictions": ["yes", "no"], "model": "exam", "version": 1}
    assert pinned.json()["version"] == 2
    assert logitd("models", "verify", "exam", store=running.store).returncode == 0


def test_other_process_moves_what_is_served(running: Service) -> None:
    """A training, promotion or rollback on the command line is seen by the very next request."""

    def version() -> int:
        answer = running.client.post("/predict", json=ROW)
        assert answer.status_code == 200
        return int(answer.json()["version"])

    seen = [version()]
    for command in (
        ("train", "iris", "--model", "iris", "--C", "10"),
        ("models", "promote", "iris/1"),
        ("models", "rollback", "iris"),
    ):
        assert logitd(*command, store=running.store).returncode == 0
        seen.append(version())

    assert seen == [1, 2, 1, 2]


def test_health_follows_the_service(running: Service) -> None:
    """``logitd health`` is 0 while the service is ready, and 1 once it has stopped."""
    ready = logitd("health", "--port", running.port, store=running.store)
    stopped = running.stop()
    gone = logitd("health", "--port", running.port, store=running.store)

    assert (ready.returncode, ready.stdout) == (0, "ready\n")
    assert stopped == 0
    assert gone.returncode == 1
    assert gone.stderr.startswith("not ready: no answer")


def test_health_without_a_model_is_not_ready(tmp_path: Path) -> None:
    """A service on an empty store runs, but is not ready, until a model is trained by another process."""
    with serving(tmp_path / "store") as service:
        before = logitd("health", "--port", service.port, store=service.store)
        assert service.client.get("/livez").status_code == 200
        logitd("train", "iris", "--model", "iris", store=service.store)
        after = logitd("health", "--port", service.port, store=service.store)

    assert (before.returncode, after.returncode) == (1, 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_is_a_graceful_stop(running: Service, number: signal.Signals) -> None:
    """SIGTERM and Ctrl-C end the service with exit code 0 and without a word, at any moment after its first line."""
    running.process.send_signal(number)

    output, errors = running.process.communicate(timeout=PATIENCE)

    assert running.process.returncode == 0
    assert "Traceback" not in errors
    assert not output


def maximal_body() -> bytes:
    """CSV of 2 000 000 cells, as many as are allowed by default."""
    rows = [
        ",".join(str((row * 7 + column * column) % 10) for column in range(99)) + f",{row % 2}" for row in range(20_000)
    ]
    header = ",".join([*(f"x{column}" for column in range(99)), "y"])
    return "\n".join([header, *rows]).encode()


def test_predictions_go_on_beside_a_maximal_training(store: Path) -> None:
    """While the largest training runs, predictions are answered and another training is refused.

    SIGTERM then ends the service with exit code 0: its client is told, no trainer is left behind, and no half version.
    """
    with serving(store, LOGITD_DRAIN_S="1", LOGITD_TRAIN_TIMEOUT_S="600") as service, ThreadPoolExecutor(1) as pool:
        query = "model=long&target=y&solver=gradient-descent&max_iter=1000000"
        headers = {"Content-Type": "text/csv"}
        training = pool.submit(service.client.post, f"/train?{query}", content=maximal_body(), headers=headers)
        with httpx.Client(base_url=service.url, timeout=PATIENCE) as client:
            while not service.children():
                assert not training.done(), training.result().text
                assert client.get("/livez").status_code == 200
            children = service.children()

            answers = [client.post("/predict", json=ROW).status_code for _ in range(50)]
            busy = client.post("/train", json={"model": "other", **SMALL})
            same = client.post("/train", json={"model": "long", **SMALL})
            assert [pid for pid in children if is_running(pid)] == children

        assert service.stop() == 0

        told = training.result()
    assert (told.status_code, told.json()["type"], told.headers["connection"]) == (503, "/problems/draining", "close")
    assert int(told.headers["retry-after"]) >= 1
    assert answers == [200] * 50
    assert (busy.status_code, same.status_code) == (503, 409)
    assert not any(is_running(pid) for pid in children)
    assert sorted(path.name for path in store.iterdir()) == ["iris"]
