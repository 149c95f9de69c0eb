"""Starting the service: settings, then the port, and only then what takes long to import."""

from __future__ import annotations

import gc
import os
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import service
from service.cli import machine
from service.cli.environment import settings
from service.cli.listener import bound_socket
from service.cli.mistakes import told
from service.cli.options import options
from service.errors import InvalidSettings, ServiceError
from service.settings import MIB, SETTINGS, Settings, variable
from service.store.local import LocalStore
from service.store.seed import seed

# Below, a start warns: there is room for the service, but not for many clients or the largest requests.
FEW_FILES, LITTLE_MEMORY = 256, 256 * MIB
SIZES = ("max_body_bytes", "max_train_body_bytes", "train_memory_bytes")
OPTIONS = {
    *("--host", "--port", "--workers", "--store", "--default-model"),
    *("--tls-cert", "--tls-key", "--log-level", "--log-format"),
}


def start_plainly(arguments: Sequence[str]) -> int | None:
    """``logitd serve`` without the framework of the command line; None for what that one can tell better."""
    given = options(arguments, OPTIONS)
    if given is None:
        return None
    try:
        chosen = settings({name.removeprefix("--").replace("-", "_"): value for name, value in given.items()}).settings
    except InvalidSettings:
        return None
    try:
        return start(chosen)
    except ServiceError as error:
        return told(error)


def start(chosen: Settings) -> int:
    """Bind and serve until a signal; the exit code.

    Raises before it binds: InvalidSettings, OutOfMemory, StoreUnavailable and StoreFull, about files that the settings
    name, the machine, the store and what it is filled with.
    """
    machine.check_room()
    check_sizes(chosen)
    check_store(Path(chosen.store))
    if chosen.api_keys_file or chosen.tls_cert or chosen.tls_key:
        from service.cli.secrets_on_disk import check_secrets  # noqa: PLC0415 — OpenSSL, where it is asked for

        check_secrets(chosen)
    if chosen.require_signature:
        from service.cli.trust import trusted_key  # noqa: PLC0415 — cryptography, where it is asked for

        # For its refusals: who serves reads it again, here or in the processes of workers.
        trusted_key(chosen)
    if chosen.seed_store:
        seed(Path(chosen.store), Path(chosen.seed_store))
    warn_of_open_store(Path(chosen.store))
    warn_of_narrow_limits()
    names = LocalStore(Path(chosen.store)).names()
    # Requests are small: a pool of threads would only wait.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        listener = bound_socket(chosen.host, chosen.port)
    except OSError as error:
        reason = error.strerror or error
        print(f"error: cannot listen on {chosen.host}:{chosen.port}: {reason}; choose another --port", file=sys.stderr)
        return 1
    with listener:
        first_line = greeting(chosen, names, listener.getsockname()[1])
        if chosen.workers > 1:
            from service.cli.supervisor import supervise  # noqa: PLC0415 — what one process does not need

            return supervise(chosen, listener, first_line)
        # Nothing that is imported is garbage; ``listen`` switches it on again.
        gc.disable()
        from service.cli.listen import listen_alone  # noqa: PLC0415 — FastAPI and NumPy, after the port is open

        listen_alone(chosen, listener, first_line)
        return 0


def check_sizes(chosen: Settings) -> None:
    """Raise InvalidSettings for sizes that were set and are more than the memory that there is."""
    there_is = machine.memory_bytes()
    wrong = [name for name in SIZES if there_is < getattr(chosen, name) != SETTINGS[name].default]
    if wrong:
        names = ", ".join(map(variable, wrong))
        raise InvalidSettings(f"{names}: expected at most the {there_is} bytes of memory that this process may have")


def check_store(root: Path) -> None:
    """Raise InvalidSettings when there is something that can be no directory; nothing at all may become one."""
    try:
        mode = root.stat().st_mode
    except FileNotFoundError:
        return
    except PermissionError:
        # It may be the store, which says so itself.
        return
    except (OSError, ValueError):
        mode = 0
    if not stat.S_ISDIR(mode):
        raise InvalidSettings("LOGITD_STORE: expected a directory, or a name at which one can be made")


def warn_of_narrow_limits() -> None:
    """Say it when this process may have so little that requests will fail for want of it."""
    if machine.open_files() < FEW_FILES:
        print(
            f"warning: this process may open {machine.open_files()} files and connections only; raise ulimit -n",
            file=sys.stderr,
        )
    if machine.memory_bytes() < LITTLE_MEMORY:
        print(
            f"warning: this process may have {machine.memory_bytes() // MIB} MiB of memory only: "
            "long requests and trainings will be refused; give it more, or set LOGITD_MAX_BODY_BYTES and LOGITD_TRAIN",
            file=sys.stderr,
        )


def warn_of_open_store(root: Path) -> None:
    """Say it when everybody may write to the store: a checksum does not stop who can recompute it."""
    with suppress(OSError):
        # With the sticky bit, as on a volume for whichever user a platform picks, nobody replaces the files of others.
        if root.stat().st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH:
            print(
                "warning: every user of this machine may write to the model store; run: chmod o-w on its directory",
                file=sys.stderr,
            )


def greeting(chosen: Settings, names: list[str], port: int) -> str:
    """The line that says what is served where."""
    host = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
    crew = f" with {chosen.workers} workers" if chosen.workers > 1 else ""
    models = ", ".join(names) or "no model yet"
    scheme = "https" if chosen.tls_cert else "http"
    return f"logitd {service.__version__} serves {models}{crew} on {scheme}://{host}:{port} (docs: /docs)"
