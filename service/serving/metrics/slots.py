"""``Slots``: the slot that this process counts in, and those of the other workers, one file each in a directory.

A worker takes the first file that nobody has locked and goes on counting where it stands: there are never more files
than workers at once, and what was counted by a worker that was killed stays in the sums.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import mmap
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from service.serving.metrics.layout import SIZE
from service.serving.metrics.process import Process
from service.serving.metrics.slot import DamagedSlot, Slot

log = logging.getLogger("logitd.metrics")

MAX_SLOTS = 256
FILE = re.compile(r"worker-([0-9]{1,3})")
CPU_LOCK = "cpu.lock"
OPEN = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW

Identity: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Worker:
    """One slot at a scrape.  process: who counts in it now; None when nobody does, or the system does not say."""

    number: int
    slot: Slot
    process: Process | None
    is_live: bool


class Slots:
    """Where one worker counts, and what it sees of the others.

    directory: None for a process that is alone.
    """

    def __init__(self, own: Slot, number: int = 0, directory: Path | None = None) -> None:
        self.own = own
        self._number = number
        self._directory = directory
        self._others: dict[int, tuple[Identity, Slot]] = {}
        own.take()

    @classmethod
    def open(cls, directory: Path | None = None) -> Slots:
        """A slot of the directory, or memory of this process where there is none or it cannot be used."""
        if directory is None:
            return cls(Slot.new(memoryview(bytearray(SIZE))))
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            number, slot = free_slot(directory)
        except OSError as error:
            cause = {"path": str(directory), "cause": error.strerror}
            log.warning("/metrics shows one worker only, since its directory cannot be used", extra=cause)
            return cls(Slot.new(memoryview(bytearray(SIZE))))
        return cls(slot, number, directory)

    def workers(self) -> list[Worker]:
        """Every slot, this process's own among them, with the CPU time of its process brought up to date."""
        slots = {number: slot for number, (_, slot) in self._read_others().items()} | {self._number: self.own}
        workers = []
        for number, slot in sorted(slots.items()):
            process = slot.process()
            workers.append(Worker(number, slot, process, is_live=process is not None or slot is self.own))
        with self._alone() as is_alone:
            for worker in workers:
                if is_alone and worker.process is not None:
                    worker.slot.add_cpu(worker.process)
        return workers

    def _read_others(self) -> dict[int, tuple[Identity, Slot]]:
        if self._directory is None:
            return {}
        try:
            paths = list(self._directory.iterdir())
        except OSError:
            # Cleaned away: what was mapped is still there, and still counted in.
            return self._others
        found: dict[int, tuple[Identity, Slot]] = {}
        for path in paths:
            name = FILE.fullmatch(path.name)
            if name is None or int(name[1]) == self._number:
                continue
            number = int(name[1])
            try:
                found[number] = mapped(path, self._others.get(number))
            except (OSError, DamagedSlot):
                # Half made, or damaged: the next worker that comes to it sets it aside.
                log.debug("a worker's counts are left out", extra={"path": str(path)})
        self._others = found
        return found

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether no other worker is between these lines; it is not waited for."""
        if self._directory is None:
            yield True
            return
        try:
            descriptor = os.open(self._directory / CPU_LOCK, OPEN | os.O_CREAT, 0o600)
        except OSError:
            yield False
            return
        try:
            yield is_locked(descriptor)
        finally:
            os.close(descriptor)


def free_slot(directory: Path) -> tuple[int, Slot]:
    """The first slot that nobody holds, held from now on, and its number; raises OSError.

    What is there but is no slot is set aside under the name ``….aside``, or passed over when it is not even a file.
    """
    reason = OSError(errno.EUSERS, "every slot is held")
    for number in range(MAX_SLOTS):
        try:
            slot = held_slot(directory / f"worker-{number}")
        except OSError as error:
            reason = error
            continue
        if slot is not None:
            return number, slot
    raise reason


def held_slot(path: Path) -> Slot | None:
    """The slot in this file with its lock, made where there is none; None when somebody else has it."""
    descriptor = os.open(path, OPEN | os.O_CREAT, 0o600)
    # The mapping keeps a copy of the descriptor, and with it the lock, for as long as the slot is in use.
    try:
        if not is_locked(descriptor):
            return None
        if is_at(path, descriptor):
            return slot_in(descriptor)
    except DamagedSlot as damage:
        log.warning("a file of counts is set aside", extra={"path": str(path), "cause": str(damage)})
        path.replace(path.with_suffix(".aside"))
    finally:
        os.close(descriptor)
    return held_slot(path)


def slot_in(descriptor: int) -> Slot:
    """The slot in a file that is locked; raises DamagedSlot."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise DamagedSlot("it is no file")
    if found.st_size == 0:
        # Every page now: a full disk must show here, and not as a signal when a count meets a page without a place.
        os.posix_fallocate(descriptor, 0, SIZE)
        return Slot.new(memoryview(mmap.mmap(descriptor, SIZE)))
    if found.st_size != SIZE:
        raise DamagedSlot("it has another size")
    return Slot.existing(memoryview(mmap.mmap(descriptor, SIZE)))


def mapped(path: Path, known: tuple[Identity, Slot] | None) -> tuple[Identity, Slot]:
    """The slot in the file of another worker, ``known`` when it is still that file; raises OSError and DamagedSlot."""
    found = path.stat(follow_symlinks=False)
    identity = (found.st_dev, found.st_ino)
    if known is not None and known[0] == identity:
        return known
    if not stat.S_ISREG(found.st_mode) or found.st_size != SIZE:
        raise DamagedSlot("it has another size")
    descriptor = os.open(path, OPEN)
    try:
        return identity, Slot.existing(memoryview(mmap.mmap(descriptor, SIZE)))
    finally:
        os.close(descriptor)


def is_locked(descriptor: int) -> bool:
    """Whether the file is locked for this descriptor from now on; False when another has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_at(path: Path, descriptor: int) -> bool:
    """Whether the name still leads to this file: it may have been set aside before it was locked."""
    try:
        return os.path.samestat(path.stat(follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False
