"""Where log lines go: what Python says by itself becomes one, and a supervisor stays light."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import PATIENCE, OnTerminal, environment

from service.cli.crew import last_calls
from service.cli.worker import stack_file

SECRET = "123456.789"
BEGIN = """
import logging, sys, threading, warnings
from service.cli.logs import log_to_stderr
from service.settings import Settings
log = logging.getLogger("logitd.test")
"""


def run(code: str, *, shell: str = '"$@"', log_format: str = "json", level: str = "info") -> tuple[int, str]:
    """A process that logs, and then runs these lines; its exit code and what it wrote to standard error."""
    start = f"log_to_stderr(Settings(log_format={log_format!r}, log_level={level!r}))\n"
    done = subprocess.run(
        ["bash", "-c", shell, "bash", sys.executable, "-c", BEGIN + start + code],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert not done.stdout
    return done.returncode, done.stderr


def lines(code: str, **options: str) -> list[dict[str, Any]]:
    """The lines of such a process."""
    return [json.loads(line) for line in run(code, **options)[1].splitlines()]


@pytest.mark.parametrize(
    ("code", "event", "field", "told"),
    [
        (f"warnings.warn('{SECRET}', RuntimeWarning)", "a warning by Python", "warning", "RuntimeWarning at "),
        (f"raise ValueError({SECRET})", "the process ends by a defect", "exception", "ValueError at "),
        (
            f"def f(): raise ValueError({SECRET})\nt = threading.Thread(target=f); t.start(); t.join()",
            *("a thread ended by a defect", "exception", "ValueError at "),
        ),
        (
            f"class C:\n def __del__(self): raise ValueError({SECRET})\nC()",
            *("a defect where nobody can catch it", "exception", "ValueError at "),
        ),
    ],
    ids=["warning", "exception", "thread", "finalizer"],
)
def test_what_python_says_is_a_line(code: str, event: str, field: str, told: str) -> None:
    """Warnings and uncaught exceptions are one line each, in the form of all others, without their words."""
    (line,) = lines(code)

    assert (line["logger"], line["event"]) == ("logitd.process", event)
    assert line[field].startswith(told)
    assert SECRET not in str(line)


def test_a_line_that_cannot_be_formatted_is_left_out() -> None:
    """A mistake in a call of the log costs its own line only, and does not write its arguments."""
    assert [line["event"] for line in lines(f"log.info('%d', '{SECRET}'); log.info('next')")] == ["next"]


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full"])
def test_a_log_that_cannot_be_written_disturbs_nobody(where: str) -> None:
    """A process whose standard error is closed or full goes on."""
    assert run("log.error('unheard')\nsys.exit(5)", shell=f'"$@" {where}') == (5, "")


def test_a_log_that_nobody_reads_holds_nobody_up() -> None:
    """A pipe that is full: the process goes on, and once somebody reads, a line says how many were left out."""
    code = """
for number in range(5000):
    log.info("a line", extra={"number": number, "text": "x" * 200})
print("went on", flush=True)
sys.stdin.readline()
handler = logging.getLogger().handlers[0]
while handler._lines.qsize():
    pass
log.info("the last")
"""
    start = "log_to_stderr(Settings(log_format='json', log_level='info'))\n"
    with subprocess.Popen(
        [sys.executable, "-c", BEGIN + start + code],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "went on\n"
        _, told = process.communicate("\n", PATIENCE)

    *found, last = map(json.loads, told.splitlines())
    numbers = [line["number"] for line in found if line["event"] == "a line"]
    gaps = [line for line in found if line["event"] == "log lines were left out, for nobody read them"]
    assert len(numbers) + len(gaps) == len(found)
    assert numbers == sorted(numbers)
    assert numbers[:200] == list(range(200))
    assert {line["level"] for line in gaps} == {"warning"}
    assert len(numbers) + sum(line["left_out"] for line in gaps) == 5000
    assert len(numbers) < 2000
    assert (last["event"], process.returncode) == ("the last", 0)


@pytest.mark.parametrize(
    "how", ["", "; sys.exit(3)", "; raise ValueError", "; threading.Thread(target=lambda: 1 / 0).start()"]
)
def test_the_last_lines_are_written_before_the_end(how: str) -> None:
    """However a process ends, save by a kill."""
    events = [line["event"] for line in lines(f"for n in range(200): log.info('a line')\nlog.info('the last'){how}")]

    assert events[200] == "the last"


def test_the_form_is_chosen() -> None:
    """Text when asked for; off a terminal JSON."""
    text = run("log.info('told')", log_format="text")[1]

    assert text.endswith(" told\n")
    assert "info     logitd.test[" in text
    assert lines("log.info('told')", log_format="auto")[0]["event"] == "told"


def test_on_a_terminal_lines_are_text(folder: Path) -> None:
    """``auto`` is text on a terminal, and the greeting is as ever."""
    terminal = OnTerminal("serve", "--port", "0", "--log-level", "debug", folder=folder)

    terminal.read_until("serves no model yet on http://")
    terminal.process.send_signal(signal.SIGTERM)

    assert terminal.read_all() == 0
    assert "Z info     uvicorn.error[" in terminal.output
    assert "{" not in terminal.output


@pytest.mark.parametrize(
    ("level", "told"), [("debug", "diwa"), ("info", "iwa"), ("warning", "wa"), ("error", "a")], ids=lambda text: text
)
def test_audit_lines_know_no_level(level: str, told: str) -> None:
    """Lines below the chosen level are left out, but those of the audit."""
    code = "log.debug('d'); log.info('i'); log.warning('w'); logging.getLogger('logitd.audit').info('a')"

    assert "".join(line["event"] for line in lines(code, level=level)) == told


def test_a_supervisor_is_light_until_it_has_something_to_tell() -> None:
    """structlog is imported for the first line, and never what it would take for colours."""
    code = """
import service.cli.supervisor
before = "structlog" in sys.modules
log.info("told")
log.info("seen", extra={"before": before, "after": "structlog" in sys.modules, "rich": "rich" in sys.modules})
import rich
"""

    assert {name: lines(code)[1][name] for name in ("before", "after", "rich")} == {
        "before": False,
        "after": True,
        "rich": False,
    }


def test_where_a_worker_crashed_is_read_from_what_it_left(tmp_path: Path) -> None:
    """The calls of the thread that crashed, innermost first; afterwards nothing is left, nor read again."""
    code = f"""
import faulthandler, os, threading, time
from service.cli.worker import stack_file
faulthandler.enable(stack_file({str(tmp_path)!r}, os.getpid()).open("w"))
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
def outer(): inner()
def inner(): os.abort()
outer()
"""
    crashed = subprocess.Popen([sys.executable, "-c", code], env=environment(), stderr=subprocess.PIPE)
    assert crashed.communicate(timeout=PATIENCE)[1] == b""

    assert last_calls(str(tmp_path), crashed.pid) == "<string>:7 inner < <string>:6 outer < <string>:8 <module>"
    assert list(tmp_path.iterdir()) == []
    assert last_calls(str(tmp_path), crashed.pid) == ""


def test_a_worker_that_ends_well_leaves_no_calls(tmp_path: Path) -> None:
    """An empty file means no crash, and is removed."""
    stack_file(str(tmp_path), os.getpid()).touch()

    assert last_calls(str(tmp_path), os.getpid()) == ""
    assert list(tmp_path.iterdir()) == []


def test_an_installation_without_structlog_says_so() -> None:
    """The process does not end without a word, and not with the exception's either."""
    code, said = run(f"sys.modules['structlog'] = None\nraise ValueError({SECRET})")

    assert code == 1
    assert said == "CRITICAL logitd.process: the process ends by a defect (structlog is not installed)\n"
