"""How a service begins where it may have little, and where the environment would change what it runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from service_process import COMMAND, PATIENCE, Service, environment, serving

PROJECT = Path(__file__).parents[2]
ROW = {"instances": [[5.1, 3.5, 1.4, 0.2]]}
SMALL = {"instances": [[1.0], [2.0], [3.0], [4.0], [2.5], [1.5]], "targets": ["no", "no", "yes", "yes", "yes", "no"]}


def narrowed(limits: str) -> tuple[str, ...]:
    """A command in front of another one, which then may have no more than ``limits`` of bash's ulimit."""
    return ("bash", "-c", f'ulimit {limits}; exec "$@"', "bash")


def answered(service: Service, body: bytes) -> int:
    """The status of a prediction, after which the service lives."""
    status = service.client.post("/predict", content=body).status_code
    assert service.client.get("/livez").status_code == 200
    assert service.process.poll() is None
    return status


def test_a_service_in_a_narrow_place(store: Path) -> None:
    """E11: with 64 files and 128 MiB it warns, answers, refuses with 503 what it has no room for, and ends with 0."""
    with serving(store, prefix=narrowed("-n 64 -d 131072")) as service:
        small = answered(service, json.dumps(ROW).encode())
        # The parser's own memory for eight megabytes is more than what is left.
        large = [answered(service, json.dumps(ROW).encode() + b" " * 8_000_000) for _ in range(3)]
        trained = service.client.post("/train", json={"model": "exam", **SMALL}).status_code
        again = answered(service, json.dumps(ROW).encode())
        code = service.stop()
        assert service.process.stderr is not None
        log = service.process.stderr.read()

    assert [warning.partition(":")[0] for warning in service.warnings] == ["warning"] * 2
    assert "64 files and connections" in service.warnings[0]
    assert "128 MiB of memory" in service.warnings[1]
    assert (small, large, again, code) == (200, [503] * 3, 200, 0)
    assert trained in {201, 503}
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("limits", "least"),
    [("-n 12", "-n must be 24"), ("-d 65536", "-d must be 98304"), ("-v 131072", "-v must be 262144")],
)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_too_narrow_a_place(store: Path, limits: str, least: str, workers: str) -> None:
    """E11: where libraries would abort for want of room the service says so in one line, with exit code 6."""
    done = subprocess.run(
        [*narrowed(limits), *COMMAND, "serve", "--port", "0", "--workers", workers],
        env=environment(LOGITD_STORE=str(store)),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    message = f"error: the service has no room to start: ulimit {least} or more\n"
    assert (done.returncode, done.stdout, done.stderr) == (6, "", message)


def test_a_training_that_cannot_be_started(store: Path) -> None:
    """E11: without files for one more process a training is refused with 503, and predictions go on."""
    with serving(store, prefix=narrowed("-n 24")) as service:
        answer = service.client.post("/train", json={"model": "exam", **SMALL})
        status = answered(service, json.dumps(ROW).encode())

    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/train-failed")
    assert status == 200


@pytest.fixture
def intruders(tmp_path: Path) -> dict[str, str]:
    """Variables by which Python would run files of a directory, which leave word in ``intruded``."""
    folder = tmp_path / "intruders"
    folder.mkdir()
    for name in ("sitecustomize", "startup", "numpy"):
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'intruded')!r}, 'a').write({name!r})\n")
    (tmp_path / "service.py").write_text((folder / "startup.py").read_text())
    return {"PYTHONPATH": str(folder), "PYTHONSTARTUP": str(folder / "startup.py"), "PYTHONINSPECT": "1"}


def test_the_container_runs_what_is_in_it(store: Path, intruders: dict[str, str], tmp_path: Path) -> None:
    """E10: begun as the Dockerfile begins it, neither variables nor files here are run, by workers or a trainer either.

    LD_PRELOAD, decided otherwise: it is the loader's, before Python; who can set it can replace the command as well.
    """
    entry = next(line for line in (PROJECT / "Dockerfile").read_text().splitlines() if line.startswith("ENTRYPOINT "))
    flags = json.loads(entry.removeprefix("ENTRYPOINT "))[1:-2]
    begin = f"import sys; sys.path.insert(0, {str(PROJECT)!r}); from service.cli.main import main; main()"
    # In place of the command that follows, of three words, with its arguments.
    isolated = ("bash", "-c", f'exec {sys.executable} {" ".join(flags)} -c "$0" "${{@:4}}"', begin)
    word = tmp_path / "intruded"

    subprocess.run([sys.executable, "-c", "pass"], env={**os.environ, **intruders}, check=True)
    is_a_trap = word.exists()
    word.unlink()
    with serving(store, prefix=isolated, trusted=None, LOGITD_WORKERS="2", **intruders) as service:
        predicted = answered(service, json.dumps(ROW).encode())
        trained = service.client.post("/train", json={"model": "exam", **SMALL}).status_code
        code = service.stop()

    assert is_a_trap
    assert (predicted, trained, code) == (200, 201, 0)
    assert not word.exists()
