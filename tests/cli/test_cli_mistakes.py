"""Mistakes on the command line: one line on standard error that says what and where, and the documented exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Logitd, logitd

from service.cli.mistakes import told


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("trian iris --model m", 2, "No such command 'trian'. Did you mean 'train'?"),
        ("models lst", 2, "No such command 'lst'. Did you mean 'list'?"),
        ("train iris --modle m", 2, "No such option: --modle (Possible options: --model"),
        ("train iris", 2, "Missing option '--model'"),
        ("train --model m", 2, "Missing argument 'DATA'"),
        ("train iris --model BAD", 2, "a name is 1 to 64 lower-case letters"),
        ("train iris --model m --solver newtn", 2, "solver: "),
        ("train iris --model m --C -1 --tol 5", 2, "C: "),
        ("train iris --model m --promote yes", 2, "promote must be"),
        ("train iris --model m --categorical species", 2, "--categorical is for files"),
        ("train some.csv --model m", 2, "--target is missing"),
        ("train iri --model m", 3, "cannot read iri: no such file or built-in data set (did you mean 'iris'?)"),
        ("train iris --target specis --model m", 3, "iris: there is no column 'specis'"),
        ("train iris --model m --solver gradient-descent --learning-rate 1e300", 7, "gradient descent overflowed"),
        ("train iris --model m --store /dev/null/x", 6, "the directory of the model store cannot be written"),
        ("predict iris --model none", 4, "there is no model 'none'"),
        ("predict iris --model none/0", 2, "a version is a whole number from 1"),
    ],
)
def test_mistake_is_one_line_and_its_code(here: Logitd, arguments: str, code: int, message: str) -> None:
    """Usage, bad data, what is not found, resources and a failed fit have their exit codes; near names are suggested."""
    done = here(*arguments.split())

    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(f"error: {message}")
    assert done.err.count("\n") == 1


def test_traceback_is_shown_on_demand_only(here: Logitd) -> None:
    """``--debug`` at any place shows where an error was raised; without it there is the one line."""
    plain, debug = here("train", "iris", "--model", "BAD"), here("train", "iris", "--debug", "--model", "BAD")

    assert "Traceback" not in plain.err
    assert debug.err.startswith("Traceback")
    assert debug.err.endswith(plain.err)
    assert plain.code == debug.code == 2


def test_memory_that_is_not_there_is_exit_code_6(folder: Path) -> None:
    """Running out of memory is one line, not a traceback, and nothing is stored."""
    names = [f"x{index}" for index in range(9)]
    rows = [
        ",".join([*(str((row * 7 + index) % 11) for index in range(9)), f"class {row % 1000}"]) for row in range(2000)
    ]
    (folder / "t.csv").write_text("\n".join([",".join([*names, "y"]), *rows]))

    # 10 000 parameters: the Hessian alone takes 800 MB.
    done = logitd(
        *("train", "t.csv", "--target", "y", "--model", "m", "--validation-fraction", "0", "--solver", "newton"),
        folder=folder,
        variables={"OPENBLAS_NUM_THREADS": "1"},
        shell='ulimit -v 1000000; "$@"',
    )

    assert (done.code, done.err) == (6, "error: there is not enough memory for this\n")
    assert [path.name for path in folder.iterdir()] == ["t.csv"]


def test_a_thread_that_cannot_start_is_a_want_of_memory(capsys: pytest.CaptureFixture[str]) -> None:
    """Python tells of a stack that does not fit as of a RuntimeError; other such errors are faults of logitd."""
    codes = told(RuntimeError("can't start new thread")), told(RuntimeError("something else"))

    assert codes == (6, 1)
    assert capsys.readouterr().err.splitlines()[0] == "error: there is not enough memory for this"
