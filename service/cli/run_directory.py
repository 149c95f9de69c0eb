"""The directory that the workers of one service share: made at the start, gone at the end."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Counters live there: on a disk, writing back their pages would hold up who counts.
SHARED_MEMORY = "/dev/shm"  # noqa: S108 — a directory of our own is made in it
# A directory is ours by its name and this file, which is locked while its service lives; it is young until then.
PREFIX, LOCK = "logitd-run-", "lock"
YOUNG_S = 60.0


@contextmanager
def run_directory() -> Iterator[str]:
    """A new directory in memory, or where temporary files go; what killed services left there is swept.

    Raises OSError where none can be made.
    """
    parent = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else tempfile.gettempdir()
    sweep(Path(parent))
    folder = tempfile.mkdtemp(prefix=PREFIX, dir=parent)
    try:
        Path(folder, LOCK).touch()
        # It ends with the process, however that ends, and is seen from other containers too.
        with _locked(Path(folder)):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(parent: Path) -> None:
    """Remove the run directories of this user whose service is gone."""
    with suppress(OSError):
        for entry in list(os.scandir(parent)):
            if entry.name.startswith(PREFIX) and _is_old_and_ours(entry):
                with _locked(Path(entry.path)) as is_mine:
                    if is_mine:
                        shutil.rmtree(entry.path, ignore_errors=True)


def _is_old_and_ours(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):
        status = entry.stat(follow_symlinks=False)
        is_old = time.time() - status.st_mtime > YOUNG_S
        return entry.is_dir(follow_symlinks=False) and status.st_uid == os.geteuid() and is_old
    return False


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold the lock of a run directory; False: another process does, or it has none."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        yield _is_taken(descriptor)
    finally:
        os.close(descriptor)


def _is_taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
