"""How ``logitd serve`` begins: what it reads, what it imports before the port is open, and when it gives up."""

from __future__ import annotations

import errno
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Logitd, logitd

from service.cli.crew import Deaths, Worker, cause_of
from service.cli.listener import bound_socket, turn_away
from service.cli.options import options
from service.cli.worker import Orders
from service.settings import Settings

HEAVY = {"numpy", "fastapi", "pydantic", "typer", "rich", "uvicorn", "asyncio", "dotenv", "http.client"}


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ("", {}),
        ("--port 1 --host=h", {"--port": "1", "--host": "h"}),
        ("--port 1 --port 2 --json", {"--port": "2", "--json": ""}),
        ("--port=", {"--port": ""}),
        ("--port", None),
        ("--prot 1", None),
        ("--json=1", None),
        ("stray", None),
        ("--help", None),
    ],
)
def test_plain_options_are_read(arguments: str, found: dict[str, str] | None) -> None:
    """Options with a value and flags are read in both spellings; anything else is left to the full command line."""
    assert options(arguments.split(), {"--port", "--host"}, {"--json"}) == found


def test_the_port_is_taken_before_anything_heavy_is_imported(folder: Path) -> None:
    """Where the port is in use, that is known before the web framework and NumPy are there, with workers and without."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for workers in ("1", "2"):
            done = logitd(
                *("serve", "--port", port, "--workers", workers),
                folder=folder,
                variables={"PYTHONPROFILEIMPORTTIME": "1"},
            )

            imported = {part.rpartition("|")[2].strip() for part in done.err.splitlines() if "import time:" in part}
            assert done.code == 1
            assert "cannot listen on" in done.err
            assert "service.cli.start" in imported
            assert imported.isdisjoint(HEAVY)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can turn connections away one by one")
def test_a_closing_door_lets_in_who_waits() -> None:
    """Whoever came before the door began to close is accepted; whoever comes after it is refused, not reset."""
    with bound_socket("127.0.0.1", 0) as listener, socket.socket() as late:
        early = socket.create_connection(listener.getsockname())
        turn_away(listener)
        late.settimeout(0)
        late.connect_ex(listener.getsockname())
        accepted, _ = listener.accept()
        accepted.sendall(b"welcome")
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()
        listener.close()
        select.select([], [late], [])

        assert early.recv(7) == b"welcome"
        assert late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
    early.close()
    accepted.close()


def test_mistakes_are_told_as_the_full_command_line_tells_them(folder: Path, here: Logitd) -> None:
    """Wrong numbers, unknown options and stray words are exit code 2 and one line, whichever way they are read."""
    for words in ("--workers 0", "--workers many", "--workers", "--wokers 2", "stray", "--log-level loud"):
        typed, called = logitd("serve", *words.split(), folder=folder), here("serve", *words.split())

        assert (typed.code, typed.err.count("\n")) == (2, 1)
        assert typed.err == called.err


def test_orders_reach_a_worker_exactly() -> None:
    """What the supervisor decided is what the worker reads from its command line, to the last digit."""
    settings = Settings(port=1, workers=3, store='a "b" é', train_timeout_s=0.1 + 0.2, log_level="debug", train=False)
    orders = Orders(settings, listener=3, pipe=4, supervisor=5, run_directory="/tmp/x y")

    assert Orders.parse(orders.command()[-1]) == orders


def test_accidents_are_no_crash_loop() -> None:
    """Each worker may die once, and three more, without a pause; then pauses grow up to five seconds, and it is enough."""
    deaths = Deaths(n_workers=2)
    waits, enough = [], []

    for _ in range(12):
        deaths.note(now=100.0)
        waits.append(round(max(0.0, deaths.next_start_at - 100.0), 1))
        enough.append(deaths.are_too_many)

    assert waits == [0.0, 0.0, 0.0, 0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert enough.index(True) == 9


def test_a_worker_that_grows_up_ends_the_series() -> None:
    """Only a worker that was started after the last death, answers, and is older than ten seconds counts."""
    with subprocess.Popen(["true"]) as process:
        worker = Worker(process, pipe=-1, generation=0, started_at=50.0, heard_at=50.0)
    deaths = Deaths(n_workers=2, count=5, last_at=49.0)
    counts = []

    for is_ready, now in ((False, 70.0), (True, 59.0), (True, 61.0)):
        worker.is_ready = is_ready
        deaths.forget_after(worker, now)
        counts.append(deaths.count)

    assert counts == [5, 5, 0]


def test_a_worker_that_is_debugged_is_known() -> None:
    """A process that a tracer holds is told from one that nobody holds."""
    child = "import time; print(flush=True); time.sleep(600)"
    # PTRACE_SEIZE, which holds nothing up.
    seize = "import ctypes, sys; sys.exit(ctypes.CDLL(None).ptrace(0x4206, int(sys.argv[1]), 0, 0) != 0 or input())"
    with subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE) as process:
        worker = Worker(process, pipe=-1, generation=0, started_at=0.0, heard_at=0.0)
        assert process.stdout is not None
        process.stdout.readline()
        before = worker.is_held()
        with subprocess.Popen([sys.executable, "-c", seize, str(process.pid)], stdin=subprocess.PIPE) as tracer:
            while not worker.is_held() and tracer.poll() is None:
                pass
            during = worker.is_held()
            tracer.communicate(b"\n")
        process.kill()

    if not during:
        pytest.skip("this system lets no process trace another")
    assert not before


@pytest.mark.parametrize(
    ("code", "words"), [(0, "exit code 0"), (9, "exit code 9"), (-signal.SIGKILL, "SIGKILL"), (-99, "signal 99")]
)
def test_the_end_of_a_process_in_words(code: int, words: str) -> None:
    """An exit code, a signal by its name, or a signal without a name."""
    assert cause_of(code) == words
