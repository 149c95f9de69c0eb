"""Quotas: what a key may send in a second, by itself, over workers, and on every way to an answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from asking import GOOD, MakeClient
from clock import Clock
from hypothesis import given, strategies as st
from keys_on_disk import KeysOnDisk
from wire import on_wire, request

from service.web.errors import QuotaExceeded
from service.web.keys.quotas import Allowance, Quotas

pytest_plugins = ("served",)

ONE, TWO = b"1" * 32, b"2" * 32


def test_a_second_of_requests_may_come_at_once_and_then_the_key_waits() -> None:
    """Four at once of four a second; the fifth is told to come back, and a quarter of a second later one more fits."""
    clock = Clock()
    quotas = Quotas(4, clock=clock)

    left = [quotas.take(ONE).remaining for _ in range(4)]
    with pytest.raises(QuotaExceeded) as refused:
        quotas.take(ONE)
    clock.now += 0.25
    later = quotas.take(ONE)

    assert left == [3, 2, 1, 0]
    assert refused.value.retry_after_s == 1
    assert refused.value.fields == {"RateLimit-Policy": '"default";q=4;w=1', "RateLimit": '"default";r=0;t=1'}
    assert later == Allowance(4, 0, 1)


def test_keys_have_quotas_of_their_own() -> None:
    """What one key has used up, another has still."""
    quotas = Quotas(1, clock=Clock())
    quotas.take(ONE)

    assert quotas.take(TWO).remaining == 0
    with pytest.raises(QuotaExceeded):
        quotas.take(ONE)


def test_what_is_given_back_can_be_taken_again() -> None:
    """A request that is taken twice counts once."""
    quotas = Quotas(2, clock=Clock())

    for _ in range(10):
        quotas.take(ONE)
        quotas.give_back(ONE)

    assert quotas.take(ONE).remaining == 1


def test_workers_count_together(tmp_path: Path) -> None:
    """Two workers with one directory allow what one of them would."""
    clock = Clock()
    first, second = Quotas(3, tmp_path, clock=clock), Quotas(3, tmp_path, clock=clock)

    assert [worker.take(ONE).remaining for worker in (first, second, first)] == [2, 1, 0]
    with pytest.raises(QuotaExceeded):
        second.take(ONE)


@given(rate=st.integers(1, 1000), pauses=st.lists(st.floats(0, 0.5), max_size=300))
def test_no_second_has_more_than_two_quotas(rate: int, pauses: list[float]) -> None:
    """Whatever the rhythm, a window of a second holds at most the burst and what came free within it."""
    clock = Clock()
    quotas = Quotas(rate, clock=clock)
    taken: list[float] = []

    for pause in pauses:
        clock.now += pause
        for _ in range(3):
            try:
                quotas.take(ONE)
            except QuotaExceeded:
                break
            taken.append(clock.now)

    for start in taken:
        assert sum(start <= at < start + 1 for at in taken) <= 2 * rate


def test_all_ways_tell_the_allowance_and_refuse_with_429(
    make_client: MakeClient, trained_store: Path, tmp_path: Path
) -> None:
    """The lane, the layer, the routes and other paths name what is left; beyond it a problem says when to come back."""
    keys = KeysOnDisk.made_in(tmp_path)
    settings = {"api_keys_file": str(keys.path), "rate_limit": 3}
    sent = request("POST", "/predict?model=abc", keys.bearer("predict"), json.dumps(GOOD).encode())
    other = request("GET", "/models", keys.bearer("predict"))

    for ahead, in_lane in ((True, True), (True, False), (False, False)):
        app = make_client(trained_store, ahead_of_router=ahead, **settings).app
        with on_wire(app, in_lane=in_lane) as wire:
            answers = []
            for data in (sent, other, sent, sent, other):
                wire.send(data)
                answers.append(wire.reply())
            wire.send(request("GET", "/livez"))
            health = wire.reply()

        assert [answer.status for answer in answers[:3]] == [200, 200, 200]
        assert [answer.headers["ratelimit"][:13] for answer in answers[:3]] == [f'"default";r={n}' for n in (2, 1, 0)]
        refused = [answer for answer in answers if answer.status == 429]
        assert refused, "five requests came within the second that three are for"
        for answer in refused:
            assert json.loads(answer.body)["type"] == "/problems/quota-exceeded"
            assert answer.headers["retry-after"] == "1"
            assert answer.headers["ratelimit-policy"] == '"default";q=3;w=1'
        assert health.status == 200


def test_bodies_that_a_thread_answers_count_once(make_client: MakeClient, trained_store: Path, tmp_path: Path) -> None:
    """A version that is loaded first, and a long body, take one request each."""
    keys = KeysOnDisk.made_in(tmp_path)
    client = make_client(trained_store, api_keys_file=str(keys.path), rate_limit=1000)
    long = {"instances": [[1.0, 2.0, 3.0]] * 9000}

    answers = [
        client.post("/predict?model=abc", json=body, headers=keys.bearer("predict")) for body in (GOOD, long, GOOD)
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert all(answer.headers["ratelimit"].startswith('"default";r=9') for answer in answers)
