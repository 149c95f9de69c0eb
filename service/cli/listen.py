"""Answering on an open port until a signal: what one process, or one of several workers, does."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from types import FrameType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.cli import telemetry
from service.cli.allocator import keep_freed_memory
from service.cli.environment import child_environment
from service.cli.listener import BACKLOG, acceptors, turn_away
from service.cli.logs import log_to_stderr
from service.cli.trust import trusted_key
from service.settings import Settings
from service.store.model_store import ModelStore
from service.web.app import create_app
from service.web.protocols import fast_lane, guarded
from service.web.services import Services

# Longer than the idle time of common load balancers (60 s), so that it is they who close connections.
KEEP_ALIVE_S = 75
LOOK_S = 0.01
SWITCH_S = 0.0005
# The default of eight megabytes is never touched, but counts where memory is bounded, and a stop needs one more thread.
STACK_BYTES = 1 << 20
# Looks for connections that the system has accepted, and this process not yet.
LAST_LOOKS = 5
# For clients that keep connections: their next answer says that it is the last one.
FAREWELL_S = 0.5
CLOSE = (b"connection", b"close")
# For a training to be ended, and its client to be told.
TRAINER_S = 0.5
# What a process may have open at most, and what it needs besides connections: some 25 and those of a training.
MOST_FILES, OTHER_FILES = 65_536, 40


def listen_alone(chosen: Settings, listener: socket.socket, first_line: str) -> None:
    """Serve in this process; ``first_line`` is printed once requests are answered."""

    @cache
    def say_once() -> None:
        print(first_line, file=sys.stderr, flush=True)

    listen(chosen, listener, on_beat=say_once, before_stop=partial(turn_away, listener))


def listen(
    chosen: Settings,
    listener: socket.socket,
    *,
    on_beat: Callable[[], None],
    before_stop: Callable[[], None] = lambda: None,
    run_directory: Path | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; returns after a graceful stop.

    on_beat: called from the event loop when requests are answered, and about every second from then on.
    before_stop: called when the stop begins.
    run_directory: what the workers of one service share; None for a service of one process.
    """
    keep_freed_memory()
    threading.stack_size(STACK_BYTES)
    log_to_stderr(chosen).load()

    async def beat() -> None:
        on_beat()

    app = create_app(
        chosen,
        ModelStore(Path(chosen.store), trusted_key(chosen)),
        child_environment(),
        spans=telemetry.spans(os.environ),
        run_directory=run_directory,
    )
    services: Services = app.state.services
    services.load.most_connections = most_connections()
    config = uvicorn.Config(
        app,
        http=(fast_lane if chosen.fast_lane else guarded)(app.state.desk) or HttpToolsProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        ssl_certfile=chosen.tls_cert or None,
        ssl_keyfile=chosen.tls_key or None,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=chosen.drain_s,
        callback_notify=beat,
        timeout_notify=0,
    )
    server = Server(config, before_stop, services)
    stop_on_signals(server)
    # What is here now stays: collections need not look at it again and again.
    gc.freeze()
    gc.enable()
    # A thread that reads a long body lets the event loop have its turn within this time, not Python's five milliseconds.
    sys.setswitchinterval(SWITCH_S)
    server.run(sockets=acceptors(listener, services.load.most_connections))


class Server(uvicorn.Server):
    """uvicorn's server, which says goodbye before it closes connections.

    uvicorn closes idle connections at once: a request that is on its way on one of them is lost, and so are connections
    that wait to be accepted.
    """

    def __init__(self, config: uvicorn.Config, before_stop: Callable[[], None], services: Services) -> None:
        super().__init__(config)
        self._before_stop = before_stop
        self._load = services.load
        self._trainer = services.trainer

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal to stop: not ready from now on, and each answer is the last of its connection."""
        self._begin_to_drain()
        # Once more between two callbacks: this one may have come in the middle of the beginning of a request.
        with suppress(RuntimeError):
            asyncio.get_running_loop().call_soon_threadsafe(self._begin_to_drain)
        super().handle_exit(sig, frame)

    def _begin_to_drain(self) -> None:
        self._load.is_draining = True
        # uvicorn writes them anew each second, until it stops.
        if CLOSE not in self.server_state.default_headers:
            self.server_state.default_headers = [*self.server_state.default_headers, CLOSE]
        for connection in tuple(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            # An answer that has begun cannot say it any more: its connection stays for the next one, which does.
            if cycle is not None and not getattr(cycle, "response_started", False):
                cycle.keep_alive = False

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See the class."""
        self._begin_to_drain()
        self._before_stop()
        for _ in range(LAST_LOOKS):
            await asyncio.sleep(LOOK_S)
        for server in self.servers:
            server.close()
        farewell_s = min(FAREWELL_S, self.config.timeout_graceful_shutdown or 0)
        for _ in range(round(farewell_s / LOOK_S)):
            if self.server_state.connections:
                await asyncio.sleep(LOOK_S)
        # Until all else would be cut off: then its client learns why.
        rest_s = (self.config.timeout_graceful_shutdown or 0) - TRAINER_S
        asyncio.get_running_loop().call_later(max(0.0, rest_s), self._trainer.stop)
        await super().shutdown(sockets)


def most_connections() -> int:
    """How many connections fit beside the files that this process has open and may open yet."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, MOST_FILES)), hard))
    return max(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - OTHER_FILES)


def stop_on_signals(server: uvicorn.Server) -> None:
    """A graceful stop, which is no failure, on signals that come before uvicorn listens to them itself.

    It raises the signal that stopped it once more when it is done.
    """

    def stop(_signal: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
