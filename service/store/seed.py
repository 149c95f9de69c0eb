"""Copying shipped models into a store that is empty."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from service.errors import StoreUnavailable
from service.store.model_store import ModelStore


def seed(root: Path, source: Path) -> list[str]:
    """Copy every model of ``source`` into ``root`` when ``root`` holds none; the names that were copied.

    Each model appears whole, by one rename.  Raises StoreUnavailable when ``root`` cannot be written.
    """
    if ModelStore(root).names():
        return []
    copied = []
    for name in ModelStore(source).names():
        scratch = root / f".seed-{uuid.uuid4().hex}"
        try:
            root.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source / name, scratch)
            scratch.rename(root / name)
        except OSError as error:
            shutil.rmtree(scratch, ignore_errors=True)
            raise StoreUnavailable(f"the store cannot be filled with the shipped models: {error.strerror}") from error
        copied.append(name)
    return copied
