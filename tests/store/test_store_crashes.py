from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest
from stored import Put

from service.errors import PreconditionFailed, StoreFull, StoreUnavailable, VersionNotFound
from service.store import local
from service.store.model_store import ModelStore

PUBLISHER = Path(__file__).with_name("publisher.py")


def start_publisher(root: Path, count: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(PUBLISHER.parents[2]), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, PUBLISHER, root, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def test_eight_processes_publish_without_losing_a_version(store: ModelStore, put: Put, tmp_path: Path) -> None:
    """S16: eight times 25 publications at once give 200 versions, numbered without a gap, each acknowledged once."""
    put()

    publishers = [start_publisher(tmp_path / "store", 25) for _ in range(8)]
    printed = [publisher.communicate(timeout=120)[0] for publisher in publishers]

    assert sorted(int(line) for output in printed for line in output.split()) == list(range(2, 202))
    assert store.versions("churn") == list(range(1, 202))
    assert [store.verify("churn", version).version for version in store.versions("churn")] == list(range(1, 202))


@pytest.fixture
def forks(put: Put, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that forks an endless publisher for every line it gets."""
    put()
    with start_publisher(tmp_path / "store", 0) as process:
        yield process
        process.kill()


def test_a_killed_publisher_leaves_all_or_nothing(
    store: ModelStore, forks: subprocess.Popen[str], put: Put, now: datetime
) -> None:
    """S22: after ``kill -9`` at random moments every version is whole, the alias leads to one, the history leads to it."""
    assert forks.stdin is not None
    assert forks.stdout is not None
    moments = random.Random(7)

    for _ in range(15):
        forks.stdin.write("\n")
        forks.stdin.flush()
        child = int(forks.stdout.readline())
        time.sleep(moments.uniform(0.002, 0.06))
        os.kill(child, signal.SIGKILL)

        for version in store.versions("churn"):
            with suppress(VersionNotFound):  # the dying process may still finish a system call
                store.verify("churn", version)
        aliases = store.aliases("churn")
        assert len(store.history("churn")) >= max((entry.serial for entry in aliases.values()), default=0)

    highest = put().version
    assert highest > 2
    assert store.set_alias("churn", "live", highest, reason="", now=now).version == highest
    assert store.history("churn")[-1].version == highest


@pytest.fixture
def stopped_holder(put: Put, churn: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that was stopped while it held the lock of ``churn``."""
    put()
    hold = (
        "import fcntl, os, signal, sys\n"
        "fcntl.flock(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o644), fcntl.LOCK_EX)\n"
        "print(flush=True)\n"
        "signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", hold, churn / ".lock"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        yield process
        process.kill()


def test_a_stopped_process_holds_up_only_who_moves_aliases(
    store: ModelStore,
    stopped_holder: subprocess.Popen[bytes],
    put: Put,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S22: beside a stopped holder of the lock versions are read and published, moves are refused, and succeed after it."""
    monkeypatch.setattr(local, "LOCK_PATIENCE_S", 0.1)

    assert store.load("churn", 1).manifest.version == 1
    assert put().version == 2
    with pytest.raises(StoreUnavailable, match="has it been stopped"):
        store.set_alias("churn", "live", 2, reason="", now=now)
    with pytest.raises(StoreUnavailable, match="has it been stopped"):
        store.delete("churn", 1)
    stopped_holder.kill()
    stopped_holder.wait()

    assert store.set_alias("churn", "live", 2, reason="", now=now).version == 2


def test_a_publisher_stopped_in_the_middle_holds_up_nobody(
    store: ModelStore, forks: subprocess.Popen[str], put: Put, churn: Path
) -> None:
    """S22: what a stopped publisher has begun is not seen and not removed, and others publish meanwhile."""
    assert forks.stdin is not None
    assert forks.stdout is not None
    forks.stdin.write("\n")
    forks.stdin.flush()
    child = int(forks.stdout.readline())
    begun = set[Path]()
    while not begun:
        os.kill(child, signal.SIGCONT)
        os.kill(child, signal.SIGSTOP)
        begun = set((churn / ".tmp").iterdir())

    versions = [put().version for _ in range(3)]

    assert versions == sorted(set(versions))
    assert begun <= set((churn / ".tmp").iterdir())
    assert set(versions) <= set(store.versions("churn"))
    os.kill(child, signal.SIGKILL)


def test_threads_change_one_alias_one_after_another(store: ModelStore, put: Put, now: datetime) -> None:
    """Of eight threads that expect the same serial one wins; the file lock holds within a process too."""
    put()

    def promote(_: int) -> bool:
        try:
            store.set_alias("churn", "live", 1, reason="", now=now, expected_serial=0)
        except PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(promote, range(8)))

    assert won.count(True) == 1
    assert len(store.history("churn")) == 1


CODES = [(errno.ENOSPC, StoreFull), (errno.EDQUOT, StoreFull), (errno.EIO, StoreUnavailable)]


def fail_fsync(monkeypatch: pytest.MonkeyPatch, *, at: int, code: int) -> list[int]:
    """Let the call of ``os.fsync`` number ``at`` fail; the list collects the calls.  A disk is a far end, as a clock is."""
    calls: list[int] = []
    fsync = os.fsync

    def failing(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == at:
            raise OSError(code, os.strerror(code))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    return calls


@pytest.mark.parametrize(("code", "error"), CODES, ids=["ENOSPC", "EDQUOT", "EIO"])
@pytest.mark.parametrize("at", range(1, 5))
def test_a_publication_that_fails_leaves_nothing(
    store: ModelStore,
    put: Put,
    churn: Path,
    monkeypatch: pytest.MonkeyPatch,
    at: int,
    code: int,
    error: type[Exception],
) -> None:
    """A failing fsync (of a fake disk) of either file or either directory is not tried again; no trace stays."""
    put()
    calls = fail_fsync(monkeypatch, at=at, code=code)

    with pytest.raises(error, match="publishing a version of churn failed"):
        put()

    assert len(calls) == at
    assert store.versions("churn") == [1]
    assert list((churn / ".tmp").iterdir()) == []
    assert put().version == 2


@pytest.mark.parametrize(("code", "error"), CODES, ids=["ENOSPC", "EDQUOT", "EIO"])
@pytest.mark.parametrize("at", range(1, 5))
def test_a_promotion_that_fails_is_all_or_nothing(
    store: ModelStore,
    put: Put,
    churn: Path,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
    at: int,
    code: int,
    error: type[Exception],
) -> None:
    """A failing fsync (of a fake disk) never leaves half a change: the alias is the old one or, at the end, the new."""
    put()
    store.set_alias("churn", "live", 1, reason="", now=now)
    put()
    fail_fsync(monkeypatch, at=at, code=code)

    with pytest.raises(error):
        store.set_alias("churn", "live", 2, reason="", now=now)

    # history, its directory, the temporary file: before the rename; the directory: after it.
    expected = 2 if at == 4 else 1
    assert store.aliases("churn")["live"].version == expected
    assert store.history("churn")[-1].version == expected
    assert list((churn / ".tmp").iterdir()) == []
    assert store.set_alias("churn", "live", 2, reason="", now=now).version == 2


def test_a_file_system_that_takes_no_more_bytes_keeps_the_store_whole(put: Put, store: ModelStore, churn: Path) -> None:
    """With a real limit of 512 bytes a file, the parameters fit and the manifest does not: nothing is published."""
    put()
    script = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))\n"
        "import publisher\n"
        "publisher.main()\n"
    )
    path = os.pathsep.join(map(str, (PUBLISHER.parent, PUBLISHER.parents[2])))

    done = subprocess.run(
        [sys.executable, "-B", "-c", script, churn.parent, "1"],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "StoreUnavailable: publishing a version of churn failed: File too large" in done.stderr
    assert store.versions("churn") == [1]
    assert list((churn / ".tmp").iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not stop the superuser")
def test_a_store_without_permission_is_unavailable(store: ModelStore, put: Put, churn: Path) -> None:
    """A file that may not be read is not called corrupt, and a directory that may not be written says so."""
    put()
    (churn / "versions/1/manifest.json").chmod(0)
    (churn / "versions").chmod(0o500)

    with pytest.raises(StoreUnavailable, match="Permission denied"):
        store.load("churn", 1)
    with pytest.raises(StoreUnavailable, match="Permission denied"):
        put()
    (churn / "versions").chmod(0o700)
