"""Who does the work of a service that is full: its event loop, where it shares a processor with its only thread."""

from __future__ import annotations

import asyncio
import json
import time
from itertools import pairwise
from pathlib import Path
from threading import get_ident

import pytest
from asking import MakeClient
from wire import Wire, on_wire, request

from service.web import inline_work
from service.web.call import Answer, Call
from service.web.dialects.native import NativeDialect
from service.web.inline_work import FULL_S, LONG_S, MOST_INLINE_BYTES, PIECES, InlineWork
from service.web.load import Load

pytest_plugins = ("served",)

BATCH = json.dumps({"instances": [[1.0, 2.0, 3.0]] * 9000}).encode()
LONG = BATCH + b" " * MOST_INLINE_BYTES
WRONG = BATCH.replace(b"3.0]]}", b"true]]}")


def spin(seconds: float) -> int:
    """Work for so long; in which thread."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
    return get_ident()


def known_to_be_short(work: InlineWork) -> None:
    for _ in range(3 * PIECES):
        work.timed(lambda: None)


def test_loop_works_while_the_service_is_full() -> None:
    """From the last place that is taken until there has been a free one for a while; no sooner."""
    now = 0.0
    work = InlineWork(lambda: now)
    known_to_be_short(work)

    assert not work.is_due
    work.full()
    assert work.is_due
    now = 0.9 * FULL_S
    assert work.is_due
    work.full()
    now = 1.8 * FULL_S
    assert work.is_due
    now = 2.0 * FULL_S
    assert not work.is_due


def test_work_that_is_long_as_a_rule_is_left_to_threads() -> None:
    """Who is refused does not wait for it.  A single long piece is no rule; of what nothing is known a few are timed first."""
    work = InlineWork(lambda: 0.0)
    work.full()
    assert not work.is_due

    known_to_be_short(work)
    assert work.is_due
    work.timed(lambda: spin(4 * LONG_S))
    assert work.is_due
    for _ in range(5):
        work.timed(lambda: spin(4 * LONG_S))
    assert not work.is_due
    known_to_be_short(work)
    assert work.is_due


@pytest.mark.parametrize(("threads", "is_inline"), [(1, True), (2, False)])
def test_only_a_loop_with_one_thread_works_itself(threads: int, *, is_inline: bool) -> None:
    """A thread works until the service is full, and where the loop cannot; the loop has a new turn after its piece."""

    async def run() -> None:
        load = Load(2, 30.0, threads=threads)
        known_to_be_short(load._inline)

        assert await load.at_turn(get_ident, inline=get_ident) != get_ident()
        load.enter()
        load.enter()
        load.turns.left = 0
        assert (await load.at_turn(get_ident, inline=get_ident) == get_ident()) is is_inline
        assert (load.turns.left > 0) is is_inline
        assert await load.at_turn(get_ident, inline=lambda: None) != get_ident()
        with pytest.raises(ZeroDivisionError):
            await load.at_turn(lambda: 1 // 0, inline=lambda: 1 // 0)
        assert (await load.at_turn(get_ident, inline=get_ident) == get_ident()) is is_inline

    asyncio.run(run())


def test_sockets_have_their_turn_between_pieces() -> None:
    """However many requests wait, the loop gets round to everything else after each piece."""

    async def run() -> list[str]:
        load = Load(4, 30.0, threads=1)
        known_to_be_short(load._inline)
        seen: list[str] = []
        loop = asyncio.get_running_loop()

        def look() -> None:
            seen.append("look")
            if len(seen) < 20:
                loop.call_soon(look)

        def work() -> bool:
            seen.append("piece")
            return True

        for _ in range(4):
            load.enter()
        pieces = [asyncio.create_task(load.at_turn(lambda: False, inline=work)) for _ in range(4)]
        look()
        assert await asyncio.gather(*pieces) == [True] * 4
        return seen

    seen = asyncio.run(run())

    assert seen.count("piece") == 4
    assert not any(pair == ("piece", "piece") for pair in pairwise(seen))


def test_an_event_loop_answers_batches_itself_once_it_is_full(
    make_client: MakeClient, trained_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same answers as by its thread, which goes on to get what is too long."""
    threads: list[bool] = []
    answer = NativeDialect.answer

    def noted(dialect: NativeDialect, call: Call) -> Answer:
        threads.append(True)
        return answer(dialect, call)

    monkeypatch.setattr(NativeDialect, "answer", noted)
    monkeypatch.setattr(inline_work, "FULL_S", 3600.0)
    app = make_client(trained_store, max_in_flight=1).app
    with on_wire(app) as wire:
        load = wire.protocol.desk.load
        load._has_one_thread = True
        by_thread = [ask(wire, body) for body in (BATCH, LONG, BATCH, WRONG)]
        n_by_thread = len(threads)
        known_to_be_short(load._inline)
        inline = [ask(wire, body) for body in (BATCH, WRONG)]
        n_inline = len(threads) - n_by_thread
        long = ask(wire, LONG)

    assert (n_by_thread, n_inline, len(threads)) == (4, 0, 5)
    assert inline == [by_thread[2], by_thread[3]]
    assert long == by_thread[1]
    assert [status for status, _ in by_thread] == [200, 200, 200, 422]


def ask(wire: Wire, body: bytes) -> tuple[int, bytes]:
    """Status and body, without the id that a problem names."""
    wire.send(request("POST", "/predict_proba?model=abc", {"X-Request-Id": "1"}, body))
    reply = wire.reply()
    return reply.status, reply.body
