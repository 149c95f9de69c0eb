"""Lines about requests: which answers leave one, at which level, and how many there may be."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from clock import Clock

from service.web.request_log import MOST, RequestLog


@pytest.fixture
def clock() -> Clock:
    """The time."""
    return Clock()


@pytest.fixture
def request_log(clock: Clock) -> RequestLog:
    """A log on that clock."""
    return RequestLog(clock)


@pytest.fixture
def at_info(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What is logged at the default level."""
    with caplog.at_level(logging.INFO, "logitd.requests"):
        yield caplog


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, Any]]:
    """Level, request id and how many were left out before, of each line."""
    return [(r.levelname, vars(r)["request_id"], vars(r).get("left_out")) for r in caplog.records]


def fail(log: RequestLog, given_id: str, status: int = 503, slug: str = "no-live-model", route: str = "/train") -> None:
    log.answered("POST", route, status, slug, 0.0012345, given_id, {})


@pytest.mark.parametrize(
    ("route", "status", "slug", "levels"),
    [
        ("/models", 200, "", ["", ""]),
        ("/models", 304, "", ["", ""]),
        ("/predict", 422, "feature-count", ["", "DEBUG"]),
        ("/predict", 503, "no-live-model", ["WARNING", "WARNING"]),
        ("/train", 507, "store-full", ["WARNING", "WARNING"]),
        ("/readyz", 503, "", ["", ""]),
        ("/livez", 404, "", ["", ""]),
        ("/healthz", 503, "", ["", ""]),
        ("/train", 500, "internal", ["", ""]),
    ],
)
def test_failures_are_told_and_nothing_else(
    request_log: RequestLog, caplog: pytest.LogCaptureFixture, route: str, status: int, slug: str, levels: list[str]
) -> None:
    """From 500 on a warning, refusals at debug; no line for health, for success, or for a defect, which has its own."""
    found = []
    for level in (logging.INFO, logging.DEBUG):
        with caplog.at_level(level, "logitd.requests"):
            fail(request_log, "me", status, slug, route)
        found.append("".join(record.levelname for record in caplog.records))
        caplog.clear()

    assert found == levels


def test_a_line_says_which_request_failed_how(request_log: RequestLog, at_info: pytest.LogCaptureFixture) -> None:
    """Ids, method, route, status, slug and milliseconds are fields of their own."""
    fail(request_log, "me")

    (record,) = at_info.records
    expected = {"request_id": "me", "method": "POST", "route": "/train", "status": 503, "slug": "no-live-model"}
    assert record.message == "a request failed"
    assert {name: vars(record)[name] for name in expected} == expected
    assert vars(record)["ms"] == 1.234


def test_floods_are_counted(request_log: RequestLog, clock: Clock, at_info: pytest.LogCaptureFixture) -> None:
    """Ten lines a second and slug; the next line of the slug says how many were left out, and only it."""
    for number in range(MOST + 5):
        fail(request_log, f"a{number}")
    fail(request_log, "b", 507, "store-full")
    clock.now += 1
    fail(request_log, "c")
    fail(request_log, "d")

    assert told(at_info) == [
        *(("WARNING", f"a{number}", None) for number in range(MOST)),
        ("WARNING", "b", None),
        ("WARNING", "c", 5),
        ("WARNING", "d", None),
    ]


def test_a_line_too_many_is_known_beforehand(
    request_log: RequestLog, clock: Clock, at_info: pytest.LogCaptureFixture
) -> None:
    """Whoever asks is told so only for that slug and second, and the next line counts it as left out."""
    asked = [request_log.leaves_out("no-live-model")]
    for number in range(MOST):
        asked.append(request_log.leaves_out("no-live-model"))
        fail(request_log, f"a{number}")
    full = [request_log.leaves_out(slug) for slug in ("no-live-model", "no-live-model", "store-full")]
    clock.now += 1
    asked.append(request_log.leaves_out("no-live-model"))
    fail(request_log, "b")

    assert not any(asked)
    assert full == [True, True, False]
    assert told(at_info)[MOST:] == [("WARNING", "b", 2)]


def test_clients_that_leave_are_counted_as_well(
    request_log: RequestLog, clock: Clock, at_info: pytest.LogCaptureFixture
) -> None:
    """They are told at info, at most ten a second."""
    for number in range(MOST + 1):
        request_log.client_left(f"a{number}", {})
    clock.now += 1
    request_log.client_left("b", {})

    assert told(at_info) == [*(("INFO", f"a{number}", None) for number in range(MOST)), ("INFO", "b", 1)]


def test_whoever_looks_for_a_fault_gets_all(request_log: RequestLog, caplog: pytest.LogCaptureFixture) -> None:
    """At the level debug nothing is left out."""
    with caplog.at_level(logging.DEBUG, "logitd.requests"):
        for _ in range(5 * MOST):
            fail(request_log, "a")

    assert len(caplog.records) == 5 * MOST
