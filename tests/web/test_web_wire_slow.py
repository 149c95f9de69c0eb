"""Clients that are slow: a head and a body have a time to be there, and who is slow within it is served."""

from __future__ import annotations

import select
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from raw_http import BODY, GOOD, HOST, LAST, TARGET, RawService, check_problem
from wire_rows import CHUNKED, LENGTH, head

pytest_plugins = ("served", "raw_services")

# The deadlines of the product: of a head, and of a body that comes slower than a KiB a second.
HEAD_S, BODY_S = 5, 10
LATE = 408
START = head(f"POST {TARGET} HTTP/1.1", f"Host: {HOST}")[:-2]
KIB = 1024


@dataclass(frozen=True)
class Slow:
    """What is said at once, again and again, and at the end; and the statuses until the connection ends."""

    name: str
    opening: bytes
    says: tuple[int, ...]
    drop: bytes = b""
    pause_s: float = 0.5
    n_drops: int = 0
    closing: bytes = b""


def announced(n_bytes: int, path: str = TARGET, *lines: str) -> bytes:
    """The head of a request with a body of so many bytes."""
    return head(f"POST {path} HTTP/1.1", f"Host: {HOST}", f"Content-Length: {n_bytes}", *lines)


CHUNKS = head(f"POST {TARGET} HTTP/1.1", f"Host: {HOST}", CHUNKED)
LASTING = round(2.5 * BODY_S / 0.5)
UNREAD = head("GET /livez HTTP/1.1", f"Host: {HOST}", LENGTH)

CASES = [
    Slow("H12 one byte, then silence", b"P", (LATE,)),
    Slow("H12 half a head, then silence", START, (LATE,)),
    Slow("H12 half a name, then silence", START + b"X-A", (LATE,)),
    Slow("H12 a head byte by byte", START + b"X-A: ", (LATE,), b"x", n_drops=LASTING),
    Slow("H12 a head header by header", START, (LATE,), b"X-A: x\r\n", n_drops=LASTING),
    Slow("H12 a target byte by byte", b"POST /", (LATE,), b"x", n_drops=LASTING),
    Slow("H12 half of a second head", GOOD + START, (200, LATE)),
    Slow("H12 a second head byte by byte", GOOD + START + b"X-A: ", (200, LATE), b"x", n_drops=LASTING),
    Slow("H3 a body of which half comes", announced(100) + b" " * 50, (LATE,)),
    Slow("H3 a body of which half comes, to /train", announced(100, "/train") + b" " * 50, (LATE,)),
    Slow("H3 a body of which half comes, to be answered", GOOD + announced(100) + b" " * 50, (200, LATE)),
    Slow("H3 a body of which nothing comes", announced(100), (LATE,)),
    Slow("H3 chunks of which nothing comes", CHUNKS, (LATE,)),
    Slow("H3 a body that was told to come", announced(100, TARGET, "Expect: 100-continue"), (100, LATE)),
    Slow("H13 a body at 10 bytes a second", announced(5000), (LATE,), b" " * 5, n_drops=LASTING),
    Slow("H13 the same to /train", announced(5000, "/train"), (LATE,), b" " * 5, n_drops=LASTING),
    Slow("H13 chunks of 10 bytes a second", CHUNKS, (LATE,), b"5\r\n     \r\n", n_drops=LASTING),
    Slow("H13 the size of a chunk byte by byte", CHUNKS, (LATE,), b"0", n_drops=LASTING),
    Slow("H13 an extension byte by byte", CHUNKS + b"1;", (LATE,), b"a", n_drops=LASTING),
    Slow("H13 trailers one by one", CHUNKS + b"0\r\n", (LATE,), b"X-A: x\r\n", n_drops=LASTING),
    # Another answer would be taken for that to the next request.
    Slow("a body of which nothing comes, and that nobody reads", UNREAD, (200,)),
    Slow("a body of which half comes, and that nobody reads", announced(100, "/nowhere") + b" " * 50, (404,)),
    # These are slow, and in time.
    Slow("a head in half its time", LAST[:20], (200,), b"", HEAD_S / 4, 2, LAST[20:]),
    Slow("two heads in half of the time of each", GOOD[:20], (200, 200), b"", HEAD_S / 4, 2, GOOD[20:] + LAST),
    Slow("a body in half its time", LAST[: -len(BODY)], (200,), b"", BODY_S / 4, 2, BODY),
    Slow(
        "a body that comes at 4 KiB a second for longer than its time",
        announced(2 * KIB * 26 + len(BODY), TARGET, "Connection: close"),
        (200,),
        b" " * 2 * KIB,
        n_drops=26,
        closing=BODY,
    ),
    Slow("a connection that is idle between two requests", GOOD, (200, 200), b"", 1.5 * HEAD_S, 1, LAST),
    Slow("a connection that is idle, and then in half its time", GOOD, (200, 200), b"", HEAD_S, 2, LAST),
]


def outcome(service: RawService, case: Slow) -> tuple[int, ...] | str:
    """The statuses that a client gets until the service ends the connection, or what went wrong."""
    with service.line() as line:
        line.say([case.opening])
        n_opening = case.opening.count(BODY)
        replies = [reply for reply in (line.reply() for _ in range(n_opening)) if reply is not None]
        for _ in range(case.n_drops):
            if select.select([line.socket], [], [], case.pause_s)[0] or not line.say([case.drop]):
                break
        try:
            line.say([case.closing])
            replies.extend(iter(line.reply, None))
        except TimeoutError:
            return f"after {[reply.status for reply in replies]} the connection is still open"
    for reply in replies:
        if reply.status == LATE:
            check_problem(reply, {LATE: "request-timeout"})
            assert reply.headers["connection"] == "close"
    return tuple(reply.status for reply in replies)


def test_slow_clients_get_their_time_and_no_more(raw_services: dict[str, RawService]) -> None:
    """H3, H12, H13: 408 and the end for who is too slow, wherever, and an answer for who is not; all at once."""
    asked = [(lane, case) for lane in raw_services for case in CASES]

    with ThreadPoolExecutor(len(asked)) as pool:
        outcomes = list(pool.map(lambda one: outcome(raw_services[one[0]], one[1]), asked))

    wrong = [
        f"lane {lane}: {case.name}: {found}"
        for (lane, case), found in zip(asked, outcomes, strict=True)
        if found != case.says
    ]
    assert not wrong, "\n".join(wrong)
    for service in raw_services.values():
        service.check_alive()
        assert service.metric("http_server_active_requests") == 1
