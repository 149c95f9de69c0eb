"""Training in a child process: one at a time, and whatever happens to the child, the service goes on."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import MakeClient

from service.cli.environment import child_environment
from service.errors import (
    IdempotencyMismatch,
    OutOfMemory,
    ServiceError,
    SingleClass,
    TrainerBusy,
    TrainFailed,
    TrainInProgress,
    TrainTimeout,
)
from service.serving import trainer_process
from service.serving.carried import as_error, as_json
from service.serving.trainer_process import TrainerLimits, TrainerProcess, TrainingJob

pytest_plugins = ("served",)

HERE = str(Path(__file__).parent)
LIMITS = TrainerLimits(max_rows=10_000, max_features=100, max_cells=100_000, timeout_s=60, memory_bytes=2**31)
RNG = np.random.default_rng(3)
ROWS = RNG.normal(size=(30, 2)).tolist()


def body(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "instances": ROWS, "targets": [int(a > 0) for a, _ in ROWS], **more}


def job(model: str, **more: Any) -> TrainingJob:
    return TrainingJob(json.dumps(body(model, **more)).encode(), is_csv=False, parameters={})


def children() -> set[int]:
    """The processes whose parent this process is, as /proc has them."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = status.read_text().rpartition(")")[2].split()[1]
        except OSError:  # it ended meanwhile
            continue
        if int(parent) == os.getpid():
            found.add(int(status.parent.name))
    return found


def new_child(before: set[int]) -> int:
    """Wait for a child that was not there before."""
    while not (started := children() - before):
        time.sleep(0.01)
    return started.pop()


async def outcome(training: Awaitable[dict[str, Any]]) -> dict[str, Any] | ServiceError:
    """The answer of a training, or its error."""
    try:
        return await training
    except ServiceError as error:
        return error


@pytest.fixture
def trainer(tmp_path: Path) -> TrainerProcess:
    """A trainer over an empty store."""
    return TrainerProcess(str(tmp_path / "store"), LIMITS, child_environment())


@pytest.fixture
def with_child(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the trainer start another module of this folder as its child."""

    def use(module: str) -> None:
        monkeypatch.setattr(trainer_process, "CHILD", module)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([HERE, os.environ.get("PYTHONPATH", "")]))

    return use


def test_sixteen_trainings_of_one_model_give_one_version(make_client: MakeClient, store_copy: Path) -> None:
    """T16, T17: at the same time one of them is 201, the others 409; another model's is 503 with Retry-After."""
    client = make_client(store_copy)
    calls = [*(("/train", body("new")) for _ in range(16)), ("/train", body("other"))]

    *same, other = client.post_all(calls)

    assert sorted(answer.status_code for answer in same) == [201, *[409] * 15]
    client.check_problem(next(answer for answer in same if answer.status_code == 409), 409, "train-in-progress")
    client.check_problem(other, 503, "trainer-busy")
    assert int(other.headers["retry-after"]) >= 1
    assert client.get("/models/new").json()["versions"] == [1]
    assert client.get("/models/other").status_code == 404


def test_a_killed_child_is_train_failed(
    make_client: MakeClient, store_copy: Path, with_child: Callable[[str], None]
) -> None:
    """T20: after SIGKILL of the child the answer is 503, and the live model answers."""
    with_child("dying_child")
    client = make_client(store_copy)

    answer = client.post("/train", json=body("abc"))

    client.check_problem(answer, 503, "train-failed")
    assert int(answer.headers["retry-after"]) >= 1
    client.check_alive()
    assert client.get("/models/abc").json()["versions"] == [1]


def test_a_defect_in_the_child_is_told_without_its_words(
    make_client: MakeClient, store_copy: Path, with_child: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    """A defect and a warning of the training process reach the log with class and place, and the request's id."""
    with_child("defective_child")

    answer = make_client(store_copy).post("/train", json=body("abc"), headers={"X-Request-Id": "me"})

    told = [
        (record.message, vars(record)["request_id"]) for record in caplog.records if record.name == "logitd.trainer"
    ]
    assert told == [("the training process complained", "me"), ("a defect while training", "me")]
    warned, failed = (vars(record) for record in caplog.records if record.name == "logitd.trainer")
    assert re.fullmatch(r"RuntimeWarning at \S+/defective_child.py:\d+", warned["stderr"])
    assert re.fullmatch(r"LookupError at .+/defective_child.py:\d+ fail", failed["exception"])
    assert answer.json()["status"] == 503
    assert "instances" not in answer.text + str(warned) + str(failed)


def test_a_training_without_enough_memory_is_told(
    make_client: MakeClient, store_copy: Path, with_child: Callable[[str], None]
) -> None:
    """T22: a child at its bound of memory is 503 with Retry-After, and the service is not affected."""
    with_child("greedy_child")
    client = make_client(store_copy, train_memory_bytes=1 << 28)

    answer = client.post("/train", json=body("abc"))

    client.check_problem(answer, 503, "out-of-memory")
    assert int(answer.headers["retry-after"]) >= 1
    client.check_alive()
    assert client.get("/models/abc").json()["versions"] == [1]


# Of the two files, of the version's directory, and of the directory that holds it; promotion has its own.  ``make crash``
# tries every call of both, with other errors too.  There is one slug for all that a disk may say: so is the remedy.
@pytest.mark.parametrize("at", [1, 4])
def test_a_disk_that_fails_keeps_the_live_model(
    make_client: MakeClient,
    store_copy: Path,
    with_child: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    at: int,
) -> None:
    """T25: after EIO of an fsync the answer is 503, no version shows, and nothing is left over."""
    with_child("failing_child")
    monkeypatch.setenv("FAILING_FSYNC", str(at))
    client = make_client(store_copy)

    answer = client.post("/train", json=body("abc"))

    client.check_problem(answer, 503, "store-unavailable")
    assert client.get("/models/abc").json()["versions"] == [1]
    assert list((store_copy / "abc" / ".tmp").iterdir()) == []
    client.check_alive()


def test_a_child_that_is_killed_from_outside(trainer: TrainerProcess) -> None:
    """T20: the slot is free again after ``kill -9``, and the same training then succeeds."""

    async def killed_then_again() -> tuple[dict[str, Any] | ServiceError, dict[str, Any]]:
        before = children()
        running = asyncio.create_task(outcome(trainer.train(job("new"))))
        os.kill(await asyncio.to_thread(new_child, before), signal.SIGKILL)
        return await running, await trainer.train(job("new"))

    failure, answer = asyncio.run(killed_then_again())

    assert isinstance(failure, TrainFailed)
    assert answer["version"] == 1


def test_a_training_that_takes_too_long_is_stopped(make_client: MakeClient, store_copy: Path) -> None:
    """T21: after the time-out the answer is 504, the child is gone, and the live model answers."""
    before = children()
    client = make_client(store_copy, train_timeout_s=0.05)

    answer = client.post("/train", json=body("abc"))

    client.check_problem(answer, 504, "train-timeout")
    assert children() == before
    client.check_alive()


def test_a_service_that_stops_ends_its_child(trainer: TrainerProcess, tmp_path: Path) -> None:
    """T30: a cancelled training takes its child along and publishes nothing."""

    async def stop_at_once() -> set[int]:
        before = children()
        running = asyncio.create_task(trainer.train(job("new")))
        await asyncio.to_thread(new_child, before)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return children() - before

    assert asyncio.run(stop_at_once()) == set()
    assert not (tmp_path / "store" / "new" / "versions").exists()


def test_a_disk_without_room_keeps_the_live_model(
    make_client: MakeClient, store_copy: Path, with_child: Callable[[str], None]
) -> None:
    """T23: where the child cannot write, the answer is 503 or 507, nothing is left over, and predictions go on."""
    with_child("cramped_child")
    client = make_client(store_copy)

    answer = client.post("/train", json=body("abc"))

    assert answer.status_code in {503, 507}
    assert answer.json()["type"] in {"/problems/store-unavailable", "/problems/store-full"}
    assert client.get("/models/abc").json()["versions"] == [1]
    assert list((store_copy / "abc" / ".tmp").iterdir()) == []
    client.check_alive()


def test_a_store_that_cannot_be_written_is_told(make_client: MakeClient, store_copy: Path) -> None:
    """T24: where the store lets nothing be written, /train is 503 and predictions go on."""
    (store_copy / "abc" / ".tmp").rmdir()
    (store_copy / "abc" / ".tmp").write_text("in the way, for root too")
    client = make_client(store_copy)

    answer = client.post("/train", json=body("abc"))

    client.check_problem(answer, 503, "store-unavailable")
    client.check_alive()


def test_the_slot_tells_this_from_another_model(trainer: TrainerProcess) -> None:
    """While one model is trained, the same one is TrainInProgress and another TrainerBusy, CSV or JSON."""
    csv = TrainingJob(b"x,y\n1,a\n", is_csv=True, parameters={"model": "new", "target": "y"})

    async def four() -> list[BaseException | dict[str, Any]]:
        return await asyncio.gather(
            *(trainer.train(one) for one in (job("new"), csv, job("new"), job("other"))), return_exceptions=True
        )

    first, *refused = asyncio.run(four())

    assert isinstance(first, dict)
    assert [type(error) for error in refused] == [TrainInProgress, TrainInProgress, TrainerBusy]


def test_answers_are_remembered_by_key(trainer: TrainerProcess) -> None:
    """A key repeats its answer without a child; failures are not remembered; another body is a mismatch."""
    single = job("new", targets=[1] * 30)
    good = job("new")

    async def talk() -> list[Any]:
        jobs = (single, good, good, job("new", promote=False))
        return [await outcome(trainer.train(one, "k")) for one in jobs]

    failed, first, again, other = asyncio.run(talk())

    assert isinstance(failed, SingleClass)
    assert again is first
    assert isinstance(other, IdempotencyMismatch)


@pytest.mark.parametrize(
    ("written", "model"),
    [
        (b'{"model": "churn"}', "churn"),
        (b'{ "instances": [], "model" : "churn" }', "churn"),
        (b'{"model": 5}', ""),
        (b"", ""),
        (b'"model"' * 10_000, ""),
    ],
)
def test_the_glance_at_the_model(written: bytes, model: str) -> None:
    """The name that a body seems to train is read without parsing it."""
    assert TrainingJob(written, is_csv=False, parameters={}).model == model


def test_the_digest_covers_all_that_decides() -> None:
    """Body, kind and parameters make the digest; the order of parameters does not."""
    jobs = [
        TrainingJob(b"x", is_csv=True, parameters={"a": "1", "b": "2"}),
        TrainingJob(b"x", is_csv=True, parameters={"b": "2", "a": "1"}),
        TrainingJob(b"x", is_csv=False, parameters={"a": "1", "b": "2"}),
        TrainingJob(b"y", is_csv=True, parameters={"a": "1", "b": "2"}),
        TrainingJob(b"x", is_csv=True, parameters={"a": "1"}),
    ]

    assert jobs[0].digest == jobs[1].digest
    assert len({one.digest for one in jobs}) == 4


@pytest.mark.parametrize(
    "error",
    [
        SingleClass("one class", pointer="/targets", hint="send two"),
        OutOfMemory("too much"),
        TrainTimeout("too long"),
    ],
)
def test_errors_survive_the_pipe(error: Any) -> None:
    """An error told by the child is raised by the parent as the same class with the same places."""
    again = as_error(json.loads(json.dumps(as_json(error))))

    assert type(again) is type(error)
    assert (again.detail, again.errors, again.hint) == (error.detail, error.errors, error.hint)


def test_an_unknown_error_is_train_failed() -> None:
    """A class that the parent does not know becomes TrainFailed."""
    assert isinstance(as_error({"class": "Strange", "detail": "x", "errors": [], "hint": None}), TrainFailed)
