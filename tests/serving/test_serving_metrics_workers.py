"""Several workers count as one: nothing is lost or counted twice, whoever is killed, and whatever lies in the directory."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scraped import growing, scrape

from service.serving.metrics import Metrics
from service.serving.metrics.layout import SIZE

CHILD = Path(__file__).parent / "counting_child.py"
ANSWERS = (
    'http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="200",'
    'http_route="/models"}'
)
PREDICTIONS = 'logitd_predictions_total{model="abc",version="1"}'
N_WORKERS, N_SCRAPES, N_KILLS = 4, 1000, 4


def counting(directory: Path, tally: Path, times: float = math.inf) -> subprocess.Popen[bytes]:
    """A worker of its own that has begun to count, or has counted so many times."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen([sys.executable, CHILD, directory, tally, str(times)], env=environment)
    least = 1 if math.isinf(times) else times
    while not (tally.exists() and tally.stat().st_size >= least):
        assert child.poll() is None
        time.sleep(0.01)
    return child


def kill(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()


def test_counts_only_grow_while_workers_are_killed_and_replaced(tmp_path: Path) -> None:
    """1 000 scrapes over 4 workers: no sample of a counter or histogram falls, and in the end all counts are there."""
    directory = tmp_path / "metrics"
    metrics = Metrics.open(directory, version="1")
    tallies = [tmp_path / f"tally-{number}" for number in range(N_WORKERS + N_KILLS)]
    waiting = iter(tallies)
    workers = [counting(directory, next(waiting)) for _ in range(N_WORKERS)]
    before = growing(metrics)

    for number in range(N_SCRAPES):
        if number % (N_SCRAPES // N_KILLS) == N_SCRAPES // N_KILLS - 1:
            kill(workers.pop(0))
            workers.append(counting(directory, next(waiting)))
        now = scrape(metrics)
        assert [sample for sample in before if now[sample] < before[sample]] == []
        before = {sample: now[sample] for sample in before}
    alive = scrape(metrics)
    for worker in workers:
        kill(worker)

    counted = sum(tally.stat().st_size for tally in tallies)
    after = scrape(metrics)
    assert counted <= after[ANSWERS] <= counted + len(tallies)
    assert counted <= after[PREDICTIONS] <= counted + len(tallies)
    assert (alive["logitd_workers"], alive["http_server_active_requests"]) == (N_WORKERS + 1, N_WORKERS)
    assert (after["logitd_workers"], after["http_server_active_requests"]) == (1, 0)
    assert len(list(directory.glob("worker-*"))) == N_WORKERS + 1


def test_what_a_killed_worker_counted_stays(tmp_path: Path) -> None:
    """A worker that counted 700 and is killed leaves 700, to its successor too, which counts on in the same file."""
    for number in (1, 2):
        kill(counting(tmp_path, tmp_path / f"tally-{number}", 700))

    seen = scrape(Metrics.open(tmp_path, version="1"))

    assert (seen[ANSWERS], seen[PREDICTIONS]) == (1400, 1400)
    assert seen['logitd_prediction_phase_duration_seconds_count{phase="predict"}'] == 1400
    assert [path.name for path in tmp_path.glob("worker-*")] == ["worker-0"]


def test_every_worker_shows_the_same(tmp_path: Path) -> None:
    """Whichever worker is asked, it shows the counts of all of them."""
    first, second = (Metrics.open(tmp_path, version="1") for _ in range(2))

    first.answered("GET", "/models", 200, 0.25)
    second.answered("GET", "/models", 200, 0.5)
    second.answered("GET", "/models", 404, 0.5)
    second.started()

    seen, also = scrape(first), scrape(second)
    assert seen[ANSWERS] == also[ANSWERS] == 2
    assert seen[ANSWERS.replace("_count", "_sum")] == 0.75
    assert seen[ANSWERS.replace("200", "404")] == 1
    assert seen["http_server_active_requests"] == also["http_server_active_requests"] == 1
    assert seen["logitd_workers"] == 2


def test_apps_without_a_directory_share_nothing() -> None:
    """Two apps in one process count each for itself."""
    one, other = Metrics.open(version="1"), Metrics.open(version="1")

    one.answered("GET", "/models", 200, 0.25)

    assert scrape(one)[ANSWERS] == 1
    assert ANSWERS not in scrape(other)


def test_a_place_is_taken_again(tmp_path: Path) -> None:
    """The first place without a worker is the next one's: its counts go on, and its requests in flight are over."""
    gone, stays = (Metrics.open(tmp_path, version="1") for _ in range(2))
    gone.answered("GET", "/models", 200, 0.25)
    gone.started()
    del gone

    new = Metrics.open(tmp_path, version="1")
    new.answered("GET", "/models", 200, 0.25)

    assert scrape(stays)[ANSWERS] == 2
    assert scrape(stays)["http_server_active_requests"] == 0
    assert sorted(path.name for path in tmp_path.glob("worker-*")) == ["worker-0", "worker-1"]


def spoilt(body: bytes, what: str) -> bytes:
    """A file of a worker after something happened to it."""
    match what:
        case "short":
            return body[:-1]
        case "long":
            return body + b"\0"
        case "foreign":
            return b"PNG" + bytes(SIZE - 3)
        case "names":
            return body.replace(b"parse", b"pasre", 1)
        case "numbers":
            return body[: SIZE // 2] + b"\xff" * (SIZE // 2)
        case _:
            return bytes(SIZE)


@pytest.mark.parametrize("what", ["short", "long", "foreign", "names", "numbers", "zeros"])
def test_a_damaged_file_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str) -> None:
    """A worker that finds its file damaged says so once, keeps it under another name, and begins at nothing."""
    metrics = Metrics.open(tmp_path, version="1")
    metrics.answered("GET", "/models", 200, 0.25)
    del metrics
    path = tmp_path / "worker-0"
    damaged = spoilt(path.read_bytes(), what)
    path.write_bytes(damaged)

    new = Metrics.open(tmp_path, version="1")
    new.answered("GET", "/models", 200, 0.25)

    assert scrape(new)[ANSWERS] == 1
    assert (tmp_path / "worker-0.aside").read_bytes() == damaged
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("what", ["short", "long", "foreign", "names", "numbers", "zeros"])
def test_a_damaged_file_does_not_stop_a_scrape(tmp_path: Path, what: str) -> None:
    """What is damaged while nobody holds it is left out of the sums."""
    first, second = (Metrics.open(tmp_path, version="1") for _ in range(2))
    first.answered("GET", "/models", 200, 0.25)
    second.answered("GET", "/models", 200, 0.25)
    del second
    path = tmp_path / "worker-1"
    path.write_bytes(spoilt(path.read_bytes(), what))

    assert scrape(first)[ANSWERS] == 1


def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    """A directory, a link and a pipe where files of workers should be stop neither a worker nor a scrape."""
    (tmp_path / "worker-0").mkdir()
    (tmp_path / "worker-1").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "worker-2")
    (tmp_path / "worker-x").touch()

    metrics = Metrics.open(tmp_path, version="1")
    metrics.answered("GET", "/models", 200, 0.25)

    assert scrape(metrics)[ANSWERS] == 1
    assert not (tmp_path / "elsewhere").exists()


def test_a_directory_that_was_cleaned_away_stops_nothing(tmp_path: Path) -> None:
    """Workers go on counting, and show each other's counts, when the files are deleted underneath them."""
    directory = tmp_path / "metrics"
    first, second = (Metrics.open(directory, version="1") for _ in range(2))
    first.answered("GET", "/models", 200, 0.25)
    before = scrape(second)[ANSWERS]

    shutil.rmtree(directory)
    first.answered("GET", "/models", 200, 0.25)

    assert (before, scrape(second)[ANSWERS]) == (1, 2)


def test_without_a_directory_to_write_a_worker_counts_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the directory cannot be made, the service counts in memory, and one line says so."""
    (tmp_path / "file").touch()

    metrics = Metrics.open(tmp_path / "file" / "metrics", version="1")
    metrics.answered("GET", "/models", 200, 0.25)

    assert scrape(metrics)[ANSWERS] == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]
