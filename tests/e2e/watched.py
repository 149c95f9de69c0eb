"""A service under a watch (``watch``), and what it may do that the watch notes: a list, each entry with its reason."""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir

import watch
from service_process import Service, serving


@dataclass(frozen=True)
class Note:
    """An event that was noted.  by: file and function of the innermost call."""

    pid: int
    role: str
    event: str
    what: list[str]
    by: str

    def __str__(self) -> str:
        return f"{self.role}: {self.event} {self.what} by {self.by}"


@dataclass(frozen=True)
class Expected:
    """Notes of any of these roles (``|`` between them) and this event, whose first word and caller match entirely."""

    roles: str
    event: str
    what: str
    by: str
    reason: str

    def covers(self, note: Note) -> bool:
        """Whether a note is expected for this reason."""
        is_one = note.role in self.roles.split("|") and note.event == self.event
        first = note.what[0] if note.what else ""
        return (
            is_one
            and re.fullmatch(self.what, first, re.DOTALL) is not None
            and re.fullmatch(self.by, note.by) is not None
        )


ALL, SERVING = "first|worker|trainer", "first|worker"
EXPECTED = (
    Expected(ALL, "begin", "", ".*", "the watch itself"),
    # Starting.
    Expected(ALL, "exec", rf"{watch.PROJECT}/service/.*", r"<frozen runpy> _run_code", "`python -m` runs a module"),
    Expected("worker|trainer", "compile", r"import runpy, sys; root = .*", "", "the command of a child (`BEGIN`)"),
    Expected("worker|trainer", "exec", "<string>", "", "the same"),
    Expected(SERVING, "compile", r"Request|Response", r"inspect.py .*", "FastAPI reads our handlers' annotations"),
    Expected(SERVING, "exec", "<string>", r"inspect.py .*", "the same"),
    Expected("worker", "compile", r"def __create_fn__.*", r"dataclasses.py _create_fn", "`Orders`, in the main module"),
    Expected("worker", "exec", "<string>", r"dataclasses.py _create_fn", "the same"),
    Expected("trainer", "compile", r"bool|int|str|str \| None|dict\[str, str\]", r"typing.py .*", "pydantic reads the fields of `Job`"),
    Expected("trainer", "exec", "<string>", r"typing.py .*", "the same"),
    Expected(ALL, "open", r"/.*/python\d+\.zip", r"zipfile.py __init__", "where Python looks for packages' metadata"),
    # Processes.
    Expected("first", "subprocess.Popen", re.escape(sys.executable), r"subprocess.py _execute_child", "workers"),
    Expected(ALL, "open", "/dev/null", r"subprocess.py _get_devnull", "standard input of workers"),
    Expected(ALL, "ctypes.dlopen", "None", r"__init__.py __init__", "this process itself: prctl, and a packet filter"),
    Expected("trainer", "ctypes.dlopen", r"/.*/numpy\.libs/.*", r"__init__.py __init__", "threadpoolctl: one thread of BLAS"),
    # The event hides where they are.
    Expected("first", "open", r".*/(answers|metrics)", r"shutil.py _rmtree_safe_fd.*", "run directories go: its own, and those of killed services"),
    # The system's files.
    Expected("trainer", "open", r"/proc/self/(autogroup|oom_score_adj)", r"pathlib.py open", "a trainer steps back"),
    Expected("trainer", "open", r"/proc/self/maps", r"threadpoolctl.py .*", "which BLAS is loaded"),
    Expected(SERVING, "open", r"/proc/(\d+/stat|stat|self/(stat|limits))", r"pathlib.py open|process_collector.py .*", "/metrics"),
    Expected("first", "open", r"/proc/self/cgroup|/sys/fs/cgroup/.*memory[a-z_.]*", r"pathlib.py open", "its memory"),
    Expected("first", "open", r"/proc/\d+/status", r"pathlib.py open", "whether a debugger holds a silent worker"),
)  # fmt: skip


@dataclass(frozen=True)
class Notes:
    """What was noted of all processes of a service."""

    file: Path

    def all(self) -> list[Note]:
        return [Note(**json.loads(line)) for line in self.file.read_text().splitlines()]

    def unexpected(self) -> list[str]:
        """What no entry of ``EXPECTED`` covers."""
        return [str(note) for note in self.all() if not any(entry.covers(note) for entry in EXPECTED)]

    def count(self, event: str) -> Counter[str]:
        """How often each role did it."""
        return Counter(note.role for note in self.all() if note.event == event)


@contextmanager
def watched(store: Path, *files: Path, then: str = "", **variables: str) -> Iterator[tuple[Service, Notes]]:
    """The service on a store under a watch; its run directory, the store and these files are its own.

    then: further lines for the start of each process.
    """
    folder = store.parent / "start"
    folder.mkdir()
    # What workers share lies in memory, or else where temporary files do.
    ours = [*(f"{path}/" for path in (store, *files)), "/dev/shm/logitd-", f"{gettempdir()}/logitd-"]
    (folder / "sitecustomize.py").write_text(
        f"import sys\nsys.path.append({str(Path(__file__).parent)!r})\nimport watch\nsys.path.pop()\n"
        f"watch.begin({str(folder / 'notes')!r}, *{ours!r})\n{then}"
    )
    paths = os.pathsep.join([str(folder), watch.PROJECT])
    # As the installed command has it: what lies in the current directory is not imported.
    with serving(store, prefix=(), trusted=None, PYTHONPATH=paths, PYTHONSAFEPATH="1", **variables) as service:
        yield service, Notes(folder / "notes")
