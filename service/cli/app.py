"""The command line: every command on one page, and the one place where errors become exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import typer

from service import errors
from service.cli import config, models, predict, serve, train
from service.errors import ServiceError

# Looked up along the class's ancestors.
EXIT_CODES: dict[type[ServiceError], int] = {
    errors.InvalidSettings: 2,
    errors.InvalidParameter: 2,
    errors.InvalidName: 2,
    errors.InvalidVersion: 2,
    errors.UnknownField: 2,
    errors.Unparseable: 3,
    errors.InvalidInput: 3,
    errors.NotFound: 4,
    errors.Conflict: 5,
    errors.PreconditionFailed: 5,
    errors.Integrity: 6,
    errors.Unavailable: 6,
    errors.SeparationError: 7,
    errors.Diverged: 7,
    ServiceError: 1,
}

USAGE = 2

app = typer.Typer(
    name="logitd",
    help="Train a logistic regression, with a proof of its optimum, and serve it over HTTP.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(serve.serve)
app.command()(train.train)
app.command()(predict.predict)
app.add_typer(models.app, name="models")
app.command()(config.config)


@app.command()
def health() -> None:
    """Say whether the service on this machine is ready: 0 yes, 1 no.  [--host HOST] [--port PORT] [--json]"""
    # Only the help comes here: ``main`` answers before any of this is imported.


@app.callback(invoke_without_command=True)
def root(
    *,
    version: bool = typer.Option(False, "--version", help="Print the release and exit."),  # noqa: FBT003 — typer's signature
) -> None:
    """Nothing to do: ``--version`` alone is answered by ``main``."""
    del version


def run(arguments: Sequence[str]) -> int:
    """The exit code of a command; a mistake is one line on standard error, a traceback only with ``--debug``."""
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        code = typer.main.get_command(app).main(list(arguments), prog_name="logitd", standalone_mode=False)
    except typer.TyperException as error:
        print(f"error: {error.format_message()}", file=sys.stderr)
        return USAGE
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # The reader of our output went away, as `| head` does: no news, and no second error at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ServiceError as error:
        if debug:
            traceback.print_exc()
        print(f"error: {error.detail}" + (f" ({error.hint})" if error.hint else ""), file=sys.stderr)
        return exit_code(type(error))
    return code if isinstance(code, int) else 0


def exit_code(kind: type[ServiceError]) -> int:
    """The exit code of an error class."""
    return next(EXIT_CODES[ancestor] for ancestor in kind.__mro__ if ancestor in EXIT_CODES)
