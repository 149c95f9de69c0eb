"""What the tests of the hardening tools share."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Wait until something is so; AssertionError when it never is."""

    def wait(is_so: Callable[[], bool]) -> None:
        give_up_at = time.monotonic() + 30
        while not is_so():
            assert time.monotonic() < give_up_at, "it never came about"
            time.sleep(0.01)

    return wait
