"""Several workers: they are replaced when they die or are told to, and no accepted request is lost by a stop."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from logs_page import examples, fields_of, kind_of
from service_process import COMMAND, PATIENCE, Service, environment, is_running, logitd, serving
from steady_load import BODY, REFUSED, load_on, wait_until


@pytest.fixture
def crew(store: Path) -> Iterator[Service]:
    """The service with two workers on a copy of the store."""
    with serving(store, LOGITD_WORKERS="2", LOGITD_WATCHDOG_S="2") as service:
        yield service


def fresh_versions(service: Service, n_requests: int) -> set[int]:
    """The versions that answer requests on new connections."""
    anew = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=service.url, timeout=PATIENCE, limits=anew) as client:
        answers = [client.post("/predict", content=BODY) for _ in range(n_requests)]
    assert {answer.status_code for answer in answers} == {200}
    return {answer.json()["version"] for answer in answers}


def test_two_workers_answer(crew: Service) -> None:
    """Two processes answer on one port; each of them can do it alone."""
    workers = crew.children()
    assert len(workers) == 2

    for held in workers:
        os.kill(held, signal.SIGSTOP)
        assert fresh_versions(crew, 20) == {1}
        os.kill(held, signal.SIGCONT)

    assert crew.stop() == 0
    assert not any(map(is_running, workers))


def test_killed_worker_is_replaced_under_load(crew: Service) -> None:
    """After ``kill -9`` of a worker at most the requests that it held are lost, and a new one takes its place."""
    before = crew.children()

    with load_on(crew, keep_alive=True) as load:
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: len(crew.children()) == 2 and before[0] not in crew.children())
        load.wait_for_more(200)

    failed = load.outcomes.total() - load.outcomes[200]
    assert failed <= 3, load.outcomes
    assert before[1] in crew.children()


@pytest.mark.parametrize("keep_alive", [False, True])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_stop_under_load_answers_what_was_accepted(store: Path, workers: str, *, keep_alive: bool) -> None:
    """SIGTERM ends the service with 0: every request before the first refused connection is answered."""
    with serving(store, LOGITD_WORKERS=workers) as service, load_on(service, keep_alive=keep_alive) as load:
        assert service.stop() == 0

        wait_until(lambda: load.outcomes[REFUSED] > 0)

    assert load.outcomes.keys() == {200, REFUSED}, load.outcomes


@pytest.mark.parametrize("keep_alive", [False, True])
def test_replacing_all_workers_loses_nothing(crew: Service, *, keep_alive: bool) -> None:
    """SIGHUP under load puts two new workers in the place of the old ones, and every request is answered."""
    before = crew.children()

    with load_on(crew, keep_alive=keep_alive) as load:
        crew.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(crew.children()) == 2 and not set(before) & set(crew.children()))
        load.wait_for_more(20)

    assert load.outcomes.keys() == {200}, load.outcomes
    assert crew.stop() == 0


def test_workers_end_with_their_supervisor(crew: Service) -> None:
    """After ``kill -9`` of the supervisor no worker remains, and nobody listens."""
    workers = crew.children()

    crew.process.kill()

    wait_until(lambda: not any(map(is_running, workers)))
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{crew.url}/livez")


def test_silent_worker_is_replaced(crew: Service) -> None:
    """A worker that gives no sign of life is killed and replaced, with a line in the log."""
    before = crew.children()

    os.kill(before[0], signal.SIGSTOP)

    wait_until(lambda: len(crew.children()) == 2 and before[0] not in crew.children())
    assert fresh_versions(crew, 10) == {1}
    assert crew.stop() == 0
    assert crew.process.stderr is not None
    silent = next(line for line in examples().values() if "silent_s" in line)
    told = [line for line in map(json.loads, crew.process.stderr) if kind_of(line) == kind_of(silent)]
    assert [(line["worker"], fields_of(line)) for line in told] == [(before[0], fields_of(silent))]


def test_workers_that_only_die_end_the_service(store: Path) -> None:
    """When no worker lives long enough to answer, the service gives up with exit code 3 and says so in one line."""
    folder = store.parent / "broken"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import os, sys\nif 'service.cli.worker' in sys.orig_argv: os._exit(9)\n")
    variables = environment(LOGITD_WORKERS="2")
    variables["PYTHONPATH"] = os.pathsep.join([str(folder), variables["PYTHONPATH"]])

    done = subprocess.run(
        [*COMMAND, "serve", "--port", "0", "--store", str(store)],
        env=variables,
        cwd=store.parent,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.returncode == 3
    assert [line for line in done.stderr.splitlines() if line.startswith("error: ")] == [
        "error: giving up: 10 workers died within 10 s of their start, the last one with exit code 9"
    ]


def test_promotion_is_seen_by_all_workers(crew: Service) -> None:
    """A promotion over HTTP at one worker, or by another process, is what every worker answers with next."""
    assert logitd("train", "iris", "--model", "iris", "--C", "10", store=crew.store).returncode == 0
    by_training = fresh_versions(crew, 50)
    moved = crew.client.put("/models/iris/aliases/live", json={"version": 1})
    by_http = fresh_versions(crew, 50)
    assert logitd("models", "promote", "iris/2", store=crew.store).returncode == 0
    by_command = fresh_versions(crew, 50)

    assert moved.status_code == 200
    assert (by_training, by_http, by_command) == ({2}, {1}, {2})


def test_supervisor_stays_small(crew: Service) -> None:
    """The process that watches the workers loads neither NumPy nor the web's native parts."""
    libraries = Path(f"/proc/{crew.process.pid}/maps").read_text()

    assert not [name for name in ("numpy", "pydantic", "uvloop", "httptools", "openblas") if name in libraries]


def test_requests_wait_while_the_service_imports(store: Path) -> None:
    """As soon as the port is open a request is answered, long before there is anybody to answer it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen(
        [*COMMAND, "serve", "--port", str(port), "--store", str(store)],
        env=environment(),
        cwd=store.parent,
        stderr=subprocess.PIPE,
    ) as process:
        connections: list[socket.socket] = []
        wait_until(lambda: connected(port, connections))
        with connections[0] as early:
            early.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
            answer = early.recv(1 << 16)
        process.terminate()

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert process.returncode == 0


def connected(port: int, connections: list[socket.socket]) -> bool:
    """Whether the service could be connected to; the connection is put into the list."""
    try:
        connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
    except ConnectionRefusedError:
        return False
    if connection.getsockname() == connection.getpeername():
        # Nobody listens, and the system took this very port for the near end: TCP can talk to itself.
        connection.close()
        return False
    connections.append(connection)
    return True


def test_directory_that_workers_share_is_private_and_goes(crew: Service) -> None:
    """The workers' common directory is for nobody else, and is removed at the end."""
    command = Path(f"/proc/{crew.children()[0]}/cmdline").read_text()
    (shared,) = {part for part in command.split('"') if "logitd-" in part}

    mode = Path(shared).stat().st_mode & 0o777
    assert crew.stop() == 0

    assert mode == 0o700
    assert not Path(shared).exists()
