"""``logitd models``: what is stored, where aliases point, and moving them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from service.cli.surroundings import (
    JsonOption,
    StoreOption,
    console,
    harmless,
    help_without_command,
    messages,
    model_store,
    now,
    print_json,
)
from service.errors import AliasNotFound, InvalidVersion, ServiceError, quoted
from service.serving import views
from service.serving.control_plane import ControlPlane
from service.store.model_store import ModelStore
from service.store.names import LIVE, ModelRef
from service.store.signature import SignatureState
from service.store.signing_keys import read_private_key

app = typer.Typer(help="List, show, promote, verify, sign and delete stored models.")

RefArgument = Annotated[
    str, typer.Argument(metavar="NAME[/VERSION|@ALIAS]", help="NAME alone is its live version, or its latest.")
]
VersionArgument = Annotated[str, typer.Argument(metavar="NAME/VERSION", help="A version by its number: iris/3.")]
SOUND = {
    SignatureState.NONE: "intact",
    SignatureState.UNCHECKED: "intact, signature not checked",
    SignatureState.VALID: "intact, signed",
}
ROWS = {"training": "training", "held_out": "held-out"}
AliasOption = Annotated[str, typer.Option(metavar="NAME", help="The alias to move.")]
ReasonOption = Annotated[str, typer.Option(metavar="TEXT", help="Kept in the history.")]


@app.callback(invoke_without_command=True)
def group(context: typer.Context) -> None:
    """Show the help when there is no command."""
    help_without_command(context)


@app.command("list")
def list_models(*, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """List the models: versions, aliases, metrics."""
    models = model_store(store)
    lines = [views.model_line(models, name) for name in models.names()]
    if as_json:
        print_json(lines)
        return
    table = Table("model", "versions", "aliases", "accuracy", "log-loss", "on", box=None, pad_edge=False)
    for line in lines:
        aliases = ", ".join(f"{alias} → {version}" for alias, version in line["aliases"].items())
        metrics = line["metrics"]
        numbers = (
            ("", "", "")
            if metrics is None
            else (
                f"{metrics['accuracy']:.4f}",
                f"{metrics['log_loss']:.4f}",
                f"{metrics['rows']} {ROWS[metrics['on']]} rows",
            )
        )
        table.add_row(line["name"], ", ".join(map(str, line["versions"])), aliases, *numbers)
    if lines:
        console().print(table)
    else:
        messages().print("no model yet; next: logitd train iris --model iris")


@app.command()
def show(ref: RefArgument, *, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Show one version and the history of its model.

    Coefficients with standard errors, the certificate, warnings, and how the aliases of the model moved (in UTC).
    """
    models = model_store(store)
    wanted = ModelRef.parse(ref)
    stored = models.inspect(wanted.name or "", version_of(models, wanted))
    if as_json:
        print_json(views.version(models, stored))
        return
    print(harmless(views.summary(stored)), end="")
    for warning in stored.manifest.warnings:
        print(f"warning: {warning}")
    print(f"signature: {views.signature(models, stored.manifest.name, stored.manifest.version)}")
    for entry in models.history(stored.manifest.name):
        moved = f"{entry.previous or '–'} → {entry.version}"
        print(f"{entry.at:%Y-%m-%d %H:%M:%S}  {entry.alias}: {moved}  {harmless(entry.reason)}")


@app.command()
def promote(
    ref: VersionArgument,
    *,
    alias: AliasOption = LIVE,
    reason: ReasonOption = "",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Point an alias (live) to a version."""
    models = model_store(store)
    wanted = ModelRef.parse(ref)
    name, version = wanted.name or "", version_of(models, wanted, must_be_explicit=True)
    ControlPlane(models, clock=now).promote(name, alias, version, reason=reason)
    told(name, alias, version, as_json=as_json)


@app.command()
def rollback(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the model.")],
    *,
    alias: AliasOption = LIVE,
    reason: ReasonOption = "",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Point an alias (live) back to its version before.

    A second rollback undoes the first.
    """
    entry = ControlPlane(model_store(store), clock=now).rollback(name, alias, reason=reason)
    told(name, alias, entry.version, as_json=as_json)


@app.command()
def verify(
    ref: Annotated[str | None, typer.Argument(metavar="[NAME[/VERSION|@ALIAS]]")] = None,
    *,
    key: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Public key (PEM) of all signatures; default: LOGITD_REQUIRE_SIGNATURE."),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check every byte of what is stored, and signatures.

    Signatures are checked when a key is named; else only their files are.  One version, all versions of a model, or
    without an argument the whole store; exit code 6 when one is damaged, or is not signed with the key.
    """
    models = model_store(store, key)
    verdicts = [checked(models, name, version) for name, version in chosen(models, ref)]
    if as_json:
        print_json([asdict(verdict) for verdict in verdicts])
    else:
        for verdict in verdicts:
            print(f"{verdict.version}: {verdict.problem or SOUND[verdict.signature]}")
    raise typer.Exit(6 if any(verdict.problem for verdict in verdicts) else 0)


@app.command()
def sign(
    ref: VersionArgument,
    *,
    key: Annotated[str, typer.Option(metavar="FILE", help="Private key (PEM, Ed25519), without a password.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign a version that is intact.

    A signature that it has is replaced.  openssl genpkey -algorithm ed25519 -out private.pem makes a key, openssl pkey
    -in private.pem -pubout -out public.pem writes what LOGITD_REQUIRE_SIGNATURE takes.
    """
    private, models = read_private_key(Path(key), "--key"), model_store(store)
    wanted = ModelRef.parse(ref)
    name, version = wanted.name or "", version_of(models, wanted, must_be_explicit=True)
    signature = models.sign(name, version, private)
    if as_json:
        print_json({"signed": f"{name}/{version}", "key": signature.key})
    else:
        print(f"signed {name}/{version} with the key of fingerprint {signature.key}")


@app.command()
def delete(ref: VersionArgument, *, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Delete a version that no alias points to."""
    models = model_store(store)
    wanted = ModelRef.parse(ref)
    name, version = wanted.name or "", version_of(models, wanted, must_be_explicit=True)
    ControlPlane(models, clock=now).delete(name, version)
    if as_json:
        print_json({"deleted": f"{name}/{version}"})
    else:
        print(f"deleted {name}/{version}")


def told(name: str, alias: str, version: int, *, as_json: bool) -> None:
    if as_json:
        print_json({"model": name, "alias": alias, "version": version})
    else:
        print(f"{name}@{alias} is version {version} now")


def version_of(models: ModelStore, ref: ModelRef, *, must_be_explicit: bool = False) -> int:
    """The version that a reference names; raises InvalidVersion when a number is needed and none is given."""
    if ref.version is not None:
        return ref.version
    if must_be_explicit:
        raise InvalidVersion(f"name the version: {ref.name}/NUMBER")
    aliases = models.aliases(ref.name or "")
    alias = ref.alias or LIVE
    if alias in aliases:
        return aliases[alias].version
    if ref.alias is not None:
        raise AliasNotFound(f"model {quoted(ref.name)} has no alias {quoted(alias)}")
    return models.versions(ref.name or "")[-1]


def chosen(models: ModelStore, ref: str | None) -> list[tuple[str, int]]:
    names = models.names() if ref is None else [ModelRef.parse(ref).name or ""]
    if ref is not None and ("/" in ref or "@" in ref):
        return [(names[0], version_of(models, ModelRef.parse(ref)))]
    return [(name, version) for name in names for version in models.versions(name)]


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found out about a version: its own bytes, its signature, and the first thing that is wrong."""

    version: str
    intact: bool
    signature: SignatureState
    problem: str | None


def checked(models: ModelStore, name: str, version: int) -> Verified:
    """The version itself first, then its signature."""
    ref = f"{name}/{version}"
    damage = fault(lambda: models.inspect(name, version))
    problem = damage or fault(lambda: models.check_signature(name, version))
    return Verified(ref, damage is None, views.signature(models, name, version), problem)


def fault(check: Callable[[], object]) -> str | None:
    try:
        check()
    except ServiceError as error:
        return error.detail
    return None
