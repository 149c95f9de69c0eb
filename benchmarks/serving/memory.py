"""The memory of a process and all that it started: the proportional set size, in which shared pages count once."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def process_tree(root: int) -> list[int]:
    """A process and its descendants, the root first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            # It may end while we look.
            with suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def tree_mib(root: int) -> float:
    """The memory of a process tree."""
    return sum(_pss_kib(pid) for pid in process_tree(root)) / 1024


def _pss_kib(pid: int) -> int:
    """Pss of /proc/<pid>/smaps_rollup, see proc(5); 0 for a process that has ended."""
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return 0
