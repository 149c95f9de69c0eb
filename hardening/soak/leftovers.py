"""What a service may not leave behind: files of publications that nobody finished, directories, temporary files."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

# A publication that a kill interrupted was begun before it, but not long.
PUBLICATION_S = 5.0


def findings_in(store: Path, run_directories: Iterable[Path], scratch: Path, kills: Sequence[float]) -> list[str]:
    """A line for each thing that is left, but for publications that a kill interrupted: a later writer sweeps those.

    scratch: the service's directory for temporary files.  kills: by ``time.monotonic``.
    """
    unfinished = [path for path in store.glob("*/.tmp/*") if not _is_due_to(path, kills)]
    return [
        *(f"unfinished in the store: {path.relative_to(store)}" for path in sorted(unfinished)),
        *(f"the workers' directory is still there: {path}" for path in sorted(run_directories) if path.exists()),
        *(f"temporary file: {path.name}" for path in sorted(scratch.iterdir()) if not _is_due_to(path, kills)),
    ]


def _is_due_to(path: Path, kills: Iterable[float]) -> bool:
    """Whether a kill came soon after the file was written."""
    written = path.stat().st_mtime - time.time() + time.monotonic()
    return any(written - 1.0 <= kill <= written + PUBLICATION_S for kill in kills)
