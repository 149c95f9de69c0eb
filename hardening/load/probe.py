"""``Probe``: one request again and again beside a load, as a watcher sends it, with the time that each took."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from benchmarks.serving.open_loop import percentile
from hardening.load.line import Line

FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Probed:
    """One request: when it was sent by ``time.monotonic``, its label or ``failed``, and the milliseconds that it took."""

    at: float
    label: str
    took_ms: float


class Probe:
    """Asks from entry to exit, each time over a new connection.  patience_s: for one answer."""

    def __init__(self, port: int, wire: bytes, pause_s: float, patience_s: float) -> None:
        self.seen: list[Probed] = []
        self._line = Line(port, patience_s)
        self._wire = wire
        self._pause_s = pause_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._ask_on, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopped.set()
        self._thread.join()

    def _ask_on(self) -> None:
        while not self._stopped.wait(self._pause_s):
            at, label = time.monotonic(), FAILED
            with suppress(OSError, EOFError):
                label = self._line.ask(self._wire).label
            self.seen.append(Probed(at, label, 1e3 * (time.monotonic() - at)))
            self._line.close()


def p99_ms(seen: list[Probed]) -> float:
    """Of what these requests took; nan of none."""
    return percentile(sorted(one.took_ms for one in seen), 0.99)


def back_to_normal_s(seen: list[Probed], since: float, normal_ms: float, *, in_a_row: int = 5) -> float:
    """From ``since`` to the first request of a row of which each gets 200 in its normal time; inf without such a row."""
    after = [one for one in seen if one.at >= since]
    is_normal = [one.label == "200" and one.took_ms <= normal_ms for one in after]
    for first in range(len(after) - in_a_row + 1):
        if all(is_normal[first : first + in_a_row]):
            return after[first].at - since
    return float("inf")
