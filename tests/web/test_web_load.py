"""What one process takes on: exactly so much, in turn, in time, and nothing for those who left."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from gate import Gate
from starlette.requests import ClientDisconnect

from service.web.errors import DeadlineExceeded, TemporaryReducedCapacity
from service.web.load import FREE_BYTES, THREADS, Load


def test_exactly_so_many_are_taken_in_and_the_next_is_refused_at_once() -> None:
    """Of eight requests five are worked on; the others are refused while those still wait."""

    async def run() -> None:
        load, gate = Load(5, 30.0), Gate()
        tasks = [asyncio.create_task(load.in_turn(partial(gate.work, n))) for n in range(8)]
        refused, _ = await asyncio.wait(tasks[5:])
        assert not any(task.done() for task in tasks[:5])
        gate.is_open.set()

        assert all(isinstance(task.exception(), TemporaryReducedCapacity) for task in refused)
        assert await asyncio.gather(*tasks[:5]) == [0, 1, 2, 3, 4]
        assert sorted(gate.done) == [0, 1, 2, 3, 4]
        assert load.in_flight == 0
        assert await load.in_turn(lambda: 7) == 7

    asyncio.run(run())


def test_what_waits_too_long_is_never_begun() -> None:
    """By the setting and by the client's own deadline; the answer does not wait for those in front."""

    async def run() -> None:
        load, gate = Load(10, 0.2), Gate()
        busy = [asyncio.create_task(load.in_turn(lambda: gate.work(0))) for _ in range(THREADS)]
        await asyncio.sleep(0)
        with pytest.raises(DeadlineExceeded):
            await load.in_turn(lambda: gate.work(1))
        with pytest.raises(DeadlineExceeded):
            await load.in_turn(lambda: gate.work(1), expires=0)
        gate.is_open.set()
        await asyncio.gather(*busy)

        assert gate.done == [0] * THREADS
        assert load.in_flight == 0

    asyncio.run(run())


def test_nothing_is_computed_for_a_client_that_left_the_queue() -> None:
    """At its turn the work is passed over, and the place is free for the next."""

    async def run() -> None:
        load, gate = Load(10, 30.0), Gate()
        busy = [asyncio.create_task(load.in_turn(lambda: gate.work(0))) for _ in range(THREADS)]
        left = asyncio.create_task(load.in_turn(lambda: gate.work(1), is_wanted=lambda: False))
        await asyncio.sleep(0)
        gate.is_open.set()
        with pytest.raises(ClientDisconnect):
            await left
        await asyncio.gather(*busy)

        assert gate.done == [0] * THREADS
        assert await load.in_turn(lambda: gate.work(2)) == 2

    asyncio.run(run())


def test_bodies_fill_the_memory_that_is_set_aside_and_short_ones_go_on() -> None:
    """A connection with little may always hold more; one with much only where there is room."""
    load = Load(1, 1.0, most_bytes=4 * FREE_BYTES)

    assert load.hold(4 * FREE_BYTES, 0)
    assert not load.hold(1, FREE_BYTES)
    assert load.hold(100, 0)
    load.let_go(4 * FREE_BYTES + 100)
    assert load.hold(1, FREE_BYTES)
