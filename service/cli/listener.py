"""The socket that connections arrive at: opened before all else, and closed so that none is lost."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress

# Connections that wait to be accepted, as far as the system allows: those of a second in which the service only imports.
BACKLOG = 16_384
# libuv accepts one connection a socket and round: a loop with thousands that are busy gets to it every few milliseconds.
ACCEPTORS, MANY = 8, 500
SO_ATTACH_FILTER = 26
# A program for the kernel's packet filter: of the TCP header (byte 13 holds the flags) let all pass but a SYN alone.
LOAD_BYTE, AND, JUMP_IF_EQUAL, RETURN = 0x30, 0x54, 0x15, 0x06
SYN, SYN_OR_ACK, ALL = 0x02, 0x12, 0xFFFFFFFF
NO_SYN = (
    (LOAD_BYTE, 0, 0, 13),
    (AND, 0, 0, SYN_OR_ACK),
    (JUMP_IF_EQUAL, 0, 1, SYN),
    (RETURN, 0, 0, 0),
    (RETURN, 0, 0, ALL),
)


def bound_socket(host: str, port: int) -> socket.socket:
    """A listening socket; raises OSError when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def acceptors(listener: socket.socket, most_connections: int) -> list[socket.socket]:
    """The listener and copies of it, so that a loop accepts more than one connection a round; to be closed by the loop.

    There are none where there cannot be many connections, and descriptors are few.
    """
    n_copies = ACCEPTORS - 1 if most_connections > MANY else 0
    return [listener, *(listener.dup() for _ in range(n_copies))]


def turn_away(listener: socket.socket) -> None:
    """Let no further connection begin, while those that have begun can be accepted still.

    The system accepts connections before the process does, and resets at the close what the process did not get to.
    With this, whoever comes is refused once the socket is closed (a SYN without an answer is sent again).  Where there is
    no packet filter, one or two connections may be reset.
    """
    with suppress(OSError):
        listener.listen(0)
        import ctypes  # noqa: PLC0415 — for the end only

        program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in NO_SYN))
        fprog = struct.pack("HP", len(NO_SYN), ctypes.addressof(program))
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)
