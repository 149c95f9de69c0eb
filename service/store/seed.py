"""Copying shipped models into a store that is empty.

::

    <root>/.seeding              there from before the first copy until after the last; held by flock meanwhile
    <root>/.seed-<uuid>          a model being copied; never read
"""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.errors import InvalidSettings
from service.store.files import copy_folder, sync_directory, translated
from service.store.local import TAKEN, LocalStore

MARKER = ".seeding"
SCRATCH = ".seed-"


def seed(root: Path, source: Path) -> list[str]:
    """Copy every model of ``source`` into ``root`` when ``root`` holds none; the names that were copied.

    Each model appears whole and durably, by one rename; one that another process put there meanwhile stays as it is.
    What a killed process began, the next call finishes.  Raises InvalidSettings when ``source`` is no directory,
    StoreUnavailable or StoreFull when ``root`` cannot be written.
    """
    with translated("filling the store with the shipped models"):
        if _is_done(root):
            return []
        if not source.is_dir():
            raise InvalidSettings("LOGITD_SEED_STORE names no directory")
        root.mkdir(parents=True, exist_ok=True)
        with _alone(root) as is_first:
            return _copy_all(root, source) if is_first else []


def _is_done(root: Path) -> bool:
    return bool(LocalStore(root).names()) and not (root / MARKER).exists()


@contextmanager
def _alone(root: Path) -> Iterator[bool]:
    """Hold the marker, which goes when all went well; False when another process has done the work meanwhile."""
    marker = root / MARKER
    descriptor = os.open(marker, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # The holder before took its marker away: what is held here is no file any more.
        is_first = os.fstat(descriptor).st_nlink > 0
        yield is_first
        if is_first:
            marker.unlink()
    finally:
        os.close(descriptor)


def _copy_all(root: Path, source: Path) -> list[str]:
    for left in root.glob(f"{SCRATCH}*"):
        shutil.rmtree(left, ignore_errors=True)
    copied = [name for name in LocalStore(source).names() if _copy(source / name, root / name)]
    sync_directory(root)
    return copied


def _copy(source: Path, target: Path) -> bool:
    """Copy a folder, which appears as a whole; False when there is a folder with files at ``target`` already."""
    scratch = target.parent / f"{SCRATCH}{uuid.uuid4().hex}"
    try:
        copy_folder(source, scratch)
        return _rename(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _rename(scratch: Path, target: Path) -> bool:
    try:
        scratch.rename(target)
    except OSError as error:
        if error.errno in TAKEN:
            return False
        raise
    return True
