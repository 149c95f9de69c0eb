"""The real service with the fast lane and without, as fixtures: ``pytest_plugins = ("served", "raw_services")``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from raw_http import RawService, errors_in, raw_service


@pytest.fixture(scope="session")
def raw_services(trained_store: Path) -> Iterator[dict[str, RawService]]:
    """Two processes over the store for reading, by whether they have the fast lane; all tests share them."""
    with ExitStack() as stack:
        yield {lane: stack.enter_context(raw_service(trained_store, LOGITD_FAST_LANE=lane)) for lane in ("on", "off")}


@pytest.fixture(scope="module", params=["on", "off"], ids="lane {}".format)
def service(request: pytest.FixtureRequest, raw_services: dict[str, RawService]) -> Iterator[RawService]:
    """One of the two; after the tests of a module it lives, and its log tells of no error."""
    running = raw_services[request.param]
    n_before = len(running.log)
    yield running
    running.check_alive()
    assert errors_in(running.log[n_before:])[:5] == []
