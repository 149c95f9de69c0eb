"""Which CPU does what: the server has one to itself, the load another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_CPUS = sorted(os.sched_getaffinity(0))
# On a machine with one CPU both share it, and the report says so.
SERVER_CPU, LOAD_CPU = _CPUS[0], _CPUS[-1] if len(_CPUS) < 2 else _CPUS[1]


@contextmanager
def on_cpu(number: int) -> Iterator[None]:
    """Run on one CPU; processes that are started meanwhile stay there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {number})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
