"""``/train`` with several workers: one training at a time over all of them, and answers that all remember."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from service_process import PATIENCE, Service, is_running, serving
from steady_load import wait_until

SMALL: dict[str, Any] = {
    "model": "exam",
    "instances": [[1.0], [2.0], [3.0], [4.0], [2.5], [1.5]],
    "targets": ["no", "no", "yes", "yes", "yes", "no"],
}
# Never certified, and far from done when the test ends.
LONG = "/train?model=long&target=y&solver=gradient-descent&max_iter=100000000&C=inf&tol=1e-15"
LONG_BODY = "x,y\n" + "".join(f"{row % 97},{'ab'[row % 89 > 44]}\n" for row in range(20_000))

Post = Callable[..., httpx.Response]


@pytest.fixture
def crew(store: Path) -> Iterator[Service]:
    """The service with two workers."""
    with serving(store, LOGITD_WORKERS="2", LOGITD_TRAIN_TIMEOUT_S="600", LOGITD_DRAIN_S="1") as service:
        yield service


@contextmanager
def held_to(service: Service, worker: int) -> Iterator[Post]:
    """POST to one worker, on a connection that it accepted while the others were held."""
    others = [pid for pid in service.children() if pid != worker]
    with httpx.Client(base_url=service.url, timeout=PATIENCE) as client:
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        try:
            assert client.get("/livez").status_code == 200
        finally:
            for pid in others:
                os.kill(pid, signal.SIGCONT)
        yield client.post


def trainers(worker: int) -> list[int]:
    """The processes that a worker started."""
    return [int(pid) for pid in Path(f"/proc/{worker}/task/{worker}/children").read_text().split()]


def test_one_training_at_a_time_over_all_workers(crew: Service) -> None:
    """While one worker trains, the other refuses: 409 for the same model, 503 for another; after its death it trains.

    The trainer ends with the worker that started it.
    """
    first, second = crew.children()
    with held_to(crew, first) as at_first, held_to(crew, second) as at_second, ThreadPoolExecutor(1) as pool:
        training = pool.submit(at_first, LONG, content=LONG_BODY, headers={"Content-Type": "text/csv"})
        wait_until(lambda: bool(trainers(first)) or training.done())
        (trainer,) = trainers(first)

        same = at_second("/train", json={**SMALL, "model": "long"})
        other = at_second("/train", json=SMALL)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: not is_running(trainer))
        with pytest.raises(httpx.HTTPError):
            training.result()
        afterwards = at_second("/train", json=SMALL)

    assert (same.status_code, same.json()["type"]) == (409, "/problems/train-in-progress")
    assert (other.status_code, other.json()["type"]) == (503, "/problems/trainer-busy")
    assert afterwards.status_code == 201, afterwards.text
    assert crew.stop() == 0


def test_answers_are_remembered_by_all_workers(crew: Service) -> None:
    """A key that one worker answered is answered alike by the other, and with another body it is a mismatch."""
    first, second = crew.children()
    key = {"Idempotency-Key": "k-1"}

    with held_to(crew, first) as at_first, held_to(crew, second) as at_second:
        trained = at_first("/train", json=SMALL, headers=key)
        again = at_second("/train", json=SMALL, headers=key)
        changed = at_second("/train", json={**SMALL, "model": "other"}, headers=key)

    assert trained.status_code == 201, trained.text
    assert (again.status_code, again.json()) == (201, trained.json())
    assert changed.json()["type"] == "/problems/idempotency-mismatch"
