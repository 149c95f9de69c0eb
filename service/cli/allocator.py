"""The C library's allocator, told to keep what one request frees for the next."""

from __future__ import annotations

import ctypes
import os

# Of malloc.h (glibc).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
# The tables of a request of 2000 rows are below the first; the second bounds what is kept.
MAPPED_BYTES, KEPT_BYTES = 4 << 20, 8 << 20
OWN_CHOICES = ("MALLOC_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Reuse the memory of a body instead of giving it back to the system and having it zeroed once more; whether it worked.

    By itself glibc maps blocks of 128 KiB and more one by one and returns the top of each thread's heap as soon as that
    much is free: a third of the time of a body of 2000 rows goes to page faults.  Threads share one heap, so that what is
    kept is kept once.  Other C libraries and whoever has set glibc's own variables are left alone.
    Source: mallopt(3).
    """
    if any(name.startswith(OWN_CHOICES) for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    choices = ((M_ARENA_MAX, 1), (M_MMAP_THRESHOLD, MAPPED_BYTES), (M_TRIM_THRESHOLD, KEPT_BYTES))
    accepted = [mallopt(*choice) for choice in choices]
    return all(accepted)
