"""What commands take from this process: store, time, terminal."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.console import Console

from service.cli.environment import settings
from service.cli.trust import trusted_key
from service.errors import UnreadableFile
from service.store.model_store import ModelStore
from service.store.signing_keys import read_public_key

StoreOption = Annotated[
    str | None,
    typer.Option("--store", metavar="DIR", help="Directory of the model store; default: LOGITD_STORE, or model_store."),
]
# Columns; no table is wider.
UNBROKEN = 100_000

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def model_store(store: str | None, key: str | None = None) -> ModelStore:
    """The store that ``--store``, the environment or the default names.

    It trusts the public key that ``--key`` or LOGITD_REQUIRE_SIGNATURE names, if one does; raises InvalidSettings.
    """
    chosen = settings({"store": store}).settings
    trusted = trusted_key(chosen) if key is None else read_public_key(Path(key), "--key")
    return ModelStore(Path(chosen.store), trusted)


def now() -> datetime:
    """The present, or ``SOURCE_DATE_EPOCH`` (reproducible-builds.org) for builds that must repeat byte for byte."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    return datetime.fromtimestamp(int(epoch), UTC) if epoch.isdecimal() else datetime.now(UTC)


def standard_input(data: str) -> BinaryIO:
    """Standard input when DATA is -, nothing for other DATA; raises UnreadableFile when it is closed."""
    if data != "-":
        return BytesIO()
    if sys.__stdin__ is None:
        raise UnreadableFile("cannot read stdin: it is closed")
    return sys.stdin.buffer


def console() -> Console:
    """Results, on standard output; off a terminal as wide as they need, so that no line is broken."""
    width = None if sys.stdout.isatty() else UNBROKEN
    # No markup: the names of columns and classes come from files, and may look like it.
    return Console(width=width, highlight=False, markup=False, emoji=False)


def messages() -> Console:
    """Progress and messages, on standard error."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def help_without_command(context: typer.Context) -> None:
    """Show the help of a group of commands when none was named; exits with 2."""
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(2)


def harmless(text: str) -> str:
    """The text with control characters escaped, line feeds apart: what files hold must not steer the terminal."""
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))
