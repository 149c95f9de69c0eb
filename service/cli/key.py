"""``logitd key``: API keys are made, listed and revoked in the key file, which a running service reads again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from service.cli.environment import settings
from service.cli.surroundings import (
    JsonOption,
    console,
    harmless,
    help_without_command,
    messages,
    now,
    print_json,
)
from service.errors import InvalidSettings
from service.web.keys.key_file import Scope, add_key, read_keys, revoke_key

app = typer.Typer(help="Make, list and revoke API keys.")

FileOption = Annotated[
    str | None, typer.Option("--file", metavar="FILE", help="The key file; default: LOGITD_API_KEYS_FILE.")
]


@app.callback(invoke_without_command=True)
def group(context: typer.Context) -> None:
    """Show the help when there is no command."""
    help_without_command(context)


@app.command()
def create(
    *,
    scope: Annotated[Scope, typer.Option(help="predict: predictions; train: /train; admin: everything.")],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What the key is called in lists.")] = None,
    file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key, and print it this once.

    Its SHA-256 goes to the key file, which a running service reads again within a second.  Every key reads models and metrics; predict, train and admin say what it does besides.
    """
    path = key_file(file)
    text, key = add_key(path, scope, name, now())
    if as_json:
        print_json({"key": text, "name": key.name, "scope": key.scope, "file": str(path)})
        return
    print(text)
    messages().print(
        f"its SHA-256 is in {harmless(str(path))} as {key.name}, for {key.scope}; the key is shown this once",
        soft_wrap=True,
    )


@app.command("list")
def list_keys(*, file: FileOption = None, as_json: JsonOption = False) -> None:
    """List the keys by name: scope, and when they were made."""
    keys = read_keys(key_file(file))
    if as_json:
        print_json([{"name": key.name, "scope": key.scope, "created": key.created} for key in keys])
        return
    table = Table("name", "scope", "created", box=None, pad_edge=False)
    for key in keys:
        table.add_row(key.name, key.scope, key.created)
    console().print(table)


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As logitd key list shows it.")],
    *,
    file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a key from the key file."""
    key = revoke_key(key_file(file), name)
    if as_json:
        print_json({"revoked": key.name, "scope": key.scope})
    else:
        messages().print(f"revoked: {key.name}, for {key.scope}", soft_wrap=True)


def key_file(file: str | None) -> Path:
    """The file that is meant; raises InvalidSettings when none is named."""
    chosen = settings({"api_keys_file": file}).settings.api_keys_file
    if not chosen:
        raise InvalidSettings("no key file is named; give --file FILE, or set LOGITD_API_KEYS_FILE")
    return Path(chosen)
