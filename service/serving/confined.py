"""A module run as a process that the service can afford to lose: ``confined PARENT MEMORY_BYTES MODULE``.

It takes what is left of the processors, a bounded amount of memory, is the first to go when the machine runs out of it,
and ends with the process that started it.  All of that before the module's own imports, which take a second of a
processor themselves.
"""

from __future__ import annotations

import os
import re
import resource
import runpy
import sys
from contextlib import suppress
from pathlib import Path

from service.serving.processes import end_with

NICENESS = 19
# The kernel weighs sessions against each other before the processes in them: niceness alone would mean nothing.
LINUX = {"oom_score_adj": 1000, "autogroup": NICENESS}
# What OpenBLAS, Rust and Python say for want of memory, mostly when they end the process for it.
NO_MEMORY = re.compile(r"memory alloc|MemoryError|can't start new thread", re.IGNORECASE)
NOT_ENOUGH = "training needed more memory than it may have; send fewer cells, or use `logitd train` offline"


def confine(parent: int, memory_bytes: int) -> None:
    """Apply the limits to this process and to whatever it starts."""
    end_with(parent)
    os.nice(NICENESS)
    if sys.platform == "linux":
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        for file, value in LINUX.items():
            with suppress(OSError):
                Path("/proc/self", file).write_text(str(value), encoding="ascii")
    bound_memory(memory_bytes)


def bound_memory(memory_bytes: int) -> None:
    """Let this process and whatever it starts have no more memory for data; a lower bound that there is stays."""
    # Data, not address space: of that, shared libraries alone take gigabytes that are never touched.
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    bound = memory_bytes if most == resource.RLIM_INFINITY else min(memory_bytes, most)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))


if __name__ == "__main__":
    _, started_by, memory, module = sys.argv
    confine(int(started_by), int(memory))
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
