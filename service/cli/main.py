"""The entry point ``logitd``: quick commands first, then the full command line; how the process ends."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

import service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

HELP = frozenset({"--help", "-h"})
INTERRUPTED = 130


def main() -> None:
    """Run ``logitd`` with this process's arguments and environment; exits with the documented code."""
    try:
        prepare_output()
        code = answer(sys.argv[1:])
        # Here rather than at exit, where Python complains of a reader that went away.
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away, as `| head` does: no news.
        code = 0
        forget_output()
    except OSError as error:
        code = 1
        forget_output()
        print(f"error: the output cannot be written: {error.strerror or 'unknown cause'}", file=sys.stderr)
    sys.exit(code)


def answer(arguments: Sequence[str]) -> int:
    """The exit code of the command."""
    if arguments == ["--version"]:
        print(f"logitd {service.__version__}")
        return 0
    if arguments[:1] == ["health"] and HELP.isdisjoint(arguments):
        from service.cli.health import environment_with_file, health  # noqa: PLC0415 — quick: nothing heavy before this

        return health(arguments[1:], environment_with_file(os.environ))
    if arguments[:1] == ["serve"]:
        from service.cli.start import start_plainly  # noqa: PLC0415 — quick: the port is open before the rest is here

        code = start_plainly(arguments[1:])
        if code is not None:
            return code
    from service.cli.app import run  # noqa: PLC0415 — heavy, and not needed by the commands above

    return run(arguments)


def prepare_output() -> None:
    """Output that was closed is written nowhere; a character that its encoding lacks is written as an escape.

    Lines of standard error go out whole, also unbuffered (``PYTHONUNBUFFERED``, which splits off the end of the line):
    the log's thread writes there too.
    """
    if sys.__stdout__ is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 — until the end; pathlib is slow
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stderr, TextIOWrapper):
        sys.stderr.reconfigure(line_buffering=True, write_through=False)


def forget_output() -> None:
    """Lead standard output nowhere: what is left in its buffer would fail once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
