"""Clients that ask a service without a pause, and what became of each request."""

from __future__ import annotations

import http.client
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

from service_process import PATIENCE, Service

BODY = b'{"instances": [[5.1, 3.5, 1.4, 0.2]]}'
HEADERS = {"Content-Type": "application/json"}
REFUSED = "refused"


@dataclass
class Load:
    """How often each outcome came about: a status, ``refused``, or the name of an error."""

    outcomes: Counter[str | int] = field(default_factory=Counter)
    stopped: Event = field(default_factory=Event)

    def wait_for_more(self, n_answers: int) -> None:
        """Wait until there are this many more answers of status 200."""
        enough = self.outcomes[200] + n_answers
        wait_until(lambda: self.outcomes[200] >= enough)

    def ask(self, port: int, *, keep_alive: bool) -> None:
        """Ask until told to stop, or until the service refuses connections."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        headers = HEADERS if keep_alive else {**HEADERS, "Connection": "close"}
        while not self.stopped.is_set() and not self.outcomes[REFUSED]:
            try:
                # ``http.client`` connects anew after an answer that says ``Connection: close``.
                connection.request("POST", "/predict", BODY, headers)
                answer = connection.getresponse()
                answer.read()
                self.outcomes[answer.status] += 1
            except ConnectionRefusedError:
                self.outcomes[REFUSED] += 1
            except (OSError, http.client.HTTPException) as error:
                self.outcomes[type(error).__name__] += 1
                connection.close()
        connection.close()


@contextmanager
def load_on(service: Service, *, keep_alive: bool, n_clients: int = 3) -> Iterator[Load]:
    """Clients in threads, on new connections each time or on kept ones; they have stopped at the end."""
    load = Load()
    with ThreadPoolExecutor(n_clients) as pool:
        asking = [pool.submit(load.ask, int(service.port), keep_alive=keep_alive) for _ in range(n_clients)]
        try:
            load.wait_for_more(20)
            yield load
        finally:
            load.stopped.set()
    for client in asking:
        client.result()


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so; AssertionError when patience ends."""
    give_up_at = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < give_up_at, "it never came about"
        time.sleep(0.02)
