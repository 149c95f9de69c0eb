"""What the workers of one service share, and what is left of it when a service was killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.cli import run_directory as module
from service.cli.run_directory import LOCK, PREFIX, YOUNG_S, run_directory, sweep

HOLD = "import sys\nfrom service.cli.run_directory import run_directory\nwith run_directory() as folder:\n"
KILLED = HOLD + " print(folder, flush=True)\n sys.stdin.readline()\n"


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the shared memory."""
    monkeypatch.setattr(module, "SHARED_MEMORY", str(tmp_path))
    return tmp_path


def grow_old(folder: Path) -> None:
    long_ago = time.time() - YOUNG_S - 5
    os.utime(folder, (long_ago, long_ago))


def left_by_a_killed_service(memory: Path) -> Path:
    code = f"import service.cli.run_directory as m\nm.SHARED_MEMORY = {str(memory)!r}\n{KILLED}"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        grow_old(folder)
        sweep(memory)
        assert folder.is_dir()
        process.kill()
    return folder


def test_it_is_there_for_a_while(memory: Path) -> None:
    """New, of nobody else, and gone afterwards with all that is in it."""
    with run_directory() as folder:
        assert Path(folder).parent == memory
        assert Path(folder).stat().st_mode & 0o777 == 0o700
        Path(folder, "metrics").mkdir()

    assert not list(memory.iterdir())


def test_without_shared_memory_it_is_where_temporary_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a system that has none."""
    monkeypatch.setattr(module, "SHARED_MEMORY", "/nowhere")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with run_directory() as folder:
        assert Path(folder).parent == tmp_path


def test_what_a_killed_service_left_is_swept(memory: Path) -> None:
    """Not while it lives, however old it is; the next service does it."""
    left = left_by_a_killed_service(memory)
    assert left.is_dir()

    with run_directory() as folder:
        assert list(memory.iterdir()) == [Path(folder)]


@pytest.mark.parametrize("what", ["young", "another name", "no lock", "a file", "a link", "a locked one"])
def test_nothing_else_is_swept(memory: Path, what: str) -> None:
    """Only what is ours beyond doubt."""
    name = "logitd-models" if what == "another name" else f"{PREFIX}x"
    folder = memory / name
    if what == "a file":
        folder.touch()
    elif what == "a link":
        (memory / "elsewhere").mkdir()
        (memory / "elsewhere" / LOCK).touch()
        folder.symlink_to(memory / "elsewhere")
    else:
        folder.mkdir()
        (folder / "kept").touch()
        if what != "no lock":
            (folder / LOCK).touch()
    if what not in {"young", "a link"}:
        grow_old(folder)

    with module._locked(folder) if what == "a locked one" else run_directory():
        sweep(memory)

    assert folder.exists()
    assert what in {"a file", "a link"} or (folder / "kept").exists()
