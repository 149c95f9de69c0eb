"""Many bad clients at once or one after the other: others are served, and nothing of them stays."""

from __future__ import annotations

import gzip
from contextlib import ExitStack

import pytest
from raw_http import BODY, GOOD, HOST, TARGET, RawService, check_problem
from wire import Reply, eventually, request
from wire_rows import CHUNKED, head

pytest_plugins = ("served", "raw_services")

MIB = 1 << 20
N_RESETS, N_EACH = 200, 100
# The last one, of size 0, is one.
MAX_CHUNKS = 65_536
START = head(f"POST {TARGET} HTTP/1.1", f"Host: {HOST}")[:-2]
CHUNKS = head(f"POST {TARGET} HTTP/1.1", f"Host: {HOST}", CHUNKED)
ROW = b"[0.123456789,2.0,3.0]"
# One is answered at once, the other in a thread.
BIG_ANSWER = request("POST", "/predict_proba?model=abc", body=b"[" + b",".join([ROW] * 2000) + b"]")
SLOW_ANSWER = request("POST", "/predict_proba?model=abc", body=b"[" + b",".join([ROW] * 9000) + b"]")
ACTIVE = "http_server_active_requests"


def many_chunks(n: int) -> bytes:
    """A good request in chunks of a byte, and the last."""
    padding = b"1\r\n \r\n" * (n - 1 - len(BODY))
    return CHUNKS + padding + b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"


def left_alone(service: RawService, *, with_at_most: int) -> bool:
    """Whether the service comes back to so many descriptors, and to no request but that for its metrics."""
    return eventually(lambda: service.n_descriptors() <= with_at_most) and service.metric(ACTIVE) == 1


def test_others_are_served_beside_half_heads_and_trickles(service: RawService) -> None:
    """H14: every normal request is answered while crowds hold connections; they leave nothing behind."""
    service.check_alive()
    before = service.n_descriptors()
    with ExitStack() as crowd:
        half_open = [crowd.enter_context(service.line()) for _ in range(N_EACH)]
        trickling = [crowd.enter_context(service.line()) for _ in range(N_EACH)]
        for line in half_open + trickling:
            line.say([START])
        answered = 0
        for index in range(N_EACH):
            trickling[index].say([b"X-A: x\r\n"])
            for _ in range(5):
                answered += service.ask(GOOD).status == 200
        assert service.ask(request("GET", "/livez")).status == 200

    assert answered == 5 * N_EACH
    assert left_alone(service, with_at_most=before)


@pytest.mark.parametrize(
    "data", [START, GOOD[: -len(BODY) + 3], CHUNKS + b"9\r\n[[1", GOOD[:-1]], ids=["head", "body", "chunk", "end"]
)
@pytest.mark.parametrize("is_reset", [True, False], ids=["RST", "FIN"])
def test_clients_that_leave_before_the_end_leave_nothing(service: RawService, data: bytes, *, is_reset: bool) -> None:
    """H2: in the middle of a head, a body or a chunk, with RST or FIN: no descriptor, no request, no error in the log."""
    service.check_alive()
    before = service.n_descriptors()

    for index in range(N_RESETS):
        path = "/train" if index % 4 == 0 else TARGET
        with service.line() as line:
            line.say([data.replace(TARGET.encode(), path.encode())])
            if is_reset:
                line.reset()

    assert left_alone(service, with_at_most=before)
    service.check_alive()


@pytest.mark.parametrize(("data", "n"), [(BIG_ANSWER, N_RESETS), (SLOW_ANSWER, 20)], ids=["at once", "in a thread"])
@pytest.mark.parametrize("is_read", [True, False], ids=["begun to read", "unread"])
def test_clients_that_reset_their_answer_leave_nothing(
    service: RawService, data: bytes, n: int, *, is_read: bool
) -> None:
    """In the middle of an answer, or before it: no descriptor and no request stays."""
    service.check_alive()
    before = service.n_descriptors()

    for _ in range(n):
        with service.line(receive_buffer=4096) as line:
            line.say([data])
            if is_read:
                assert line.socket.recv(1) == b"H"
            line.reset()

    assert left_alone(service, with_at_most=before)
    service.check_alive()


@pytest.mark.parametrize(("path", "limit"), [("/predict", 8 * MIB), ("/predict_proba", 8 * MIB), ("/train", 32 * MIB)])
def test_chunks_stop_at_the_limit_of_bytes(service: RawService, path: str, limit: int) -> None:
    """H5: 413 as soon as one byte too many was counted; the last chunk need not come."""
    chunk = b"%x\r\n%b\r\n" % (MIB, bytes(MIB))
    with service.line() as line:
        line.say([head(f"POST {path} HTTP/1.1", f"Host: {HOST}", CHUNKED), *[chunk] * (limit // MIB), b"1\r\n1\r\n"])
        reply = line.reply()
        assert line.rest() == []

    assert reply is not None
    check_problem(reply, {413: "payload-too-large"})
    assert reply.headers["connection"] == "close"
    service.check_alive()


def test_chunks_stop_at_the_limit_of_their_number(service: RawService) -> None:
    """H6: 65 536 chunks are read, two more are 413; again and again it takes no memory."""
    assert service.ask(many_chunks(MAX_CHUNKS)).status == 200
    assert all(is_refused(service, many_chunks(MAX_CHUNKS + 2), "too-many-chunks") for _ in range(3))
    before = service.resident_bytes()

    assert all(is_refused(service, many_chunks(MAX_CHUNKS + 2), "too-many-chunks") for _ in range(10))
    assert service.resident_bytes() <= before + 4 * MIB
    service.check_alive()


def is_refused(service: RawService, data: bytes, slug: str) -> bool:
    """Whether the answer is 413 with the slug, and the end of its connection."""
    with service.line() as line:
        line.say([data])
        reply = line.reply()
        ended = line.rest() == []
    assert isinstance(reply, Reply)
    check_problem(reply, {413: slug})
    return ended


def test_a_bomb_is_not_inflated(service: RawService) -> None:
    """H20: gzip that becomes 64 MiB is refused after the limit, however many come, and takes no more than that."""
    bomb = gzip.compress(bytes(64 * MIB), 9)
    data = request("POST", TARGET, {"Content-Encoding": "gzip"}, bomb)
    assert len(bomb) < MIB
    assert is_refused(service, data, "payload-too-large")
    before = service.resident_bytes()

    assert all(is_refused(service, data, "payload-too-large") for _ in range(20))

    assert service.resident_bytes() <= before + 24 * MIB
    service.check_alive()


@pytest.mark.parametrize(
    "data",
    [b"POST /" + b"x" * MIB, START + b"X-A: " + b"x" * MIB, START + b"X-A: x\r\n" * (MIB // 8), CHUNKS + b"0" * MIB],
    ids=["target", "header", "headers", "size"],
)
def test_refusals_take_no_memory(service: RawService, data: bytes) -> None:
    """What is too long is not kept: of a hundred clients that send a MiB and stay not a quarter of it remains."""
    service.check_alive()
    before = service.resident_bytes()
    with ExitStack() as crowd:
        for line in [crowd.enter_context(service.line()) for _ in range(N_EACH)]:
            line.say([data])
            assert line.reply() is not None
        after = service.resident_bytes()

    assert after <= before + N_EACH * MIB // 4
    service.check_alive()
