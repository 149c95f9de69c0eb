"""More than the service takes, per key and altogether, deadlines that clients name, and the last answers of a service."""

from __future__ import annotations

import re
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from keys_on_disk import KeysOnDisk
from raw_http import BODY, GOOD, PATIENCE, TARGET, Line, RawService, check_problem, raw_service
from wire import Reply, request
from wire_rows import LENGTH, post

pytest_plugins = ("served", "raw_services")

ROUTES = (TARGET, "/predict_proba?model=abc", "/train")
# It is answered in a thread, and takes some milliseconds.
SLOW = request("POST", TARGET, body=b"[" + b",".join([b"[0.123456789,2.0,3.0]"] * 9000) + b"]")
N_CLIENTS, MOST_TRIES = 64, 1000
POLICY = re.compile(r'"[a-z-]+";q=[1-9]\d*;w=[1-9]\d*')
LIMIT = re.compile(r'"[a-z-]+";r=\d+;t=\d+')
WHOLE_SECONDS = re.compile(r"[1-9]\d*")
BAD_TIMEOUTS = ("0", "-1", "-0", "0.0", "nan", "", "soon", "1s", "0x1", "1_0", "1,5", "1 2", "\xb2", "--1", "1e", "+")


@pytest.mark.parametrize(
    ("path", "given"),
    [*((path, given) for path in ROUTES[:2] for given in BAD_TIMEOUTS), *(("/train", given) for given in ("0", "nan"))],
    ids=ascii,
)
def test_a_time_that_is_none_is_refused(service: RawService, path: str, given: str) -> None:
    """H36: X-Request-Timeout is a number of seconds above 0, on every route, also when its head is known."""
    data = request("POST", path, {"X-Request-Timeout": given}, BODY)

    for _ in range(2):
        check_problem(service.ask(data), {400: "invalid-header"})
    service.check_alive()


@pytest.mark.parametrize("given", ["1e9", "1000000000", "60", "30.5", "0060"])
def test_a_long_time_is_cut(service: RawService, given: str) -> None:
    """H36: more time than the service gives is as good as what it gives."""
    reply = service.ask(request("POST", TARGET, {"X-Request-Timeout": given}, BODY))

    assert reply.status == 200


def test_a_time_that_is_given_twice_is_refused(service: RawService) -> None:
    """H36: which of two would count is in doubt."""
    data = post("X-Request-Timeout: 5", "X-Request-Timeout: 1", LENGTH).replace(b"/TARGET", TARGET.encode())

    check_problem(service.ask(data), {400: None})


def test_a_time_that_is_too_short_ends_in_504(service: RawService) -> None:
    """H36: what cannot be done in a nanosecond is not done, and counts no prediction."""
    service.check_alive()
    before = service.metric("logitd_prediction_rows_total")

    check_problem(
        service.ask(request("POST", TARGET, {"X-Request-Timeout": "0.000000001"}, BODY)), {504: "deadline-exceeded"}
    )

    assert service.metric("logitd_prediction_rows_total") == before


@pytest.mark.parametrize("lane", ["on", "off"])
def test_a_full_service_says_when_to_come_back(trained_store: Path, lane: str) -> None:
    """H38: beyond the limit 503 with Retry-After, health goes on, and afterwards all is as before."""
    with raw_service(trained_store, LOGITD_FAST_LANE=lane, LOGITD_MAX_IN_FLIGHT="1") as service:
        service.check_alive()
        with ThreadPoolExecutor(N_CLIENTS) as pool:
            asked = [pool.submit(service.ask, SLOW) for _ in range(N_CLIENTS)]
            health = [service.ask(request("GET", path)).status for path in ("/livez", "/readyz") * 10]
            replies = [one.result() for one in asked]

        refused = [reply for reply in replies if reply.status != 200]
        assert 0 < len(refused) < N_CLIENTS
        for reply in refused:
            check_problem(reply, {503: "temporary-reduced-capacity"})
            assert WHOLE_SECONDS.fullmatch(reply.headers["retry-after"])
        assert set(health) == {200}
        service.check_alive()
        assert service.metric("http_server_active_requests") == 1


@pytest.mark.parametrize("lane", ["on", "off"])
def test_a_key_has_a_quota(trained_store: Path, tmp_path: Path, lane: str) -> None:
    """H37: 429 with the IETF's fields for the key that asks too often, and for no other."""
    keys = KeysOnDisk.made_in(tmp_path)
    settings = {"LOGITD_API_KEYS_FILE": str(keys.path), "LOGITD_RATE_LIMIT": "5", "LOGITD_FAST_LANE": lane}
    mine, other = (request("POST", TARGET, keys.bearer(scope), BODY) for scope in ("predict", "admin"))
    with raw_service(trained_store, **settings) as service:
        replies = until_refused(service, mine)

        last = replies[-1]
        check_problem(last, {429: "quota-exceeded"})
        assert WHOLE_SECONDS.fullmatch(last.headers["retry-after"])
        assert [reply.status for reply in replies[:5]] == [200] * 5
        assert POLICY.fullmatch(last.headers["ratelimit-policy"])
        assert LIMIT.fullmatch(last.headers["ratelimit"])
        assert service.ask(other).status == 200
        assert service.ask(request("GET", "/livez")).status == 200
        assert service.ask(request("GET", "/readyz")).status == 200
        # A wrong key has no quota to spend, and is told so.
        assert {service.ask(request("POST", TARGET, {"X-API-Key": "x" * 43}, BODY)).status for _ in range(20)} <= {
            401,
            429,
        }
        assert service.ask(other).status == 200


def until_refused(service: RawService, data: bytes) -> list[Reply]:
    """The answers to the same request again and again, up to the first that is no 200."""
    replies: list[Reply] = []
    while not replies or (replies[-1].status == 200 and len(replies) < MOST_TRIES):
        replies.append(service.ask(data))
    return replies


@pytest.mark.parametrize("lane", ["on", "off"])
def test_a_service_that_stops_says_so_and_answers(trained_store: Path, lane: str) -> None:
    """H38: from SIGTERM on readiness is 503 ``draining``; what comes on open connections is answered, as the last there."""
    with raw_service(trained_store, LOGITD_FAST_LANE=lane) as service, ExitStack() as opened:
        asking, idle, begun = (opened.enter_context(service.line()) for _ in range(3))
        assert [answer(line, request("GET", "/livez")).status for line in (asking, idle, begun)] == [200] * 3
        begun.say([GOOD[:-5]])

        service.service.process.send_signal(signal.SIGTERM)
        ready = [answer(asking, request("GET", "/readyz"))]
        while ready[-1].headers.get("connection") != "close":
            ready.append(answer(asking, request("GET", "/readyz")))
        after = answer(idle, GOOD)
        begun.say([GOOD[-5:]])
        last = begun.rest()

        statuses = [reply.status for reply in ready]
        assert statuses == sorted(statuses)
        check_problem(ready[-1], {503: "draining"})
        assert WHOLE_SECONDS.fullmatch(ready[-1].headers["retry-after"])
        assert [(reply.status, reply.headers["connection"]) for reply in (after, *last)] == [(200, "close")] * 2
        assert asking.rest() + idle.rest() == []
        assert service.service.process.wait(PATIENCE) == 0


def answer(line: Line, data: bytes) -> Reply:
    """The answer to a request."""
    line.say([data])
    reply = line.reply()
    assert reply is not None
    return reply
