"""The memory of one worker: whatever moment it is read or killed at, it holds what was counted, and nothing twice."""

from __future__ import annotations

import numpy as np
import pytest

from service.serving.metrics.catalogue import PREDICTIONS, PROBABILITY, REJECTIONS, REQUESTS, ROWS
from service.serving.metrics.layout import (
    BANKS_AT,
    DOUBLE,
    JOURNAL_AT,
    KEYS_AT,
    KEYS_BYTES,
    KEYS_USED,
    N_CELLS,
    N_RECORDS,
    RECORD_FIELDS,
    SIZE,
    SUMMED,
)
from service.serving.metrics.slot import DamagedSlot, Slot

VERSION = ("abc", "1")
VALUES = (0.5, 1e-6, 2e-6, 3e-6, 0.9)
BANK_BYTES = N_CELLS * DOUBLE


class Worker:
    """A slot in memory that a test may look at and copy."""

    def __init__(self, memory: bytearray | None = None) -> None:
        self.memory = bytearray(SIZE) if memory is None else memory
        view = memoryview(self.memory)
        self.slot = Slot.new(view) if memory is None else Slot.existing(view)
        self.slot.take()

    def predict(self, times: int) -> None:
        requests = self.slot.first_cell(REQUESTS, ("POST", "/predict", "200"))
        predictions, rows, probabilities = (self.slot.first_cell(m, VERSION) for m in (PREDICTIONS, ROWS, PROBABILITY))
        for _ in range(times):
            self.slot.journal.append(requests, predictions, rows, probabilities, *VALUES)

    def n_predicted(self) -> float:
        totals = self.slot.totals()
        return float(totals[PREDICTIONS.name, VERSION][0]) if (PREDICTIONS.name, VERSION) in totals else 0.0


@pytest.mark.parametrize("times", [0, 1, N_RECORDS - 1, N_RECORDS, N_RECORDS + 1, 3 * N_RECORDS + 7])
def test_a_successor_goes_on_from_any_point(times: int) -> None:
    """A worker killed after any number of records has counted them, and the next one adds to them."""
    worker = Worker()
    worker.predict(times)

    successor = Worker(bytearray(worker.memory))
    successor.predict(N_RECORDS)

    assert worker.n_predicted() == times
    assert successor.n_predicted() == times + N_RECORDS
    assert successor.slot.totals()[REQUESTS.name, ("POST", "/predict", "200")][-1] == 0.5 * (times + N_RECORDS)


def test_a_record_that_was_not_finished_does_not_count() -> None:
    """A worker killed in the middle of a record leaves those before it; its successor writes over it."""
    worker = Worker()
    worker.predict(3)
    at = JOURNAL_AT + 3 * RECORD_FIELDS * DOUBLE
    worker.memory[at : at + DOUBLE] = np.float64(7.0).tobytes()

    successor = Worker(bytearray(worker.memory))
    successor.predict(1)

    assert worker.n_predicted() == 3
    assert successor.n_predicted() == 4


def test_sums_that_were_not_finished_do_not_count() -> None:
    """A worker killed while it adds up its records has counted each one once."""
    worker = Worker()
    worker.predict(2 * N_RECORDS - 1)
    first = np.frombuffer(worker.memory[BANKS_AT : BANKS_AT + BANK_BYTES])
    assert first.any() != np.frombuffer(worker.memory[BANKS_AT + BANK_BYTES : JOURNAL_AT]).any()
    spare = BANKS_AT if not first.any() else BANKS_AT + BANK_BYTES
    worker.memory[spare : spare + BANK_BYTES] = np.full(N_CELLS, 3.0).tobytes()

    successor = Worker(bytearray(worker.memory))
    successor.predict(1)

    assert worker.n_predicted() == 2 * N_RECORDS - 1
    assert successor.n_predicted() == 2 * N_RECORDS


def test_records_that_were_full_are_summed_by_the_successor() -> None:
    """A worker killed between its last record and the sums leaves that work to the next one."""
    worker = Worker()
    worker.predict(N_RECORDS - 1)
    last = JOURNAL_AT + (N_RECORDS - 1) * RECORD_FIELDS * DOUBLE
    record = np.frombuffer(worker.memory[last - RECORD_FIELDS * DOUBLE : last]).copy()
    record[-1] += 1
    worker.memory[last:SIZE] = record.tobytes()

    successor = Worker(bytearray(worker.memory))
    successor.predict(1)

    assert successor.n_predicted() == N_RECORDS + 1


def test_a_key_that_is_not_published_is_not_read() -> None:
    """A worker killed while it wrote a name leaves a table that its successor goes on with."""
    worker = Worker()
    worker.slot.cells(REJECTIONS, ("whole",))[0] += 1.0
    end = KEYS_AT + int(np.frombuffer(worker.memory, count=KEYS_USED + 1)[KEYS_USED])
    worker.memory[end : end + 9] = b"0123abcd "

    successor = Worker(bytearray(worker.memory))
    successor.slot.cells(REJECTIONS, ("next",))[0] += 2.0

    totals = successor.slot.totals()
    assert [labels for name, labels in totals if name == REJECTIONS.name] == [("whole",), ("next",)]
    assert totals[REJECTIONS.name, ("next",)] == [2.0]


def test_a_reader_waits_for_a_key_that_it_cannot_read_yet() -> None:
    """Names that have not arrived in full are left for the next scrape; those before them count."""
    writer = Worker()
    reader = Slot.existing(memoryview(writer.memory))
    writer.slot.cells(REJECTIONS, ("whole",))[0] += 1.0
    start = KEYS_AT + int(np.frombuffer(writer.memory, count=KEYS_USED + 1)[KEYS_USED])
    writer.slot.cells(REJECTIONS, ("late",))[0] += 2.0
    late = bytes(writer.memory[start : start + 4])

    writer.memory[start : start + 4] = b"\0\0\0\0"
    early = reader.totals()
    writer.memory[start : start + 4] = late

    assert (REJECTIONS.name, ("late",)) not in early
    assert early[REJECTIONS.name, ("whole",)] == [1.0]
    assert reader.totals()[REJECTIONS.name, ("late",)] == [2.0]


@pytest.mark.parametrize("word", [-1.0, 0.5, np.nan, np.inf, KEYS_BYTES + 1.0, 2.0 * N_RECORDS + 3])
@pytest.mark.parametrize("at", [KEYS_USED, SUMMED])
def test_words_that_no_worker_writes_are_damage(at: int, word: float) -> None:
    """The lengths and positions in a block are checked before anything is read by them."""
    worker = Worker()
    worker.memory[at * DOUBLE : (at + 1) * DOUBLE] = np.float64(word).tobytes()

    with pytest.raises(DamagedSlot):
        Slot.existing(memoryview(worker.memory))
