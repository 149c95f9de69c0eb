"""Copying shipped models into a store that is empty."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from service.errors import InvalidSettings
from service.store.files import translated
from service.store.local import TAKEN, LocalStore


def seed(root: Path, source: Path) -> list[str]:
    """Copy every model of ``source`` into ``root`` when ``root`` holds none; the names that were copied.

    Each model appears whole, by one rename; one that another process put there meanwhile stays as it is.  Raises
    InvalidSettings when ``source`` is no directory, StoreUnavailable or StoreFull when ``root`` cannot be written.
    """
    if LocalStore(root).names():
        return []
    if not source.is_dir():
        raise InvalidSettings("LOGITD_SEED_STORE names no directory")
    with translated("filling the store with the shipped models"):
        root.mkdir(parents=True, exist_ok=True)
        return [name for name in LocalStore(source).names() if _copy(source / name, root / name)]


def _copy(source: Path, target: Path) -> bool:
    """Copy a folder, which appears as a whole; False when there is a folder with files at ``target`` already."""
    scratch = target.parent / f".seed-{uuid.uuid4().hex}"
    try:
        shutil.copytree(source, scratch)
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
