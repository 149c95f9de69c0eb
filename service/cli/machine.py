"""How much memory and how many open files this process may have, whoever set the bound."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from service.errors import OutOfMemory

CGROUPS = Path("/sys/fs/cgroup")
# The flag of bash's ulimit, what the start of the service takes, and the unit of the flag.
LEAST = {
    resource.RLIMIT_NOFILE: ("-n", 24, 1),
    resource.RLIMIT_DATA: ("-d", 96 << 20, 1024),
    resource.RLIMIT_AS: ("-v", 256 << 20, 1024),
}


def memory_bytes() -> int:
    """The least of the machine's memory, what its container leaves to it, and what ``ulimit`` does (-v and -d)."""
    return min(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_limits_of_this_process(), *_cgroup_limits())


def open_files() -> int:
    """How many files and connections this process may have open together (``ulimit -n``)."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def check_room() -> None:
    """Raise OutOfMemory where ``ulimit`` leaves so little that libraries would abort before the service begins."""
    for kind, (flag, least, unit) in LEAST.items():
        soft, _ = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY and soft < least:
            raise OutOfMemory(f"the service has no room to start: ulimit {flag} must be {least // unit} or more")


def _limits_of_this_process() -> Iterator[int]:
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        soft, _ = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY:
            yield soft


def _cgroup_limits() -> Iterator[int]:
    """The limits of the control groups of this process (Linux), of both versions; one without a limit says a word."""
    for file in _cgroup_files():
        with suppress(OSError, ValueError):
            yield int(file.read_text(encoding="ascii"))


def _cgroup_files() -> Iterator[Path]:
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            root, name = (CGROUPS / "memory", "memory.limit_in_bytes") if controllers else (CGROUPS, "memory.max")
            group = root / path.lstrip("/")
            # In a container the path may be the host's: what is mounted is the group itself.
            yield root / name
            yield from (folder / name for folder in (group, *group.parents) if folder.is_relative_to(root))
