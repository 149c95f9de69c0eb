"""What a fresh reader finds in a store, and whether a store is sound after a fault."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hardening.crash.versions import NAME, NOW, check_whole, publish
from service.errors import ModelNotFound
from service.store.local import LEFTOVER_AGE_S, TEMPORARY
from service.store.model_store import ModelStore
from service.store.seed import SCRATCH
from service.store.signature import SignatureState

NEWEST = 100


@dataclass(frozen=True, slots=True)
class State:
    """The versions, which of them are signed, where each alias points, and the newest changes that led there, for one reader."""

    versions: tuple[int, ...] = ()
    signed: tuple[int, ...] = ()
    aliases: tuple[tuple[str, int], ...] = ()
    changes: tuple[tuple[str, int], ...] = ()


def observe(root: Path) -> State:
    """The state that a reader without a memory finds; every version is loaded and found whole.

    Raises whatever the store raises when it is damaged: every ``ServiceError`` but "no such model", and AssertionError.
    """
    store = ModelStore(root)
    with suppress(ModelNotFound):
        versions = store.versions(NAME)
        for version in versions:
            check_whole(store.load(NAME, version))
        signed = tuple(v for v in versions if store.check_signature(NAME, v) is not SignatureState.NONE)
        aliases = tuple((alias, entry.version) for alias, entry in store.aliases(NAME).items())
        lost = [alias for alias, version in aliases if version not in versions]
        if lost:
            raise AssertionError(f"alias {lost[0]} points to a version that is not there")
        # Not all: a history that is too long forgets its beginning, whether the change that it was too long for came or not.
        changes = tuple((line.alias, line.version) for line in store.history(NAME)[-NEWEST:])
        return State(tuple(versions), signed, aliases, changes)
    return State()


def check_writable(root: Path) -> None:
    """Raise AssertionError unless a later writer succeeds, sweeps what was left, and its version goes live."""
    before = observe(root)
    _let_an_hour_pass(root)
    store = ModelStore(root)
    version = publish(store, 1000).version
    store.set_alias(NAME, "live", version, reason="after the fault", now=NOW)
    left = [*(root / NAME / TEMPORARY).iterdir(), *root.glob(f"{SCRATCH}*")]
    if left:
        raise AssertionError(f"a later writer left {len(left)} temporary files of the one that failed")
    after = observe(root)
    if after.versions != (*before.versions, version) or dict(after.aliases)["live"] != version:
        raise AssertionError("a later writer did not get its version live")


def _let_an_hour_pass(root: Path) -> None:
    """Age the leftovers, as waiting would."""
    for left in (*(root / NAME / TEMPORARY).glob("*"), *root.glob(f"{SCRATCH}*")):
        old = left.stat().st_mtime - 2 * LEFTOVER_AGE_S
        os.utime(left, (old, old))
