"""``Journal``: predictions of one row, written down by one call and added up 512 at a time.

To add one of them to its twelve cells would take three times as long as to write it down.
"""

from __future__ import annotations

from struct import Struct

import numpy as np

from service.linear.columns.arrays import Matrix, Vector
from service.serving.metrics.catalogue import (
    PHASE_BUCKETS,
    PHASE_SECONDS,
    PREDICTIONS,
    PROBABILITY,
    PROBABILITY_BUCKETS,
    REQUEST_BUCKETS,
    REQUESTS,
    ROWS,
)
from service.serving.metrics.layout import (
    BANKS_AT,
    JOURNAL_AT,
    N_CELLS,
    N_RECORDS,
    PHASES_AT,
    RECORD_FIELDS,
    SIZE,
    SUMMED,
    Doubles,
)

# First cells of the four series, the five values, the record's own number.
RECORD = Struct(f"{RECORD_FIELDS}d")
RECORD_BYTES, PACK = RECORD.size, RECORD.pack_into
N_SERIES, NUMBER = 4, RECORD_FIELDS - 1
WIDTHS = np.array([metric.width for metric in (REQUESTS, PREDICTIONS, ROWS, PROBABILITY)])
REQUEST_BOUNDS, PHASE_BOUNDS, PROBABILITY_BOUNDS = map(np.array, (REQUEST_BUCKETS, PHASE_BUCKETS, PROBABILITY_BUCKETS))


class Journal:
    """The records of one block, and their sums.

    The k-th record holds k in its last field, which is written last: a reader takes the records whose number is due,
    and a worker that is killed while it writes one has not counted it.  New sums go to the bank that is not in use; the
    word ``SUMMED``, 2 n + bank, says in one store how many records are summed up and where, so that none counts twice.
    """

    def __init__(self, memory: memoryview, words: Doubles) -> None:
        self._memory = memory
        self._words = words
        self._banks: Matrix = np.frombuffer(memory[BANKS_AT:JOURNAL_AT], np.float64).reshape(2, N_CELLS)
        self._records: Matrix = np.frombuffer(memory[JOURNAL_AT:SIZE], np.float64).reshape(N_RECORDS, RECORD_FIELDS)
        self._at = JOURNAL_AT
        self._number = 1.0

    def resume(self) -> None:
        """Go on where the last writer of this block stopped."""
        if self._n_written() == N_RECORDS:
            self._sum_up()
        n_written = self._n_written()
        self._at = JOURNAL_AT + n_written * RECORD_BYTES
        self._number = float(int(self._words[SUMMED]) // 2 + n_written + 1)

    def append(
        self,
        requests: float,
        predictions: float,
        rows: float,
        probabilities: float,
        seconds: float,
        parse: float,
        predict: float,
        encode: float,
        probability: float,
    ) -> None:
        """Count one answered prediction of one row; the first four are the first cells of its series."""
        at, number = self._at, self._number
        PACK(
            self._memory,
            at,
            requests,
            predictions,
            rows,
            probabilities,
            seconds,
            parse,
            predict,
            encode,
            probability,
            number,
        )
        self._number = number + 1.0
        self._at = at = at + RECORD_BYTES
        if at == SIZE:
            self._sum_up()

    def totals(self) -> Vector:
        """What all records have added to each cell, shape (N_CELLS,); right while another process writes."""
        while True:
            summed = self._words[SUMMED]
            totals: Vector = self._banks[int(summed) % 2] + sums(self._written())
            if self._words[SUMMED] == summed:
                return totals

    def is_sound(self) -> bool:
        """Whether another process can have written this."""
        summed = self._words[SUMMED]
        if not (0 <= summed < 2**53 and summed.is_integer() and int(summed) // 2 % N_RECORDS == 0):
            return False
        written = self._written()
        is_inside = (written[:, :N_SERIES] + WIDTHS <= N_CELLS).all()
        return bool(is_inside) and is_countable(written) and is_countable(self._banks)

    def _written(self) -> Matrix:
        # Their number first: what is written meanwhile must not be half in the copy.
        n_written = self._n_written()
        return self._records[:n_written].copy()

    def _n_written(self) -> int:
        first = int(self._words[SUMMED]) // 2 + 1
        is_due = self._records[:, NUMBER] == np.arange(first, first + N_RECORDS)
        return N_RECORDS if is_due.all() else int(is_due.argmin())

    def _sum_up(self) -> None:
        n_summed, bank = divmod(int(self._words[SUMMED]), 2)
        np.add(self._banks[bank], sums(self._records), out=self._banks[1 - bank])
        self._words[SUMMED] = float(2 * (n_summed + N_RECORDS) + 1 - bank)
        self._at = JOURNAL_AT


def is_countable(numbers: Vector | Matrix) -> bool:
    """Whether all of them are finite and none is negative."""
    return bool((np.isfinite(numbers) & (numbers >= 0)).all())


def sums(records: Matrix) -> Vector:
    """What these records (n, RECORD_FIELDS) add to each cell, shape (N_CELLS,)."""
    firsts, values = records[:, :N_SERIES].astype(np.intp), records[:, N_SERIES:NUMBER]
    # A bucket for each value, then the sum of each value, then predictions and rows.
    places = np.empty((len(records), 12), np.intp)
    places[:, 0] = firsts[:, 0] + np.searchsorted(REQUEST_BOUNDS, values[:, 0])
    places[:, 1:4] = PHASES_AT + np.searchsorted(PHASE_BOUNDS, values[:, 1:4])
    places[:, 4] = firsts[:, 3] + np.searchsorted(PROBABILITY_BOUNDS, values[:, 4])
    places[:, 5] = firsts[:, 0] + REQUESTS.width - 1
    places[:, 6:9] = np.array(PHASES_AT) + PHASE_SECONDS.width - 1
    places[:, 9] = firsts[:, 3] + PROBABILITY.width - 1
    places[:, 10:] = firsts[:, 1:3]
    amounts = np.ones(places.shape)
    amounts[:, 5:10] = values
    totals: Vector = np.bincount(places.ravel(), amounts.ravel(), N_CELLS).astype(np.float64, copy=False)
    return totals
