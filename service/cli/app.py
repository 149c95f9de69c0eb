"""The command line: every command on one page, and the one place where errors become exit codes."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

import service
from service.cli import config, key, models, predict, serve, train
from service.cli.mistakes import told
from service.cli.surroundings import JsonOption, help_without_command

USAGE = 2

app = typer.Typer(
    name="logitd",
    help="Train a logistic regression, with a proof of its optimum, and serve it over HTTP.",
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(serve.serve)
app.command()(train.train)
app.command()(predict.predict)
app.add_typer(models.app, name="models")
app.add_typer(key.app, name="key")
app.command()(config.config)


@app.command()
def health(
    *,
    host: Annotated[str, typer.Option(help="Address of the service.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the service.")] = 8000,
    as_json: JsonOption = False,
) -> None:
    """Say whether the service is ready: exit code 0 yes, 1 no.

    Without options it asks where LOGITD_HOST and LOGITD_PORT say, as logitd serve listens.
    """
    # Only the help comes here: ``main`` answers before any of this is imported.
    del host, port, as_json


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the release and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Answer ``--version``, and show the help when there is no command; ``--debug`` is seen to by ``run``."""
    del debug
    if version:
        print(f"logitd {service.__version__}")
        raise typer.Exit
    help_without_command(context)


def run(arguments: Sequence[str]) -> int:
    """The exit code of a command; a mistake is one line on standard error, a traceback only with ``--debug``.

    Raises BrokenPipeError when the reader of standard output went away, OSError when it cannot be written.
    """
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        code = typer.main.get_command(app).main(list(arguments), prog_name="logitd", standalone_mode=False)
    except typer.TyperException as error:
        print(f"error: {error.format_message()}", file=sys.stderr)
        return USAGE
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except SystemExit:
        # So typer and rich answer a broken pipe.
        raise BrokenPipeError from None
    except OSError:
        if debug:
            traceback.print_exc()
        raise
    except Exception as error:  # noqa: BLE001 — the one place where errors become exit codes
        return told(error, debug=debug)
    return code if isinstance(code, int) else 0
