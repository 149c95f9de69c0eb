"""What happens to the service besides its clients: kills of workers and a replacement of all of them, by a timetable."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from hardening.load.processes import workers_of

# Kills in a soak, and the least time between two: a worker that dies younger than ten seconds is no accident any more.
N_KILLS, LEAST_PAUSE_S = 15, 15.0
# A share of the time, aside from the kills.
HANGUP_AT = 0.55


@dataclass(slots=True)
class Disturbances:
    """Kills the youngest worker with SIGKILL now and then, so that the oldest grows old; once it sends SIGHUP.

    A service that works alone is left alone.  kills, hangups: when, by ``time.monotonic``.
    """

    pid: int
    due: deque[tuple[float, signal.Signals]]
    kills: list[float] = field(default_factory=list)
    hangups: list[float] = field(default_factory=list)

    def act(self, elapsed: float) -> None:
        """Do what is due at this second of the soak."""
        while self.due and self.due[0][0] <= elapsed:
            _, number = self.due.popleft()
            if number == signal.SIGHUP:
                os.kill(self.pid, number)
                self.hangups.append(time.monotonic())
            else:
                self._kill_a_worker()

    def _kill_a_worker(self) -> None:
        youngest = workers_of(self.pid)[-1]
        if youngest == self.pid:
            return
        with suppress(ProcessLookupError):
            os.kill(youngest, signal.SIGKILL)
            self.kills.append(time.monotonic())


def timetable(seconds: float, workers: int) -> deque[tuple[float, signal.Signals]]:
    """When to do what, in seconds from the start."""
    if workers == 1:
        return deque()
    pause = max(LEAST_PAUSE_S, seconds / N_KILLS)
    kills = [(number * pause, signal.SIGKILL) for number in range(1, int(seconds / pause + 1))]
    # Not at the very end, when there would be no time left to see it replaced.
    kills = [kill for kill in kills if kill[0] <= seconds - LEAST_PAUSE_S / 2]
    return deque(sorted([*kills, (HANGUP_AT * seconds, signal.SIGHUP)]))
