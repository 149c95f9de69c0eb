"""Binding the address and serving on it, until a signal."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path
from types import FrameType

import typer
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

import service
from service.cli.surroundings import child_environment
from service.settings import Settings
from service.store.model_store import ModelStore
from service.web.app import create_app
from service.web.fast_lane import fast_lane

# Longer than the idle time of common load balancers (60 s), so that it is they who close connections.
KEEP_ALIVE_S = 75
BACKLOG = 2048


def listen(chosen: Settings) -> None:
    """Bind, say where, and serve; returns after a graceful stop."""
    model_store = ModelStore(Path(chosen.store))
    app = create_app(chosen, model_store, child_environment())
    config = uvicorn.Config(
        app,
        http=(fast_lane(app.state.desk) if chosen.fast_lane else None) or HttpToolsProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        ssl_certfile=chosen.tls_cert or None,
        ssl_keyfile=chosen.tls_key or None,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=chosen.drain_s,
    )
    with bound_socket(chosen.host, chosen.port) as listener:
        server = uvicorn.Server(config)
        stop_on_signals(server)
        port = listener.getsockname()[1]
        names = ", ".join(model_store.names()) or "no model yet"
        shown_host = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
        scheme = "https" if chosen.tls_cert else "http"
        print(
            f"logitd {service.__version__} serves {names} on {scheme}://{shown_host}:{port} (docs: /docs)",
            file=sys.stderr,
        )
        server.run(sockets=[listener])


def stop_on_signals(server: uvicorn.Server) -> None:
    """A graceful stop, which is no failure, on signals that come before uvicorn listens to them itself.

    It raises the signal that stopped it once more when it is done.
    """

    def stop(_signal: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def bound_socket(host: str, port: int) -> socket.socket:
    """A listening socket; exits with one line when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        print(
            f"error: cannot listen on {host}:{port}: {error.strerror or error}; choose another --port", file=sys.stderr
        )
        raise typer.Exit(1) from None
    listener.listen(BACKLOG)
    return listener
