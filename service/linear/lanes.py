"""Work on rows in lanes: contiguous parts whose number depends on the data alone, run by as many threads as there are.

The parts of a sum are added in the order of the lanes, and BLAS runs on one thread inside, so that the bits of a
result do not depend on the number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache
from itertools import pairwise
from typing import TypeVar

from threadpoolctl import ThreadpoolController

T = TypeVar("T")

# Fewer numbers than this are read faster than a thread starts.
NUMBERS_PER_LANE = 1 << 18
MOST_LANES = 8


def in_lanes(n_rows: int, width: int, work: Callable[[slice], T], *, most: int = MOST_LANES) -> list[T]:
    """``work`` of each lane of the rows, in order; width: numbers a row; most: lanes at most."""
    n_lanes = max(1, min(most, n_rows * max(width, 1) // NUMBERS_PER_LANE))
    if n_lanes == 1:
        return [work(slice(0, n_rows))]
    edges = [n_rows * lane // n_lanes for lane in range(n_lanes + 1)]
    lanes = [slice(start, stop) for start, stop in pairwise(edges)]
    threads = min(n_lanes, n_processors())
    if threads == 1:
        return [work(lane) for lane in lanes]
    # NumPy's error state belongs to a context, and a thread begins with an empty one.
    contexts = [copy_context() for _ in lanes]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda context, lane: context.run(work, lane), contexts, lanes))


def parts_of(lane: slice, height: int) -> Iterator[slice]:
    """The lane in parts of ``height`` rows, the last one shorter."""
    return (slice(start, min(start + height, lane.stop)) for start in range(lane.start, lane.stop, height))


def n_processors() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS to one thread: its pool and ours would fight for the same processors."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> ThreadpoolController:
    # Finding the libraries takes some milliseconds, limiting them none.
    return ThreadpoolController()
