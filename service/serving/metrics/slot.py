"""``Slot``: the numbers of one worker, by series, in a block of memory that other workers can read."""

from __future__ import annotations

import json
import os
import zlib
from typing import TypeAlias

import numpy as np

from service.linear.columns.arrays import Vector
from service.serving.metrics.catalogue import BY_NAME, OTHER, PHASE_SECONDS, PHASES, Kind, Metric
from service.serving.metrics.journal import Journal, is_countable
from service.serving.metrics.layout import (
    BANKS_AT,
    CELLS_AT,
    CPU_SECONDS,
    DOUBLE,
    FINGERPRINT,
    KEYS_AT,
    KEYS_BYTES,
    KEYS_USED,
    MAGIC,
    MAX_KEY_BYTES,
    N_WORDS,
    PID,
    SEEN_CPU,
    SEEN_PID,
    SEEN_STARTED,
    SIZE,
    STARTED,
    Doubles,
)
from service.serving.metrics.process import Process

# The name of a metric, and the values of its labels.
Series: TypeAlias = tuple[str, tuple[str, ...]]


class DamagedSlot(Exception):
    """A block that no worker of this release can have written."""


class Slot:
    """One writer, in one thread, and any number of readers.

    memory: ``SIZE`` bytes, aligned to 8, see ``layout``; shared or not.
    """

    def __init__(self, memory: memoryview) -> None:
        doubles = memory[:SIZE].cast("d")
        self._memory = memory
        self._words: Doubles = doubles[:N_WORDS]
        self._cells: Doubles = doubles[CELLS_AT // DOUBLE : BANKS_AT // DOUBLE]
        self._firsts: dict[Series, int] = {}
        self._n_read = self._n_cells = 0
        self.journal = Journal(memory, self._words)

    @classmethod
    def new(cls, memory: memoryview) -> Slot:
        """The slot in a block of zeros."""
        slot = cls(memory)
        for phase in PHASES:
            slot.first_cell(PHASE_SECONDS, (phase,))
        memory[MAGIC * DOUBLE : (MAGIC + 1) * DOUBLE] = FINGERPRINT
        return slot

    @classmethod
    def existing(cls, memory: memoryview) -> Slot:
        """The slot that somebody wrote; raises DamagedSlot."""
        if memory[MAGIC * DOUBLE : (MAGIC + 1) * DOUBLE] != FINGERPRINT:
            raise DamagedSlot("it is of another release")
        slot = cls(memory)
        # First, since its writer may be adding one.
        used = slot._words[KEYS_USED]
        slot._read_keys()
        phases = [(PHASE_SECONDS.name, (phase,)) for phase in PHASES]
        if slot._n_read < used or list(slot._firsts)[: len(phases)] != phases:
            raise DamagedSlot("its names are damaged")
        if not is_countable(np.array([*slot._words[KEYS_USED:], *slot._cells])) or not slot.journal.is_sound():
            raise DamagedSlot("its numbers are damaged")
        return slot

    def take(self) -> None:
        """Count here from now on: this process is the writer, and what its predecessor did at its end is over."""
        # Without a process nobody takes the gauges for those of the living.
        self._words[PID] = 0.0
        for (name, _), first in self._firsts.items():
            if BY_NAME[name].kind is Kind.GAUGE:
                self._cells[first] = 0.0
        self.journal.resume()
        here = Process.read(os.getpid())
        self._words[STARTED] = here.started_ticks if here is not None else 0.0
        self._words[PID] = float(os.getpid())

    def cells(self, metric: Metric, labels: tuple[str, ...] = ()) -> Doubles:
        """The cells of a series, ``metric.width`` of them, to be added to."""
        first = self.first_cell(metric, labels)
        return self._cells[first : first + metric.width]

    def first_cell(self, metric: Metric, labels: tuple[str, ...] = ()) -> int:
        """Where the cells of a series begin; a series without a place counts under ``OTHER``."""
        found = self._firsts.get((metric.name, labels))
        if found is not None:
            return found
        key = _key(metric.name, labels)
        is_full = sum(name == metric.name for name, _ in self._firsts) >= metric.max_series
        if is_full or len(key) > MAX_KEY_BYTES:
            labels = (OTHER,) * len(metric.labels)
            key = _key(metric.name, labels)
        if (metric.name, labels) not in self._firsts:
            end = int(self._words[KEYS_USED]) + len(key)
            self._memory[KEYS_AT + end - len(key) : KEYS_AT + end] = key
            # Last, so that a reader finds whole keys only.
            self._words[KEYS_USED] = float(end)
            self._read_keys()
        return self._firsts[metric.name, labels]

    def totals(self) -> dict[Series, Vector]:
        """The cells of each series as they are now."""
        self._read_keys()
        totals = np.array(self._cells) + self.journal.totals()
        return {
            (name, labels): totals[first : first + BY_NAME[name].width]
            for (name, labels), first in self._firsts.items()
        }

    def process(self) -> Process | None:
        """The process that counts here, if it lives."""
        process = Process.read(int(self._words[PID]))
        return process if process is not None and process.started_ticks == self._words[STARTED] else None

    @property
    def cpu_seconds(self) -> float:
        """CPU time of all processes that counted here, as far as ``add_cpu`` was told."""
        return self._words[CPU_SECONDS]

    def add_cpu(self, process: Process) -> None:
        """Add the CPU time that the process has used since the last call; one caller at a time over all readers."""
        words = self._words
        is_same = words[SEEN_PID] == process.pid and words[SEEN_STARTED] == process.started_ticks
        more = process.cpu_seconds - (words[SEEN_CPU] if is_same else 0.0)
        words[SEEN_PID], words[SEEN_STARTED] = float(process.pid), process.started_ticks
        words[SEEN_CPU] = process.cpu_seconds
        words[CPU_SECONDS] += max(more, 0.0)

    def _read_keys(self) -> None:
        """Learn the keys that were published since the last time, up to the first that is damaged."""
        used = self._words[KEYS_USED]
        if not self._n_read <= used <= KEYS_BYTES:
            return
        lines = bytes(self._memory[KEYS_AT + self._n_read : KEYS_AT + int(used)]).splitlines(keepends=True)
        for line in lines:
            series = _series(line)
            if series is None or series in self._firsts:
                return
            self._firsts[series] = self._n_cells
            self._n_cells += BY_NAME[series[0]].width
            self._n_read += len(line)


def _key(name: str, labels: tuple[str, ...]) -> bytes:
    """The line of a series: a checksum of the rest, which is JSON."""
    text = json.dumps([name, *labels], separators=(",", ":")).encode()
    return b"%08x %b\n" % (zlib.crc32(text), text)


def _series(line: bytes) -> Series | None:
    """The series of a line, None for a damaged one."""
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        name, *labels = json.loads(text)
    except ValueError:
        return None
    metric = BY_NAME.get(name)
    is_known = metric is not None and metric.max_series > 0 and len(labels) == len(metric.labels)
    return (name, tuple(labels)) if is_known else None
