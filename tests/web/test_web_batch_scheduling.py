"""The policy of the event loop's thread while the service is full."""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.web import batch_scheduling
from service.web.load import Load


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="this policy is Linux's")
def test_loop_does_not_interrupt_the_work_while_the_service_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the last place that is taken until there has been a free one for a while; no sooner, and no other thread."""
    monkeypatch.setattr(batch_scheduling, "LOOK_S", 0.05)

    async def run() -> list[int]:
        load = Load(2, 30.0)
        load.enter()
        seen = [os.sched_getscheduler(0)]
        for _ in range(5):
            load.enter()
            seen.append(os.sched_getscheduler(0))
            load.leave()
            await asyncio.sleep(0.03)
        for _ in range(1000):
            if os.sched_getscheduler(0) == os.SCHED_OTHER:
                break
            await asyncio.sleep(0.03)
        return [*seen, os.sched_getscheduler(0)]

    with ThreadPoolExecutor(1) as pool:
        seen = pool.submit(asyncio.run, run()).result()

    assert seen == [os.SCHED_OTHER, *[os.SCHED_BATCH] * 5, os.SCHED_OTHER]
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="this policy is Linux's")
def test_work_that_is_long_as_a_rule_is_interrupted() -> None:
    """Who is refused does not wait for it; the policy comes back with shorter work, and a single long piece is none."""

    def work(seconds: float) -> None:
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            pass

    async def run() -> list[list[int]]:
        load, seen = Load(2, 30.0), []
        load.enter()
        for seconds, pieces in ((4 * batch_scheduling.LONG_S, 1), (4 * batch_scheduling.LONG_S, 5), (0.0, 20)):
            of_these = []
            for _ in range(pieces):
                load.enter()
                await load.at_turn(lambda seconds=seconds: work(seconds))  # type: ignore[misc]
                of_these.append(os.sched_getscheduler(0))
                load.leave()
            seen.append(of_these)
        return seen

    with ThreadPoolExecutor(1) as pool:
        one, more, short = pool.submit(asyncio.run, run()).result()

    assert one == [os.SCHED_BATCH]
    assert more[-1] == short[0] == os.SCHED_OTHER
    assert short[-1] == os.SCHED_BATCH


def test_a_policy_that_may_not_be_set_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may forbid it: requests are taken in all the same."""

    def forbidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", forbidden, raising=False)

    async def run() -> int:
        load = Load(1, 30.0)
        return await load.in_turn(lambda: load.in_flight)

    assert asyncio.run(run()) == 1
