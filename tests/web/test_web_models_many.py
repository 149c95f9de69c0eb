"""A store of very many models: what a page of them costs, counted and not timed."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from asking import GOOD, MakeClient

pytest_plugins = ("served",)


class Work:
    """What is opened and listed below a store while it is on, by the interpreter's audit events, and in which threads."""

    def __init__(self) -> None:
        self.root: Path | None = None
        self.done: list[tuple[str, int]] = []

    def hear(self, event: str, details: tuple[object, ...]) -> None:
        if self.root is None or event not in {"open", "os.scandir", "os.listdir"}:
            return
        if isinstance(details[0], (str, Path)) and Path(details[0]).is_relative_to(self.root):
            self.done.append((event, threading.get_ident()))


@pytest.fixture(scope="module")
def work() -> Work:
    """One listener for all tests, since an audit hook stays for ever."""
    work = Work()
    sys.addaudithook(work.hear)
    return work


def test_a_long_list_costs_one_look_a_model_and_no_prediction(
    make_client: MakeClient, store_copy: Path, work: Work
) -> None:
    """S13: of 900 models more a page reads as many files, lists 900 directories more, and never in the event loop."""
    client = make_client(store_copy)
    found = []

    for n_models in (100, 1000):
        for number in range(n_models):
            (store_copy / f"m{number}/versions/1").mkdir(parents=True, exist_ok=True)
        work.done.clear()
        work.root = store_copy
        page = client.get("/models?limit=50")
        work.root = None
        assert len(page.json()["models"]) == 50
        found.append(Counter(event for event, _ in work.done))
        assert threading.main_thread().ident not in {thread for _, thread in work.done}

    assert found[1] - found[0] == Counter({"os.scandir": 900})
    # What is asked before each answer looks into no directory, however many there are.
    work.done.clear()
    work.root = store_copy
    assert client.post("/predict?model=abc", json=GOOD).status_code == 200
    first = len(work.done)
    assert client.post("/predict?model=abc", json=GOOD).status_code == 200
    work.root = None
    assert len(work.done) == first
