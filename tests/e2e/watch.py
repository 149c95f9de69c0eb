"""A watch over Python processes: what could run code, reach out, or touch files is noted as it happens.

``sitecustomize`` of a test calls ``begin``, so that every Python process of a service is watched from its first lines
on.  Python tells an audit hook of these events (PEP 578), which no Python code can take back.  Noted is all of
``WATCHED`` but

- code that runs while a module is imported, if the module's file is an installed one: an import runs code, and
  dataclasses and named tuples write theirs at that moment;
- files that are installed, or lie below a folder that was named to ``begin``.

What native code does by itself is not told: uvloop starts processes so.  If they are Python's, they begin a watch.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from pathlib import Path
from types import CodeType, FrameType

CODE = frozenset({"exec", "compile", "marshal.loads", "marshal.load", "import"})
# The event, and where it tells the descriptor of the directory that its path begins at.
FILES = {"open": None, "os.rename": 2, "os.link": 2, "os.symlink": 2, "os.mkdir": 2, "os.chmod": 2}
FILES |= {"os.remove": 1, "os.rmdir": 1, "os.truncate": None}
TWO_PATHS = frozenset({"os.rename", "os.link", "os.symlink"})
PROCESSES = frozenset(
    {"os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "subprocess.Popen"}
)
OTHER = frozenset({"pickle.find_class", "socket.connect", "ctypes.dlopen"})
WATCHED = CODE | FILES.keys() | PROCESSES | OTHER
IMPORTING = "<frozen importlib._bootstrap"
PROJECT = str(Path(__file__).resolve().parents[2])
# The interpreter's library, its packages, and the package that is tested.
INSTALLED = tuple(
    f"{folder}/"
    for folder in (
        *{sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")},
        *(path for path in sys.path if path.endswith("site-packages")),
        f"{PROJECT}/service",
    )
)
# What a process is for, by a module that its command names.
ROLES = {"service.cli.worker": "worker", "service.serving.confined": "trainer"}


class Watch:
    """Of one process.  notes: a file descriptor.  folders: files below them, or with a path that begins so, are ours."""

    def __init__(self, notes: int, folders: tuple[str, ...]) -> None:
        self._notes = notes
        self._ours = (*INSTALLED, *folders)
        self._role = next((role for module, role in ROLES.items() if module in sys.orig_argv), "first")

    def see(self, event: str, arguments: tuple[object, ...]) -> None:
        """The hook."""
        if event not in WATCHED:
            return
        if event in FILES:
            paths = arguments[: 2 if event in TWO_PATHS else 1]
            strange = [
                where for path in paths if (where := absolute(path, event, arguments)) and not self._is_ours(where)
            ]
            if strange:
                self.note(event, strange)
        elif event not in CODE or is_strange_code(event, arguments):
            self.note(event, [told(argument) for argument in arguments[:2]])

    def note(self, event: str, what: list[str]) -> None:
        """One line; a single write, since several processes share the file."""
        line = {"pid": os.getpid(), "role": self._role, "event": event, "what": what, "by": caller()}
        os.write(self._notes, json.dumps(line).encode() + b"\n")

    def _is_ours(self, path: str) -> bool:
        return f"{path}/".startswith(self._ours)


def absolute(path: object, event: str, arguments: tuple[object, ...]) -> str:
    """The path that an event tells of, or "" for a descriptor, which was opened before."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        return ""
    at = FILES[event]
    descriptor = arguments[at] if at is not None and at < len(arguments) else -1
    is_told = isinstance(descriptor, int) and descriptor >= 0
    base = Path(f"/proc/self/fd/{descriptor}").readlink() if is_told else Path.cwd()
    return os.path.normpath(base / os.fsdecode(path))


def is_strange_code(event: str, arguments: tuple[object, ...]) -> bool:
    """Whether it is no import of an installed module, and no part of one."""
    if event == "import":
        # Only of native modules is the file told here; of the others it is in the code that is executed.
        return isinstance(arguments[1], str) and not arguments[1].startswith(INSTALLED)
    name = arguments[0].co_filename if isinstance(arguments[0], CodeType) else ""
    return not is_importing() or (name.startswith("/") and not name.startswith(INSTALLED))


def is_importing() -> bool:
    """Whether a module is being imported."""
    return any(frame.f_code.co_filename.startswith(IMPORTING) for frame in frames())


def frames() -> list[FrameType]:
    """The calls that led here, innermost first."""
    found = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename != __file__:
            found.append(frame)
        frame = frame.f_back
    return found


def caller() -> str:
    """The innermost call: file and function."""
    found = frames()
    return f"{Path(found[0].f_code.co_filename).name} {found[0].f_code.co_name}" if found else ""


def told(argument: object) -> str:
    """An argument of an event in a word; of code its file."""
    text = argument.co_filename if isinstance(argument, CodeType) else argument
    return (text.decode(errors="replace") if isinstance(text, bytes) else str(text))[:200]


def begin(file: str, *folders: str) -> None:
    """Watch this process from now on, and write to ``file``; it cannot be undone."""
    watch = Watch(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC), folders)
    watch.note("begin", [])
    sys.addaudithook(watch.see)
