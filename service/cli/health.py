"""``logitd health``: whether the service on this machine is ready, for a container's HEALTHCHECK.

It runs every few seconds, so it imports next to nothing: HTTP is spoken over a socket.
"""

from __future__ import annotations

import json
import socket
import sys
from os.path import exists

from service.cli.options import options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", "8000"
PORT_VARIABLES = ("LOGITD_PORT", "PORT", "AIP_HTTP_PORT", "SAGEMAKER_BIND_TO_PORT")
TIMEOUT_S = 3.0
MAX_ANSWER_BYTES = 1 << 16
USAGE = "usage: logitd health [--host HOST] [--port PORT] [--json]"
# What a service that listens everywhere is reached at from its own machine.
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 — not bound here, but translated


def environment_with_file(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment over the variables of ``.env``, where ``logitd serve`` looks too."""
    if not exists(".env"):  # noqa: PTH110 — pathlib would take longer than the question
        return dict(environment)
    from dotenv import dotenv_values  # noqa: PLC0415 — as long to import as all the rest

    try:
        from_file = dotenv_values(".env")
    except (OSError, UnicodeDecodeError):
        # ``logitd serve`` says what is wrong with the file; a probe asks whether it runs.
        from_file = {}
    return {**{name: value for name, value in from_file.items() if value is not None}, **environment}


def health(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """0 when ``/readyz`` answers 200, 1 when it does not, 2 for wrong usage; one line says so."""
    given = options(arguments, {"--host", "--port"}, {"--json"})
    if given is None:
        print(USAGE, file=sys.stderr)
        return 2
    host = given.get("--host") or environment.get("LOGITD_HOST") or DEFAULT_HOST
    in_environment = (environment[name] for name in PORT_VARIABLES if environment.get(name))
    port = given.get("--port") or next(in_environment, DEFAULT_PORT)
    if not (port.isdecimal() and 0 < int(port) < 1 << 16):
        print("error: the port must be a number from 1 to 65535", file=sys.stderr)
        return 2
    status, detail = probe(LOOPBACK.get(host, host), int(port), is_tls=bool(environment.get("LOGITD_TLS_CERT")))
    ready = status == 200
    if "--json" in given:
        print(json.dumps({"ready": ready, "status": status, "detail": detail}))
    else:
        print("ready" if ready else f"not ready: {detail}", file=sys.stdout if ready else sys.stderr)
    return 0 if ready else 1


def probe(host: str, port: int, *, is_tls: bool = False) -> tuple[int | None, str]:
    """The status of ``GET /readyz``, None without an answer, and what there is to say about it."""
    try:
        status, body = get(host, port, "/readyz", is_tls=is_tls)
    except (OSError, ValueError) as error:
        return None, f"no answer at {host}:{port} ({error})"
    try:
        return status, str(json.loads(body).get("detail", "ready"))
    except (ValueError, AttributeError):
        return status, "an answer that is not a JSON object"


def get(host: str, port: int, path: str, *, is_tls: bool) -> tuple[int, bytes]:
    """Status and body; raises OSError, and ValueError for an answer that is not HTTP."""
    # HTTP/1.0: the answer ends with the connection, and is not chunked.
    request = f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode()
    answer = b""
    plain = socket.create_connection((host, port), timeout=TIMEOUT_S)
    with encrypted(plain) if is_tls else plain as connection:
        connection.sendall(request)
        while len(answer) < MAX_ANSWER_BYTES and (part := connection.recv(MAX_ANSWER_BYTES)):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    version, _, rest = head.partition(b" ")
    if not (version.startswith(b"HTTP/1.") and rest[:3].isdigit()):
        raise ValueError("not HTTP")
    return int(rest[:3]), body


def encrypted(plain: socket.socket) -> socket.socket:
    """The connection in TLS.  Whether the certificate can be trusted, and for which name, is not what is asked here."""
    import ssl  # noqa: PLC0415 — OpenSSL takes longer to load than the rest to run

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(plain)
