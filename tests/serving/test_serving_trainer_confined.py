"""What a training may take: memory, processors, time, and one slot over all workers."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.cli.environment import child_environment
from service.errors import OutOfMemory, TrainerBusy, TrainInProgress, TrainTimeout
from service.serving import trainer_process, training_slot
from service.serving.trainer_process import TrainerLimits, TrainerProcess, TrainingJob
from service.serving.training_slot import Answers, TrainingSlot

HERE = str(Path(__file__).parent)
MEMORY = 1 << 29

MakeTrainer = Callable[..., TrainerProcess]


@pytest.fixture
def make_trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeTrainer:
    """Build a trainer whose child is another module of this folder."""

    def build(module: str, timeout_s: float = 60) -> TrainerProcess:
        monkeypatch.setattr(trainer_process, "CHILD", module)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([HERE, os.environ.get("PYTHONPATH", "")]))
        limits = TrainerLimits(max_rows=10, max_features=10, max_cells=100, timeout_s=timeout_s, memory_bytes=MEMORY)
        return TrainerProcess(str(tmp_path / "store"), limits, child_environment())

    return build


def job(model: str) -> TrainingJob:
    return TrainingJob(json.dumps({"model": model}).encode(), is_csv=False, parameters={})


def is_gone(pid: int) -> bool:
    """Whether no process, or only a dead one, has this id."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_training_takes_what_is_left(make_trainer: MakeTrainer) -> None:
    """The child has the least right to processors, one BLAS thread, bounded memory, and is the kernel's first choice."""
    limits = asyncio.run(make_trainer("telling_child").train(job("new")))

    assert limits == {
        "niceness": 19,
        "policy": os.SCHED_BATCH,
        "oom_score_adj": 1000,
        "autogroup": "19",
        "memory": [MEMORY, MEMORY],
        "blas_threads": "1",
        "leads_its_session": True,
    }


@pytest.mark.parametrize("model", ["python", "native", "thread"])
def test_memory_has_a_bound(make_trainer: MakeTrainer, model: str) -> None:
    """A training that wants more than its bound is OutOfMemory, also when the process ends for it."""
    with pytest.raises(OutOfMemory, match="send fewer cells"):
        asyncio.run(make_trainer("greedy_child").train(job(model)))


def test_a_deadline_ends_the_whole_family(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    """At its deadline a training is killed with every process that it started."""
    file = tmp_path / "grandchild"
    trainer = make_trainer("fruitful_child", timeout_s=3)

    with pytest.raises(TrainTimeout):
        asyncio.run(trainer.train(job(str(file))))

    pid = int(file.read_text())
    while not is_gone(pid):
        pass


def test_a_slot_is_taken_over_all_workers(tmp_path: Path) -> None:
    """Two slots of one directory exclude each other, and tell the same model from another one."""
    mine, theirs = TrainingSlot(tmp_path), TrainingSlot(tmp_path)

    with mine.taken("a"):
        with pytest.raises(TrainInProgress), theirs.taken("a"):
            pass
        with pytest.raises(TrainerBusy), theirs.taken("b"):
            pass
    with theirs.taken("b"), pytest.raises(TrainerBusy), mine.taken("a"):
        pass


def test_a_slot_is_free_when_its_holder_was_killed(tmp_path: Path) -> None:
    """The slot dies with the process that held it."""
    slot = TrainingSlot(tmp_path)
    hold = (
        "import pathlib, signal, sys; from service.serving.training_slot import TrainingSlot\n"
        "with TrainingSlot(pathlib.Path(sys.argv[1])).taken('a'): print(flush=True); signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", hold, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()

        with pytest.raises(TrainInProgress), slot.taken("a"):
            pass
        holder.kill()

    with slot.taken("a") as descriptors:
        assert len(descriptors) == 1


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_thousand_answers_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_shared: bool) -> None:
    """The newest answers stay, in memory or in files that all workers see; the oldest goes."""
    monkeypatch.setattr(training_slot, "MAX_REMEMBERED_ANSWERS", 3)
    directory = tmp_path if is_shared else None
    answers = Answers(directory)
    found: list[Any] = []

    for number in range(4):
        answers.remember(f"key {number}", f"digest {number}", {"version": number})
    reader = Answers(directory) if is_shared else answers
    found = [reader.get(f"key {number}") for number in range(4)]

    assert found == [None, *(((f"digest {number}", {"version": number})) for number in range(1, 4))]
