"""``logitd predict``, ``config``, ``health``, ``serve``'s refusals, ``--version``, help, and how output ends."""

from __future__ import annotations

import csv
import io
import socket
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from command_line import COMMAND, PATIENCE, Logitd, environment, logitd

import service
from service.cli.health import health
from service.cli.mistakes import EXIT_CODES, exit_code
from service.errors import ServiceError, all_errors
from service.settings import SETTINGS, variable

COMMANDS = ("serve", "train", "predict", "config", "health", "models", "key")
PENGUIN = "island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex,year\n"


@pytest.fixture
def penguins(here: Logitd) -> Logitd:
    """The command line with a live model of penguins that imputes missing cells."""
    here("train", "penguins", "--model", "penguins", "--missing", "impute")
    return here


def test_predictions_are_csv(here: Logitd) -> None:
    """Each row is a label and a probability for each class; the target is left out, and that is said on stderr."""
    here("train", "iris", "--model", "iris")

    done = here("predict", "iris", "--model", "iris")

    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert (done.code, len(rows)) == (0, 150)
    assert list(rows[0]) == ["prediction", "p(setosa)", "p(versicolor)", "p(virginica)"]
    assert sum(float(cell) for name, cell in rows[0].items() if name != "prediction") == pytest.approx(1)
    assert done.err == "left out, not columns of the model: 'species'\n"


def test_json_predictions_are_the_same(here: Logitd) -> None:
    """``--json`` has the same labels and probabilities, with the version that answered."""
    here("train", "moons", "--model", "moons")

    shown, told = here("predict", "moons", "--model", "moons"), here("predict", "moons", "--model", "moons/1", "--json")

    rows = list(csv.reader(io.StringIO(shown.out)))[1:]
    assert [int(row[0]) for row in rows] == told.json()["predictions"]
    assert [[float(cell) for cell in row[1:]] for row in rows] == told.json()["probabilities"]
    assert (told.json()["model"], told.json()["version"], told.json()["classes"]) == ("moons", 1, [0, 1])


def test_threshold_moves_the_line(here: Logitd) -> None:
    """With two classes the second is predicted where its probability is above the threshold; else it is a mistake."""
    here("train", "moons", "--model", "moons")
    here("train", "iris", "--model", "iris")

    none = here("predict", "moons", "--model", "moons", "--threshold", "1", "--json")
    three, beyond = (
        here("predict", "iris", "--model", "iris", "--threshold", "0.5"),
        here(*("predict", "moons", "--model", "moons", "--threshold", "1.5")),
    )

    assert set(none.json()["predictions"]) == {0}
    assert (three.code, beyond.code) == (2, 2)
    assert three.err.endswith("error: threshold is for two classes; this model has 3\n")
    assert beyond.err.endswith("error: threshold must be a number from 0 to 1\n")


def test_file_is_read_by_the_schema_of_the_model(penguins: Logitd, folder: Path) -> None:
    """A column that is missing in all rows is imputed, columns go by name, and the model's words for missing cells hold."""
    (folder / "one.csv").write_text(PENGUIN + "Biscoe,40,18,190,3500,,2007\n")
    (folder / "other.csv").write_text(
        "note,sex,year,island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g\n"
    )
    with (folder / "other.csv").open("a") as file:
        file.write("1,NA,2007,Biscoe,40,18,190,3500\nnan,NA,2007,Biscoe,40,18,190,3500\n")

    one, other = (penguins("predict", name, "--model", "penguins") for name in ("one.csv", "other.csv"))
    by_stdin = logitd("predict", "-", "--model", "penguins", folder=folder, stdin=(folder / "one.csv").read_bytes())

    assert (one.code, other.code) == (0, 0)
    assert one.out.splitlines()[1] == other.out.splitlines()[1] == other.out.splitlines()[2]
    assert by_stdin.out == one.out
    assert other.err == "left out, not columns of the model: 'note'\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "p.csv: no data rows"),
        (PENGUIN, "p.csv: no data rows"),
        ("a,b\n1,2\n", "p.csv:1: the header row names no column of the model"),
        ("sex,year\nmale,2007\n", "p.csv: column 'island' is missing"),
        (PENGUIN + "Biscoe,40,18,190,3500,male\n", "p.csv:2: expected 7 cells, got 6"),
        (PENGUIN + "Biscoe,40,18,190,3500,male,2007\n\nBiscoe,x,18,190,3500,male,2007\n", "p.csv:4: column 'bill_le"),
        (PENGUIN + "Biscoe,1e999,18,190,3500,male,2007\n", "p.csv:2: column 'bill_length_mm' is infinite"),
        (PENGUIN + "\nMars,40,18,190,3500,male,2007\n", "p.csv:3: row 0, column 'island' has a category that"),
    ],
)
def test_rows_that_do_not_fit_the_model_are_named(penguins: Logitd, folder: Path, content: str, message: str) -> None:
    """What cannot be predicted is exit code 3 and one line with file, line and column, before anything is printed."""
    (folder / "p.csv").write_text(content)

    done = penguins("predict", "p.csv", "--model", "penguins")

    assert (done.code, done.out) == (3, "")
    assert done.err.startswith(f"error: {message}")


def test_model_that_is_not_live_is_not_found(here: Logitd) -> None:
    """A name without a live version is exit code 4, and so is an alias that is not there."""
    here("train", "moons", "--model", "moons", "--promote", "false")

    not_live, no_alias = here("predict", "moons", "--model", "moons"), here("predict", "moons", "--model", "moons@best")

    assert (not_live.code, no_alias.code) == (4, 4)
    assert "has no live version" in not_live.err
    assert "has no alias 'best'" in no_alias.err


def test_config_shows_every_setting_with_its_origin(folder: Path) -> None:
    """Each setting has its value, where that comes from, and the default; the environment goes before ``.env``."""
    (folder / ".env").write_text("LOGITD_PORT=1111\nLOGITD_MAX_ROWS=22\n")
    variables = {"LOGITD_PORT": "3333", "LOGITD_METRICS": "off"}

    shown = logitd("config", folder=folder, variables=variables)
    told = logitd("config", "--json", folder=folder, variables=variables)

    by_name = {row["setting"]: row for row in told.json()}
    assert list(by_name) == [variable(name) for name in SETTINGS]
    assert (by_name["LOGITD_PORT"]["value"], by_name["LOGITD_PORT"]["origin"]) == (3333, "environment")
    assert (by_name["LOGITD_MAX_ROWS"]["value"], by_name["LOGITD_MAX_ROWS"]["origin"]) == (22, ".env")
    assert by_name["LOGITD_HOST"]["origin"] == "default"
    assert [line.split() for line in shown.out.splitlines() if "METRICS" in line] == [
        ["LOGITD_METRICS", "off", "environment", "on"]
    ]


def test_bad_settings_are_told_all_at_once(folder: Path) -> None:
    """Every mistake in the environment and ``.env`` is in one line, exit code 2, for each command that reads them."""
    (folder / ".env").write_text("LOGITD_MAX_ROWS=0\n")
    variables = {"LOGITD_PORT": "70000", "LOGITD_STROE": "x", "LOGITD_TRAIN": "perhaps"}

    for command in (("serve",), ("models", "list")):
        done = logitd(*command, folder=folder, variables=variables)

        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        for name in ("LOGITD_STROE", "did you mean LOGITD_STORE", "LOGITD_PORT", "LOGITD_TRAIN", "LOGITD_MAX_ROWS"):
            assert name in done.err


def test_env_file_that_is_not_text_is_named(folder: Path) -> None:
    """A ``.env`` in another encoding is a mistake in the settings."""
    (folder / ".env").write_bytes(b"\xff\xfe=1\n")

    done = logitd("config", folder=folder)

    assert (done.code, done.err) == (2, "error: the file .env in this directory cannot be read as UTF-8 text\n")


class Readiness(BaseHTTPRequestHandler):
    """Answers as the server was told to."""

    def do_GET(self) -> None:
        status, body = self.server.answer  # type: ignore[attr-defined]  # set by the fixture
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def far_end() -> Iterator[HTTPServer]:
    """A service that answers what its ``answer`` says."""
    with HTTPServer(("127.0.0.1", 0), Readiness) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("answer", "code", "out", "err"),
    [
        ((200, b"{}"), 0, "ready\n", ""),
        ((503, b'{"detail": "no live model"}'), 1, "", "not ready: no live model\n"),
        ((404, b"<html>"), 1, "", "not ready: an answer that is not a JSON object\n"),
        ((404, b"[]"), 1, "", "not ready: an answer that is not a JSON object\n"),
    ],
)
def test_health_is_what_readyz_says(
    far_end: HTTPServer, capsys: pytest.CaptureFixture[str], answer: object, code: int, out: str, err: str
) -> None:
    """200 is ready and exit code 0, everything else is 1 with the reason."""
    far_end.answer = answer  # type: ignore[attr-defined]  # read by the handler

    ended = health([f"--port={far_end.server_port}"], {})

    assert ended == code
    assert capsys.readouterr() == (out, err)


def test_health_finds_the_service_as_serve_does(far_end: HTTPServer, folder: Path) -> None:
    """Address and port come from flags, the environment, a platform's PORT or ``.env``; 0.0.0.0 is this machine."""
    far_end.answer = (200, b"{}")  # type: ignore[attr-defined]  # read by the handler
    port = str(far_end.server_port)
    (folder / ".env").write_text(f"LOGITD_PORT={port}\nLOGITD_HOST=0.0.0.0\n")

    by_file = logitd("health", "--json", folder=folder)
    (folder / ".env").unlink()
    by_platform = logitd("health", folder=folder, variables={"PORT": port})
    by_flag = logitd("health", "--port", port, "--host", "127.0.0.1", folder=folder, variables={"PORT": "1"})

    assert (by_file.code, by_file.json()) == (0, {"ready": True, "status": 200, "detail": "ready"})
    assert (by_platform.code, by_flag.code) == (0, 0)


@pytest.mark.parametrize("arguments", [["--prot", "1"], ["--port"], ["--port", "x"], ["--port", "70000"], ["--json=1"]])
def test_health_refuses_what_it_does_not_know(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """Wrong usage is exit code 2 and one line."""
    assert health(arguments, {}) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("arguments", [("--version",), ("health", "--port", "1")])
def test_quick_commands_import_nothing_heavy(folder: Path, arguments: tuple[str, ...]) -> None:
    """``--version`` and ``health``, which runs every few seconds, import next to nothing."""
    done = logitd(*arguments, folder=folder, variables={"PYTHONPROFILEIMPORTTIME": "1"})

    imported = {line.rpartition("|")[2].strip() for line in done.err.splitlines() if line.startswith("import time:")}
    assert "service.cli.main" in imported
    assert imported.isdisjoint({"numpy", "fastapi", "pydantic", "typer", "rich", "uvicorn"})
    assert imported.isdisjoint({"http.client", "dotenv", "logging", "dataclasses", "asyncio"})


def test_version_is_the_release(folder: Path, here: Logitd) -> None:
    """``logitd --version`` prints the release, wherever the flag stands."""
    assert logitd("--version", folder=folder).out == f"logitd {service.__version__}\n"
    assert here("--version", "--debug").out == f"logitd {service.__version__}\n"


def test_help_is_there_for_everyone(folder: Path, here: Logitd) -> None:
    """``--help`` and ``-h`` go to stdout with 0; a missing command shows the help on stderr with 2."""
    usage, nothing, models = here("-h"), here(), here("models")

    assert (usage.code, usage.err, nothing.code, nothing.out, models.code) == (0, "", 2, "", 2)
    assert nothing.err == here("--help").out
    assert models.err.startswith("Usage: logitd models")
    for command in COMMANDS:
        assert f"\n  {command} " in usage.out
        assert here(command, "--help").code == 0
    assert "..." not in usage.out.partition("Commands:")[2] + models.err.partition("Commands:")[2]
    assert "..." not in here("key").err.partition("Commands:")[2]
    assert logitd("health", "-h", folder=folder).out.startswith("Usage: logitd health")


@pytest.mark.parametrize("command", ["train iris --model m --json", "config", "--version"])
def test_reader_that_leaves_is_no_error(folder: Path, command: str) -> None:
    """When the reader of a pipe goes away, nothing is said."""
    done = logitd(*command.split(), folder=folder, shell='"$@" | true')

    assert "Traceback" not in done.err
    assert "Broken" not in done.err
    assert "Exception" not in done.err


@pytest.mark.parametrize("command", ["train iris --model m", "--version"])
def test_output_that_cannot_be_written_is_one_line(folder: Path, command: str) -> None:
    """A full disk behind standard output is exit code 1; a closed standard output is no mistake."""
    full = logitd(*command.split(), folder=folder, shell='"$@" >/dev/full')
    closed = logitd(*command.split(), folder=folder, shell='"$@" >&-')

    assert (full.code, full.err) == (1, "error: the output cannot be written: No space left on device\n")
    assert (closed.code, closed.err) == (0, "")


def test_output_in_a_poor_encoding_is_escaped(folder: Path, here: Logitd) -> None:
    """A character that the encoding of standard output lacks is written as an escape."""
    here("train", "iris", "--model", "iris")

    done = logitd("models", "list", folder=folder, variables={"PYTHONIOENCODING": "ascii"})

    assert (done.code, done.err) == (0, "")
    assert "live \\u2192 1" in done.out


def test_lines_of_standard_error_go_out_whole(folder: Path) -> None:
    """A message and the end of its line are one write, also unbuffered: a line of the log cannot come between."""
    here, there = socket.socketpair(type=socket.SOCK_DGRAM)
    with here, there:
        code = subprocess.run(
            [*COMMAND, "serve", "--port", "65536"],
            cwd=folder,
            env=environment(PYTHONUNBUFFERED="1"),
            stderr=there.fileno(),
            timeout=PATIENCE,
            check=False,
        ).returncode
        told = here.recv(1 << 16, socket.MSG_DONTWAIT).decode()

    assert code == 2
    assert told.startswith("error: ")
    assert told.endswith("\n")


def test_every_error_has_an_exit_code() -> None:
    """Each class of the error tree leads to one of the documented codes."""
    documented = {1, 2, 3, 4, 5, 6, 7}

    assert set(EXIT_CODES.values()) == documented
    assert {exit_code(kind) for kind in all_errors()} == documented
    assert exit_code(ServiceError) == exit_code(ZeroDivisionError) == 1
