"""What the service tells the C library's allocator, seen in a process of its own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

# Blocks of 1 MiB that are freed and asked for again: their page faults, after the first ones.
PROGRAM = """
import resource, sys, threading
from service.cli.allocator import keep_freed_memory
print(keep_freed_memory())

def work():
    for n in range(101):
        if n == 1:
            before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
        blocks = [bytearray(b'x') * (1 << 20) for _ in range(3)]
        del blocks
    print(resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before)

thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
IS_GLIBC = platform.libc_ver()[0] == "glibc"


def seen(**variables: str) -> tuple[bool, int]:
    """Whether the choice was made, and the page faults of a hundred rounds in a thread."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**environment, **variables}, capture_output=True, text=True, check=True
    )
    word, faults = done.stdout.split()
    return word == "True", int(faults)


@pytest.mark.skipif(not IS_GLIBC, reason="the choice is glibc's; elsewhere there is none to make")
def test_freed_memory_is_used_again() -> None:
    """Where each round of the default maps its memory anew, hardly a page of it is new here."""
    is_chosen, faults = seen()

    assert is_chosen
    assert faults < 1000


@pytest.mark.parametrize("variable", ["MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_who_has_chosen_is_left_alone(variable: str) -> None:
    """An operator's own settings of the allocator stay as they are."""
    is_chosen, faults = seen(**{variable: "glibc.malloc.tcache_count=7" if variable.startswith("G") else "131072"})

    assert not is_chosen
    if IS_GLIBC:
        assert faults > 10_000
