"""``logitd serve``: the HTTP service, as the full command line has it."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.environment import settings
from service.cli.start import start
from service.cli.surroundings import StoreOption


def serve(
    *,
    host: Annotated[str | None, typer.Option(metavar="HOST", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(metavar="PORT", help="Port to listen on; 0 takes a free one.")] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="Processes that answer, 1 to 64; default 1.")] = None,
    store: StoreOption = None,
    default_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="The model that answers when none is named.")
    ] = None,
    tls_cert: Annotated[
        str | None, typer.Option(metavar="FILE", help="Certificate chain (PEM): HTTPS instead of HTTP.")
    ] = None,
    tls_key: Annotated[
        str | None, typer.Option(metavar="FILE", help="Its private key (PEM), where it is not in the same file.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(metavar="WORD", help="debug, info, warning or error.")] = None,
    log_format: Annotated[str | None, typer.Option(metavar="WORD", help="auto, json or text.")] = None,
) -> None:
    """Serve the stored models over HTTP.

    It stops on SIGTERM or Ctrl-C; SIGHUP replaces several workers one by one.  What is not given here comes from the
    settings: see logitd config.
    """
    flags = {
        "host": host,
        "port": port,
        "workers": workers,
        "store": store,
        "default_model": default_model,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "log_level": log_level,
        "log_format": log_format,
    }
    raise typer.Exit(start(settings(flags).settings))
