"""One answer by three ways: the fast lane, ahead of the router, and the documented routes."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import MakeClient
from fastapi import FastAPI
from generated_requests import Drawn, drawn
from keys_on_disk import KeysOnDisk
from starlette.types import Message
from wire import Reply, Wire, on_wire, request

pytest_plugins = ("served",)

N_REQUESTS = 20_000
OWN_HEADERS = frozenset({"x-request-id", "server-timing", "date"})
REQUEST_ID = re.compile(rb'"request_id":"[^"]*"')


@pytest.fixture(scope="module")
def routed(make_client: MakeClient, trained_store: Path) -> FastAPI:
    """The application whose predictions are answered by its routes."""
    return make_client(trained_store, ahead_of_router=False).app


@pytest.fixture(scope="module")
def ahead(make_client: MakeClient, trained_store: Path) -> FastAPI:
    """The application that answers predictions ahead of its router."""
    return make_client(trained_store).app


@pytest.fixture(scope="module")
def lane(make_client: MakeClient, trained_store: Path) -> Iterator[Wire]:
    """The application behind uvicorn, with the fast lane."""
    with on_wire(make_client(trained_store).app) as wire:
        yield wire


@pytest.mark.parametrize("seed", range(20))
def test_the_same_requests_get_the_same_answers(
    seed: int, lane: Wire, ahead: FastAPI, routed: FastAPI, runner: asyncio.Runner
) -> None:
    """Status, headers but for id and timing, and every byte of the body are equal on all ways, good input and bad."""
    rng = random.Random(seed)

    for _ in range(N_REQUESTS // 20):
        one = drawn(rng)
        # Twice: the second time the lane knows the head, and the version is in memory.
        lane.send(request(*one))
        answers = [comparable(lane.reply())]
        lane.send(request(*one))
        answers.append(comparable(lane.reply()))
        answers += [comparable(call(app, one, runner)) for app in (ahead, routed)]

        assert answers[0] == answers[1] == answers[2] == answers[3], one


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeysOnDisk:
    """A key file, and a key of each scope."""
    return KeysOnDisk.made_in(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def keyed_apps(make_client: MakeClient, trained_store: Path, keys: KeysOnDisk) -> list[FastAPI]:
    """The two applications in this process, and one for the fast lane, all with keys."""
    settings = {"api_keys_file": str(keys.path)}
    routed = make_client(trained_store, ahead_of_router=False, **settings)
    return [routed.app, *(make_client(trained_store, **settings).app for _ in range(2))]


@pytest.mark.parametrize("seed", range(4))
def test_keys_count_the_same_on_all_ways(
    seed: int, keys: KeysOnDisk, keyed_apps: list[FastAPI], runner: asyncio.Runner
) -> None:
    """With keys, and requests with good ones, wrong ones and none, every byte is still equal on all ways."""
    rng = random.Random(seed)
    statuses = set()

    with on_wire(keyed_apps[2]) as lane:
        for _ in range(N_REQUESTS // 20):
            one = drawn(rng, list(keys.by_scope.values()))
            lane.send(request(*one))
            answers = [comparable(lane.reply()), *(comparable(call(app, one, runner)) for app in keyed_apps[:2])]
            statuses.add(answers[0][0])

            assert answers[0] == answers[1] == answers[2], one

    assert {200, 401, 403, 405} <= statuses


def call(app: FastAPI, one: Drawn, runner: asyncio.Runner) -> Reply:
    """The answer of the application itself."""
    path, _, query = one.target.partition("?")
    headers = {"host": "127.0.0.1:8000", **one.headers, "content-length": str(len(one.body))}
    scope = {
        "type": "http",
        "method": one.method,
        "path": path.replace("%74", "t").replace("%5F", "_"),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": one.body}

    async def send(message: Message) -> None:
        sent.append(message)

    runner.run(app(scope, receive, send))
    found = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))


def comparable(reply: Reply) -> tuple[int, dict[str, str], bytes]:
    """The answer without what is its own."""
    headers = {name: value for name, value in reply.headers.items() if name not in OWN_HEADERS}
    # Random ids have one length, and so have the bodies.
    return reply.status, headers, REQUEST_ID.sub(b"", reply.body)
