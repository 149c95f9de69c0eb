"""What Linux tells of a process and its children: memory, descriptors, threads, whether it waits to be buried."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.memory import process_tree

WORKER_MODULE = "service.cli.worker"
SERVICE, WORKER, OTHER = "service", "worker", "other"
RUN_DIRECTORY = re.compile(r'"run_directory": "([^"]+)"')
FIELD = re.compile(r"^(State|VmRSS|Threads):\s*(\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Look:
    """One process at one moment.  role: SERVICE (the process that was started), WORKER or OTHER."""

    pid: int
    role: str
    rss_kib: int
    n_descriptors: int
    n_threads: int
    is_zombie: bool = False


def look_at(root: int) -> list[Look]:
    """A process and all its descendants, the root first; without those that ended meanwhile."""
    found = (_look(pid, is_root=pid == root) for pid in process_tree(root))
    return [look for look in found if look is not None]


def run_directories(root: int) -> set[Path]:
    """The directories that the workers of a service share, as their orders name them."""
    orders = (_command(pid) for pid in process_tree(root))
    return {Path(found[1]) for text in orders if (found := RUN_DIRECTORY.search(text))}


def workers_of(root: int) -> list[int]:
    """The process ids of a service's workers, the oldest first; of one that works alone its own."""
    workers = [look.pid for look in look_at(root) if look.role == WORKER and not look.is_zombie]
    return sorted(workers, key=_started) or [root]


def _look(pid: int, *, is_root: bool) -> Look | None:
    folder = Path(f"/proc/{pid}")
    try:
        told = dict(FIELD.findall((folder / "status").read_text(encoding="utf-8", errors="replace")))
        # That of a zombie may be closed to all but root.
        n_descriptors = 0 if told["State"] == "Z" else len(list((folder / "fd").iterdir()))
        role = SERVICE if is_root else WORKER if WORKER_MODULE in _command(pid) else OTHER
    except OSError:
        return None
    rss_kib, n_threads = int(told.get("VmRSS", 0)), int(told["Threads"])
    return Look(pid, role, rss_kib, n_descriptors, n_threads, told["State"] == "Z")


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _started(pid: int) -> int:
    """When a process was started, in ticks since the machine was; that of a process that is gone is 0."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
    except OSError:
        return 0
