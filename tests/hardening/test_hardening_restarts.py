"""The balancer of the rolling restarts, and what is held for a failure there."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from scripted import listening

from hardening.load.answers import request
from hardening.load.generator import Outcome
from hardening.load.line import Line
from hardening.restarts.__main__ import report
from hardening.restarts.balancer import Balancer, Instance
from hardening.restarts.run import Restart, Rolled

READY = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
DRAINING = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"
HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi\n"
FAREWELL = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nhi\n"
ASK = request("POST", "/predict", b"[[1]]")


@dataclass
class Fake:
    """An instance that counts what it is asked, besides whether it is ready."""

    ready: bytes = READY
    answer: bytes = HELLO
    asked: int = 0
    port: int = field(default=0)

    def say(self, wire: bytes) -> bytes:
        if wire.startswith(b"GET /readyz "):
            return self.ready
        self.asked += 1
        return self.answer


@contextmanager
def balancing(*fakes: Fake) -> Iterator[Balancer]:
    """A balancer in front of two."""
    first, second = fakes
    with listening(first.say) as one, listening(second.say) as other, Balancer((one, other)) as balancer:
        yield balancer


def ask(balancer: Balancer, times: int = 1) -> list[str]:
    """The labels of answers, over one connection as long as it lasts."""
    line = Line(balancer.port, 5.0)
    labels = [line.ask(ASK).label for _ in range(times)]
    line.close()
    return labels


def is_ready(instance: Instance) -> bool:
    return instance.ready_since is not None


def test_requests_go_to_ready_instances_in_turn(wait_until: Callable[[Callable[[], bool]], None]) -> None:
    """Half of them to each; and none to one that is not ready, as long as it is not."""
    fakes = Fake(), Fake()
    with balancing(*fakes) as balancer:
        wait_until(lambda: all(map(is_ready, balancer.instances)))

        both = ask(balancer, 10)
        fakes[0].ready = DRAINING
        wait_until(lambda: not is_ready(balancer.instances[0]))
        one = ask(balancer, 10)

    assert both + one == ["200"] * 20
    assert (fakes[0].asked, fakes[1].asked) == (5, 15)
    assert not balancer.instances[0].idle


def test_a_last_answer_ends_one_connection_only(wait_until: Callable[[Callable[[], bool]], None]) -> None:
    """What an instance says of its connection is heeded, and not told to the client."""
    with balancing(Fake(answer=FAREWELL), Fake(answer=FAREWELL)) as balancer:
        wait_until(lambda: all(map(is_ready, balancer.instances)))
        line = Line(balancer.port, 5.0)

        answers = [line.ask(ASK) for _ in range(4)]
        line.close()

    assert [(answer.label, answer.closes, answer.body) for answer in answers] == [("200", False, b"hi\n")] * 4
    assert balancer.events == {"said to be the last answer": 4}


def test_a_request_that_was_sent_is_not_repeated(wait_until: Callable[[Callable[[], bool]], None]) -> None:
    """An instance that breaks off has had it: the client gets 502, and the other instance nothing."""
    broken, other = Fake(answer=b""), Fake(ready=DRAINING)
    with balancing(broken, other) as balancer:
        wait_until(lambda: is_ready(balancer.instances[0]))

        labels = ask(balancer)

    assert labels == ["502 without a slug"]
    assert (broken.asked, other.asked) == (1, 0)


def test_a_request_without_a_connection_goes_to_another_instance() -> None:
    """Nothing was sent to the one that refused it."""
    fake = Fake()
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = free.getsockname()[1]
    with listening(fake.say) as port, Balancer((nobody, port)) as balancer:
        for instance in balancer.instances:
            instance.ready_since = 1.0

        labels = [ask(balancer)[0] for _ in range(4)]

    assert labels == ["200"] * 4
    assert fake.asked == 4


def test_without_a_ready_instance_there_is_an_answer() -> None:
    """503, at once."""
    with balancing(Fake(ready=DRAINING), Fake(ready=DRAINING)) as balancer:
        assert ask(balancer) == ["503 without a slug, no Retry-After"]


def rolled(*labels: str, exit_code: int = 0) -> Rolled:
    offered = Outcome(1.0)
    for label in labels:
        offered.add(label, 0.1, 0.001)
    return Rolled(offered, [Restart(0.2, 1.0, 0), Restart(0.2, 1.0, exit_code)], {"nobody was ready": 1})


@pytest.mark.parametrize(
    ("seen", "findings"),
    [
        (rolled("200", "200"), []),
        (rolled(), ["nothing was answered"]),
        (
            rolled("200", "502 without a slug", "closed"),
            ["1 requests came to 502 without a slug", "1 requests came to closed"],
        ),
        (rolled("200", exit_code=-9), ["restart 2 ended with exit code -9"]),
    ],
)
def test_every_failed_request_and_every_bad_end_is_found(seen: Rolled, findings: list[str]) -> None:
    """Nothing but 200 is allowed, and no exit code but 0."""
    assert sorted(seen.findings()) == sorted(findings)
    assert "nobody was ready" in report(seen)
