"""A store that fails while it is read, for real: an error at each system call of a reload."""

from __future__ import annotations

from pathlib import Path

import pytest
from asking import abc_table, train_into
from clock import Clock

from hardening.crash.tracing import Fault, is_permitted, traced
from service.serving.registry import RETRY_S, ModelRegistry
from service.store.model_store import ModelStore
from service.store.names import ModelRef

pytest_plugins = ("served",)

LIVE = ModelRef("abc")
READING = ("openat", "read", "newfstatat", "lstat", "stat", "fstat", "getdents64", "fcntl")
# What a network file system says of a file that was replaced, and a disk of one that it cannot read.
ERRORS = ("ESTALE", "EIO")


@pytest.fixture
def reloading(store_copy: Path) -> tuple[ModelRegistry, Clock]:
    """A registry that has version 1 in memory, while another process has just promoted version 2."""
    train_into(store_copy, "abc", abc_table(), "y", C=0.01, promote="never")
    clock = Clock()
    registry = ModelRegistry(ModelStore(store_copy), "abc", clock)
    assert registry.resolve(LIVE).manifest.version == 1
    store = ModelStore(store_copy)
    store.set_alias("abc", "live", 2, reason="", now=store.manifest("abc", 1).created_at)
    return registry, clock


def follow(registry: ModelRegistry, clock: Clock) -> None:
    """Ask as requests do: the first may meet the fault, and the one after the pause must see the new version."""
    assert registry.resolve(LIVE).manifest.version in {1, 2}
    clock.now += RETRY_S
    assert registry.resolve(LIVE).manifest.version == 2


def test_a_store_that_fails_once_is_followed_at_the_next_try(
    reloading: tuple[ModelRegistry, Clock], tmp_path: Path
) -> None:
    """S21: with ESTALE or EIO at any call of a reload the old version answers, and the new one after the pause."""
    if not is_permitted():
        pytest.skip("strace is missing or not permitted here")
    registry, clock = reloading
    outcome, calls = traced(lambda: follow(registry, clock), tmp_path / "log")
    assert outcome == "acknowledged"

    # The first read is that of the word to begin.
    faults = [
        Fault(call, f"error={error}", at)
        for error in ERRORS
        for call in READING
        for at in range(1 + (call == "read"), calls[call] + 1)
    ]
    failed = [
        str(fault) for fault in faults if traced(lambda: follow(registry, clock), tmp_path / "log", fault)[0] != outcome
    ]

    assert len(faults) > 20
    assert failed == []
