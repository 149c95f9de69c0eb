"""Promotions and rollbacks under load over two workers: no request is lost, and no answer is stale or mixed."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from asking import abc_table, train_into
from service_process import PATIENCE, Service, environment, logitd, serving

from service.store.model_store import ModelStore
from service.tabular.table import Table

ROW = {"a": 0.3, "b": -1.0, "c": 0.7}
N_CLIENTS = 4
# Prints a line after each promotion that it was asked for by a line.
PROMOTER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from service.store.model_store import ModelStore
store = ModelStore(Path(sys.argv[1]))
for line in sys.stdin:
    store.set_alias("abc", "live", int(line), reason="", now=datetime.now(UTC))
    print(line.strip(), flush=True)
"""


@pytest.fixture(scope="module")
def swap_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions 1 and 2 of one model differ in strength, version 3 has two columns where they have three."""
    root = tmp_path_factory.mktemp("swaps") / "store"
    table = abc_table()
    for C in (1.0, 0.001):
        train_into(root, "abc", table, "y", C=C)
    two = Table(("a", "b", "y"), tuple(table.column(name) for name in ("a", "b", "y")), table.n_rows)
    train_into(root, "abc", two, "y")
    return root


@pytest.fixture(scope="module")
def swapped(swap_store: Path) -> Iterator[Service]:
    """The service over that store with two workers."""
    with serving(swap_store, LOGITD_WORKERS="2", LOGITD_DEFAULT_MODEL="abc") as service:
        assert service.process.stderr is not None
        # Each promotion is told; a log that nobody reads would hold the service up once the pipe is full.
        reader = threading.Thread(target=service.process.stderr.read)
        reader.start()
        yield service
        service.stop()
        reader.join()


@dataclass
class Promotions:
    """What was promoted: ``begun`` in order; the first ``n_returned`` of them have returned."""

    begun: list[int]
    n_returned: int = 1

    def do(self, version: int, promote: Callable[[int], None]) -> None:
        self.begun.append(version)
        promote(version)
        self.n_returned = len(self.begun)


@dataclass
class Clients:
    """Clients that ask all the time, and what was wrong with the answers."""

    service: Service
    promotions: Promotions
    expected: dict[int, list[float] | None]
    n_answers: int = 0
    faults: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        with httpx.Client(base_url=self.service.url, timeout=PATIENCE) as client:
            while not self._stop.is_set():
                # What a request that is sent now may not fall behind.
                n_returned = self.promotions.n_returned
                answer = client.post("/predict_proba", json={"instances": [ROW]})
                allowed = self.promotions.begun[n_returned - 1 :]
                fault = self._fault(answer, allowed)
                if fault:
                    self.faults.append(fault)
                self.n_answers += 1
                # Leave some of two processors to those who promote.
                self._stop.wait(0.002)

    def _fault(self, answer: httpx.Response, allowed: list[int]) -> str | None:
        version = int(answer.headers["model-version"].rpartition("/")[2])
        if version not in allowed:
            return f"version {version} answered, where {allowed} were live"
        expected = self.expected[version]
        if expected is None:
            return None if answer.status_code == 422 else f"{answer.status_code} of version {version}"
        if answer.status_code != 200:
            return answer.text
        if answer.json()["probabilities"] != [expected] or answer.json()["version"] != version:
            return f"another version's numbers: {answer.text}"
        return None

    @contextmanager
    def asking(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.ask) for _ in range(N_CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(PATIENCE)


def clients(service: Service, live: int) -> Clients:
    """Clients that know what each version answers; version 3 refuses the row."""
    store = ModelStore(service.store)
    table = Table(tuple(ROW), tuple(abc_table().column(name)[:1] * 0 + value for name, value in ROW.items()), 1)
    models = {version: store.load("abc", version).model for version in (1, 2)}
    expected = {version: model.probabilities(table)[0].tolist() for version, model in models.items()}
    return Clients(service, Promotions([live]), {**expected, 3: None})


@pytest.fixture
def by_http(swapped: Service) -> Callable[[int], None]:
    """A promotion through the service, each over another connection, so that each worker gets some."""

    def promote(version: int) -> None:
        answer = httpx.put(f"{swapped.url}/models/abc/aliases/live", json={"version": version}, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text

    return promote


def test_promotions_by_http(swapped: Service, by_http: Callable[[int], None]) -> None:
    """300 promotions and rollbacks: every answer is right for the version it names, which was live when it was sent."""
    by_http(1)
    asking = clients(swapped, live=1)

    with asking.asking():
        for index in range(300):
            asking.promotions.do((2, 1, 3)[index % 3] if index % 10 == 0 else 1 + index % 2, by_http)

    assert asking.faults == []
    assert asking.n_answers > 300


def test_promotions_by_another_process(swapped: Service, by_http: Callable[[int], None]) -> None:
    """The same when another process writes the files of the store, 300 times, and when the command line does."""
    by_http(1)
    asking = clients(swapped, live=1)
    command = [sys.executable, "-c", PROMOTER, str(swapped.store)]
    with (
        subprocess.Popen(command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other,
        asking.asking(),
    ):
        assert other.stdin is not None
        assert other.stdout is not None

        def by_files(version: int) -> None:
            print(version, file=other.stdin, flush=True)
            assert other.stdout is not None
            assert other.stdout.readline() == f"{version}\n"

        def by_command(version: int) -> None:
            done = logitd("models", "promote", f"abc/{version}", store=swapped.store)
            assert done.returncode == 0, done.stderr

        for index in range(300):
            asking.promotions.do(1 + index % 2, by_files)
        for version in (3, 1, 2):
            asking.promotions.do(version, by_command)
        other.stdin.close()

    assert asking.faults == []
    assert asking.n_answers > 300
