"""Where the numbers of one worker lie: a block of fixed size, the same in every process of one release.

::

    words      8 bytes each: what block this is, who counts in it, how much of the rest is in use
    keys       one line for each series, in the order of their cells, the phases first; only added to
    cells      doubles: counters and gauges one each, histograms see ``Metric.width``
    banks      the journal's sums, twice
    journal    one record for each prediction of one row since the last sums

Each store is one aligned double, and counts only grow, so that a reader sees a count of now or of a moment ago, and
what was counted before a worker was killed stays.
"""

from __future__ import annotations

import hashlib
from typing import TypeAlias

from service.serving.metrics.catalogue import METRICS, PHASE_SECONDS, PHASES, Metric

# Quoted, since the class takes no type arguments at run time before Python 3.14.
Doubles: TypeAlias = "memoryview[float]"

DOUBLE = 8
COUNTED = tuple(metric for metric in METRICS if metric.max_series)
# The names of the words, in order.
(MAGIC, KEYS_USED, PID, STARTED, SEEN_PID, SEEN_STARTED, SEEN_CPU, CPU_SECONDS, SUMMED) = range(9)
N_WORDS = 16
MAX_KEY_BYTES = 192


def places(metric: Metric) -> int:
    """Series of this metric at most: its own, and the one of all others."""
    return metric.max_series + 1


N_CELLS = sum(places(metric) * metric.width for metric in COUNTED)
KEYS_BYTES = sum(places(metric) for metric in COUNTED) * MAX_KEY_BYTES
RECORD_FIELDS, N_RECORDS = 10, 512
# First cells of parse, predict and encode.
PHASES_AT = tuple(range(0, len(PHASES) * PHASE_SECONDS.width, PHASE_SECONDS.width))

KEYS_AT = N_WORDS * DOUBLE
CELLS_AT = KEYS_AT + KEYS_BYTES
BANKS_AT = CELLS_AT + N_CELLS * DOUBLE
JOURNAL_AT = BANKS_AT + 2 * N_CELLS * DOUBLE
SIZE = JOURNAL_AT + N_RECORDS * RECORD_FIELDS * DOUBLE

# Blocks of another layout, or of other buckets, are never read as this one's.
FINGERPRINT = hashlib.sha256(
    repr([(metric.name, metric.labels, metric.buckets, metric.max_series) for metric in COUNTED]).encode()
    + repr((N_WORDS, MAX_KEY_BYTES, RECORD_FIELDS, N_RECORDS)).encode()
).digest()[:DOUBLE]
