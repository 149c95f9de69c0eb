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
def test_long_work_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is refused does not wait for it; the policy comes back some time after the last of it."""
    monkeypatch.setattr(batch_scheduling, "AFTER_LONG_S", 2.0)

    def work_long() -> None:
        end = time.thread_time() + 2 * batch_scheduling.LONG_S
        while time.thread_time() < end:
            pass

    async def run() -> list[int]:
        load, seen = Load(2, 30.0), []
        load.enter()
        for _ in range(2):
            load.enter()
            seen.append(os.sched_getscheduler(0))
            await load.at_turn(work_long)
            seen.append(os.sched_getscheduler(0))
            load.leave()
            await asyncio.sleep(2.1)
        return seen

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(asyncio.run, run()).result() == [os.SCHED_BATCH, os.SCHED_OTHER] * 2


def test_a_policy_that_may_not_be_set_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may forbid it: requests are taken in all the same."""

    def forbidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", forbidden, raising=False)

    async def run() -> int:
        load = Load(1, 30.0)
        return await load.in_turn(lambda: load.in_flight)

    assert asyncio.run(run()) == 1
