"""The README followed to the letter: every command is run, and its output held against what the README shows."""

from __future__ import annotations

import doctest
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from readme import PROJECT, Command, commands, fences, shows

READY_WITHIN_S = 60
EXIT_CODES = {"tutorial": 7}  # the README says so
DOCKER = [command for command in commands() if command.line.startswith("docker")]
MAKE = [command for command in commands() if command.line.startswith("make")]
TYPED = [command for command in commands() if command not in [*DOCKER, *MAKE]]


@dataclass(frozen=True)
class Checkout:
    """A copy of the project in which the service runs by ``make serve``, and the port that it has."""

    folder: Path
    port: int

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """A line typed into a shell in the checkout; the README's port stands for the one that was free."""
        environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
        return subprocess.run(
            line.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}"),
            shell=True,
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    folder = tmp_path_factory.mktemp("checkout") / "logitd"
    kept = ("service", "model_store", "requirements", "Makefile", "pyproject.toml", "README.md", "LICENSE")
    folder.mkdir()
    for name in kept:
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy2
        copy(PROJECT / name, folder / name)
    # The environment that `make test` built is the one that `make serve` finds.
    (folder / ".venv").symlink_to(PROJECT / ".venv")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # The environment is that of this run: `-o` keeps make from installing it anew from the copy.
    server = subprocess.Popen(
        ["make", "serve", f"PORT={port}", "-o", ".venv/serve"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until_ready(port)
        yield Checkout(folder, port)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.communicate(timeout=30)


def wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz"):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_commands_do_what_the_readme_shows(checkout: Checkout) -> None:
    """Each command that is typed into a shell prints what the README shows for it, in the README's order."""
    assert len(TYPED) >= 6

    for command in TYPED:
        result = checkout.run(command.line)

        expected = next((code for word, code in EXIT_CODES.items() if word in command.line), 0)
        assert result.returncode == expected, (command.line, result.stderr)
        assert shows(command.output, result.stdout), (command.line, result.stdout)


@pytest.mark.parametrize("command", MAKE, ids=lambda command: command.line)
def test_make_commands_exist(checkout: Checkout, command: Command) -> None:
    """``make serve`` runs the service of this module's other tests, ``make test`` this suite; both are targets."""
    result = checkout.run(command.line + " --dry-run")

    assert result.returncode == 0, result.stderr


def test_python_session_is_real() -> None:
    """The interpreter session gives the answers that the README shows."""
    (session,) = fences("pycon")
    example = doctest.DocTestParser().get_doctest(session, {}, "README", "README.md", 0)

    result = doctest.DocTestRunner(verbose=False).run(example)

    assert result.attempted >= 6
    assert result.failed == 0


@pytest.mark.skipif(
    subprocess.run("docker info", shell=True, capture_output=True, check=False).returncode != 0,
    reason="no Docker engine runs here; the Dockerfile needs one",
)
def test_image_builds_and_answers() -> None:
    """The README's docker commands build an image that becomes healthy and stops with 0."""
    build, run = (command.line for command in DOCKER)
    subprocess.run(build, shell=True, check=True, cwd=PROJECT)
    container = subprocess.run(
        run.replace("--rm", "-d").replace("8000:8000", "8000"), shell=True, check=True, capture_output=True, text=True
    ).stdout.strip()
    try:
        deadline = time.monotonic() + READY_WITHIN_S
        while subprocess.run(["docker", "exec", container, "logitd", "health"], check=False).returncode:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        subprocess.run(["docker", "stop", container], check=True)
        state = ["docker", "inspect", container, "--format", "{{.State.ExitCode}}"]
        assert subprocess.run(state, check=True, capture_output=True, text=True).stdout.strip() == "0"
    finally:
        subprocess.run(["docker", "rm", "-f", container], check=False)
