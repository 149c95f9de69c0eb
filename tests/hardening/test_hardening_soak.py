"""The soak's accounting: what it holds for out of bounds, and what it does not."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hardening.load.models import store_with_models
from hardening.load.processes import OTHER, SERVICE, WORKER, Look
from hardening.soak.__main__ import report
from hardening.soak.asks import all_asks
from hardening.soak.disturbances import timetable
from hardening.soak.leftovers import findings_in
from hardening.soak.lives import MOST_UNBURIED, SLACK_DESCRIPTORS, SLACK_THREADS, Life, Lives, findings_at_rest
from hardening.soak.planted import ONE_IN, WAYS_IN, failing, leaking
from hardening.soak.run import Evidence
from hardening.soak.tally import CLOSED, KILL_S, MOST_ODDITIES, RESET, TIMED_OUT, Oddity, Tally
from service.web.call import Answer, Call, Head
from service.web.dialects.native import NativeDialect

MIB = 1024


def look(pid: int = 7, role: str = WORKER, **values: Any) -> Look:
    return Look(pid, role, **{"rss_kib": 100 * MIB, "n_descriptors": 20, "n_threads": 4, **values})


def lives(rss_kib: Callable[[int], float], *, seconds: int, role: str = WORKER) -> Lives:
    """One process whose memory was looked at each second."""
    found = Lives()
    for at in range(seconds + 1):
        found.add(float(at), [look(role=role, rss_kib=round(rss_kib(at)))])
    return found


def test_the_slope_is_that_of_the_warm_part() -> None:
    """Half of a short life is warming up, ten minutes of a long one; the rest grows by so much a minute."""
    short = lives(lambda at: 100 * max(at, 30), seconds=60).by_pid[7]
    long = lives(lambda at: 100 * max(at, 600), seconds=1800).by_pid[7]

    assert short.slope() == pytest.approx(6000)
    assert short.growth_kib() == pytest.approx(3000)
    assert long.slope() == pytest.approx(6000)
    assert long.growth_kib() == pytest.approx(120_000)


@pytest.mark.parametrize(
    ("kib_per_s", "seconds", "is_found"),
    [(3000, 60, True), (1000, 60, False), (20, 1800, True), (4, 1800, False), (4, 14_400, False), (-100, 1800, False)],
)
def test_growth_is_found_where_it_is_more_than_noise(kib_per_s: float, seconds: int, *, is_found: bool) -> None:
    """64 MiB in half a minute, 16 MiB in half an hour, 256 KiB/min in hours: less is what large requests leave."""
    found = lives(lambda at: 200 * MIB + kib_per_s * at, seconds=seconds)

    assert [line.startswith("memory of worker 7 grows: ") for line in found.findings()] == [True] * is_found


def test_memory_that_goes_up_and_down_is_no_leak() -> None:
    """As it does with requests of ten thousand rows."""
    assert lives(lambda at: 150 * MIB + at % 7 * 20 * MIB, seconds=1800).findings() == []


def test_memory_that_comes_to_its_height_late_is_no_leak() -> None:
    """A worker that went up in steps for eleven minutes and then stayed where it was, as one of 995 seconds did."""
    steps = {0: 130, 120: 165, 430: 180, 480: 156, 600: 196, 660: 203, 900: 206}

    assert lives(lambda at: MIB * max(rss for since, rss in steps.items() if since <= at), seconds=995).findings() == []


@pytest.mark.parametrize(("role", "seconds"), [(WORKER, 30), (OTHER, 60)])
def test_short_lives_and_trainers_may_grow(role: str, seconds: int) -> None:
    """They say nothing about a leak."""
    assert lives(lambda at: 9000 * at, seconds=seconds, role=role).findings() == []


def test_a_zombie_is_found_when_it_stays() -> None:
    """A child that ended a moment ago is about to be buried; one that lies about is not."""
    buried, forgotten = Life(1, OTHER), Life(2, OTHER)
    for at in range(2 * MOST_UNBURIED):
        buried.add(at, look(is_zombie=at % MOST_UNBURIED != 0))
        forgotten.add(at, look(is_zombie=at > 0))

    assert buried.findings() == []
    assert forgotten.findings() == [f"other 2 was a zombie for {2 * MOST_UNBURIED - 1} s"]


def test_at_rest_everything_is_as_it_was() -> None:
    """Descriptors, threads beyond those that asyncio keeps, and processes that came with the load are findings."""
    before = [look(1, SERVICE, n_descriptors=9, n_threads=1), look(2), look(3)]
    kept: dict[str, Any] = {"n_descriptors": 20 + SLACK_DESCRIPTORS, "n_threads": 4 + SLACK_THREADS}
    more: dict[str, Any] = {"n_descriptors": 21 + SLACK_DESCRIPTORS, "n_threads": 5 + SLACK_THREADS}

    assert findings_at_rest(before, [*before[:1], look(4, **kept)]) == []
    assert findings_at_rest(before, [look(4, **more), look(5, OTHER)]) == [
        f"descriptors of worker 4: {21 + SLACK_DESCRIPTORS}, and 20 before the load",
        f"threads of worker 4: {5 + SLACK_THREADS}, and 4 before the load",
        "other 5 is still there",
    ]


def odd(label: str, began: float, ended: float) -> Oddity:
    return Oddity("good", "json 1", label, began, ended)


@pytest.mark.parametrize(
    ("oddity", "is_due_to_it"),
    [
        (odd(RESET, 99.0, 100.1), True),
        (odd(CLOSED, 100.0 + KILL_S / 2, 100.0 + KILL_S), True),
        (odd(RESET, 98.0, 99.9), False),
        (odd(RESET, 100.1 + KILL_S, 103.0), False),
        (odd(TIMED_OUT, 99.0, 100.1), False),
        (odd("500 internal", 99.0, 100.1), False),
    ],
)
def test_a_kill_explains_lost_connections_of_its_moment_alone(oddity: Oddity, *, is_due_to_it: bool) -> None:
    """Neither those before or after it, nor what hangs, nor a wrong answer."""
    tally = Tally()
    tally.add("good", oddity.label, oddity)

    assert tally.findings([50.0, 100.0]) == ([] if is_due_to_it else [f"good (json 1): {oddity.label}, 1 times"])
    assert tally.lost_in_kills([50.0, 100.0]) == is_due_to_it


def test_tallies_add_up() -> None:
    """Counts of several clients, by kind, by class; more oddities than are kept are told of."""
    first, second = Tally(), Tally()
    for _ in range(MOST_ODDITIES):
        first.add("good", RESET, odd(RESET, 0, 1))
    second.add("good", "200")
    second.add("bad", "422 feature-count")
    second.add("good", RESET, odd(RESET, 0, 1))

    first.merge(second)

    assert first.total == MOST_ODDITIES + 3
    assert first.by_class() == {"2xx": 1, "4xx": 1, "none": MOST_ODDITIES + 1}
    assert first.findings([]) == [f"good (json 1): reset, {MOST_ODDITIES} times", "1 oddities more than are kept"]


def test_what_is_left_behind_is_found(tmp_path: Path) -> None:
    """Unfinished publications, directories that workers shared, temporary files; a kill explains those of its moment."""
    store, shared, scratch = tmp_path / "store", tmp_path / "logitd-x", tmp_path / "scratch"
    for folder in (store / "iris/.tmp/abc", shared, scratch / "spool"):
        folder.mkdir(parents=True)

    assert findings_in(store, [shared], scratch, []) == [
        "unfinished in the store: iris/.tmp/abc",
        f"the workers' directory is still there: {shared}",
        "temporary file: spool",
    ]
    shared.rmdir()
    assert findings_in(store, [shared], scratch, [time.monotonic()]) == []


def test_evidence_is_judged_as_a_whole() -> None:
    """An exit code, an error in the log and a leftover are findings, and stand below the tables."""
    evidence = Evidence(exit_code=1, complaints=["ERROR one", "ERROR two"], leftovers=["temporary file: spool"])
    evidence.lives.add(0.0, [look()])
    evidence.tally.add("good", "200")

    assert evidence.findings() == [
        "the service ended with exit code 1",
        "2 errors in the log, the first: ERROR one",
        "temporary file: spool",
    ]
    assert report(evidence).endswith(
        "1 requests; 0 kills, in which 0 requests were lost; 0 replacements of all workers; 3 findings"
    )
    assert Evidence().findings() == []


def test_workers_are_killed_in_their_time() -> None:
    """Never two within fifteen seconds, none at the very end, one SIGHUP; who works alone is left alone."""
    times = [at for at, number in timetable(1800, 2) if number == signal.SIGKILL]

    assert len(times) == 14
    assert min(after - before for before, after in pairwise(times)) == 120
    assert [at for at, _ in timetable(60, 2)] == [15, 30, pytest.approx(33), 45]
    assert not timetable(1800, 1)


def test_questions_differ() -> None:
    """Each has its own name and bytes, and at least one answer that it may get."""
    asks = all_asks()

    assert len({ask.wire for ask in asks}) == len(asks)
    assert {ask.kind for ask in asks} == {"good", "bad", "page"}
    assert all(ask.expected for ask in asks)


def test_models_have_versions_that_differ(tmp_path: Path) -> None:
    """Two models of several versions each."""
    store = store_with_models(tmp_path)

    files = [path.read_bytes() for path in store.glob("*/versions/*/parameters.safetensors")]
    assert len(files) == len(set(files)) == 6
    assert sorted(path.name for path in store.iterdir()) == ["small", "wide"]


def test_plants_change_what_there_is() -> None:
    """The launcher's defects sit on methods of the dialect: one keeps every body, one answers 500 now and then."""
    answer = Answer(200, Head([]), b"{}\n")
    call = Call("/predict", b"", {}, b"[[1]]", "id", 0)

    fails = failing(lambda _, __: answer)
    statuses = [fails(None, call).status for _ in range(ONE_IN)]
    keeps = leaking(lambda _, __: answer)

    assert all(callable(getattr(NativeDialect, way)) for way in WAYS_IN)
    assert statuses == [200] * (ONE_IN - 1) + [500]
    assert keeps(None, call) is answer
    (kept,) = (cell.cell_contents for cell in keeps.__closure__ or () if isinstance(cell.cell_contents, list))
    assert kept == [b"[[1]]"]
