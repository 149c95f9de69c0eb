"""What the loading tools know of HTTP, of processes and of the rate at which they send."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from scripted import answering

from hardening.load.answers import Answer, post, request, take
from hardening.load.generator import Outcome, Plan, run
from hardening.load.line import Line
from hardening.load.processes import OTHER, SERVICE, look_at
from hardening.load.table import table

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nModel-Version: iris/1\r\n\r\n{}\n"
BODY = b'{"type":"/problems/temporary-reduced-capacity","status":503}\n'
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
LAST = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nInvalid"


@pytest.mark.parametrize("answer", [OK, BUSY, b"HTTP/1.1 204 No Content\r\n\r\n"])
def test_an_answer_is_taken_when_it_is_whole(answer: bytes) -> None:
    """Not a byte earlier, and what follows it stays."""
    for end in range(len(answer)):
        assert take(bytearray(answer[:end])) is None
    received = bytearray(answer + b"HTTP")

    taken = take(received)

    assert taken is not None
    assert taken.head + taken.body == answer
    assert received == b"HTTP"


def test_an_answer_without_length_ends_with_the_connection() -> None:
    """What a server says before it closes is whole once it has."""
    received = bytearray(LAST)

    assert take(received) is None
    assert take(received, is_ended=True) == Answer(LAST[:-7], b"Invalid")


@pytest.mark.parametrize(
    ("wire", "label", "closes"),
    [
        (OK, "200", False),
        (BUSY, "503 temporary-reduced-capacity", False),
        (BUSY.replace(b"retry-after: 1\r\n", b""), "503 temporary-reduced-capacity, no Retry-After", False),
        (BUSY.replace(b"retry-after: 1", b"retry-after: 0"), "503 temporary-reduced-capacity, no Retry-After", False),
        (LAST, "400 without a slug", True),
    ],
)
def test_a_label_is_the_status_and_the_slug(wire: bytes, label: str, *, closes: bool) -> None:
    """A 503 that does not say when to come back is another outcome than one that does."""
    answer = take(bytearray(wire), is_ended=True)

    assert answer is not None
    assert (answer.label, answer.closes) == (label, closes)


def test_requests_announce_their_length() -> None:
    """The bytes are a whole request."""
    wire = post("/predict", b"[[1]]", content_encoding="gzip")

    assert wire.startswith(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n")
    assert wire.endswith(b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\n[[1]]")


def test_a_line_opens_again_what_was_closed_between_two_requests() -> None:
    """A connection that the service has closed is no failure, as long as no request was on its way."""
    with answering(OK, LAST, OK) as port:
        line = Line(port, 5.0)
        labels = [line.ask(request("GET", "/")).label for _ in range(3)]
        line.close()

    assert labels == ["200", "400 without a slug", "200"]


def test_a_line_tells_when_its_request_is_lost() -> None:
    """A connection that ends instead of an answer is an error."""
    with answering(b"") as port, pytest.raises((EOFError, ConnectionError)):
        Line(port, 5.0).ask(request("GET", "/"))


def counts_of(outcome: Outcome) -> tuple[int, dict[str, int]]:
    return outcome.due, outcome.counts()


def test_the_generator_sends_at_its_rate() -> None:
    """Every request that is due is sent and answered, with the label of its answer."""
    with answering(OK, BUSY, OK) as port:
        outcome = run(Plan(port, request("GET", "/"), rate=200, seconds=0.2))

    assert counts_of(outcome) == (40, {"200": 39, "503 temporary-reduced-capacity": 1})
    assert outcome.count("5") == 1
    assert 0 < outcome.took_ms("200", 0.5) <= outcome.took_ms("200", 1.0)
    assert outcome.waited == 0
    assert outcome.sent_rate() > 0


def test_the_generator_opens_a_connection_where_none_is_idle() -> None:
    """A server that never answers gets all requests on time all the same, up to the most connections that may be."""
    with answering(OK[:-1]) as port:
        outcome = run(Plan(port, request("GET", "/"), rate=200, seconds=0.2, max_connections=30, grace_s=0.1))

    assert counts_of(outcome) == (40, {"unanswered": 30, "unsent": 10})
    assert outcome.most_connections == 30
    assert outcome.waited == 10


@pytest.mark.parametrize(("answer", "label"), [(b"", "closed"), (LAST, "400 without a slug")])
def test_the_generator_goes_on_after_a_connection_ends(answer: bytes, label: str) -> None:
    """With or without a last answer, the next request has a connection of its own."""
    with answering(answer) as port:
        outcome = run(Plan(port, request("GET", "/"), rate=100, seconds=0.1))

    assert counts_of(outcome) == (10, {label: 10})


def test_a_closed_loop_keeps_its_connections_busy() -> None:
    """Each connection sends again as soon as it is answered, and nothing is sent after the end."""
    with answering(OK) as port:
        outcome = run(Plan(port, request("GET", "/"), rate=0, seconds=0.2, max_connections=2))

    assert outcome.counts() == {"200": outcome.due}
    assert outcome.due > 4
    assert outcome.most_connections == 2


def test_nobody_there_is_an_error() -> None:
    """Without a server there is nothing to load."""
    with answering(OK) as port:
        pass

    with pytest.raises(ConnectionRefusedError):
        run(Plan(port, request("GET", "/"), rate=100, seconds=0.1))


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    """A process with a child that has ended and is not buried."""
    script = "import os, sys, time; os.fork() or os._exit(0); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_a_look_tells_processes_and_zombies(parent: subprocess.Popen[bytes], wait_until: Callable[..., None]) -> None:
    """Memory, descriptors and threads of a process and its children, of which one may be a zombie."""
    wait_until(lambda: any(look.is_zombie for look in look_at(parent.pid)))

    root, child = look_at(parent.pid)

    assert (root.pid, root.role, root.n_threads, root.is_zombie) == (parent.pid, SERVICE, 1, False)
    assert root.rss_kib > 1000
    assert root.n_descriptors >= 3
    assert (child.role, child.n_descriptors, child.is_zombie) == (OTHER, 0, True)
    assert look_at(os.getpid())[0].pid == os.getpid()


def test_a_table_aligns_numbers() -> None:
    """Words to the left, numbers to the right, fractions with three digits."""
    assert table(("name", "n", "x"), [("a", 1, 0.12345), ("bcdef", 234, 12345.6)]) == (
        "name     n      x\na        1  0.123\nbcdef  234  12346"
    )
