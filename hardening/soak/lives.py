"""``Life``: one process of the service from its first look to its last, and whether it took more and more."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hardening.load.processes import OTHER, Look

# What a process grows into at first is no leak: half of a short life, ten minutes of a long one.  That long memory takes
# to be as broken up as it will ever be by bodies of all sizes.
WARM_SHARE, WARM_S = 0.5, 600.0
# Fewer looks than this, a second apart, say nothing.
LEAST_LOOKS = 20
# Slope and growth have to be passed, and the highest look of the last third must tower over that of the first.  Large requests make memory go up and down by tens of MiB: over half a minute
# that may look like growth, over more it may not.
MOST_KIB_PER_MIN = 256.0
LONG_S, MOST_GROWTH_KIB, MOST_SHORT_GROWTH_KIB = 300.0, 16 * 1024.0, 64 * 1024.0
# Looks in a row at which a child that ended is not buried yet.
MOST_UNBURIED = 3
# Of a process at rest: connections that are about to be closed, a file that is being read.
SLACK_DESCRIPTORS = 4
# Threads of long requests stay for the next ones: as many as asyncio lets there be.
SLACK_THREADS = min(32, (os.cpu_count() or 1) + 4) + 2


@dataclass(slots=True)
class Life:
    """Looks at one process, a second apart.  at: seconds from the start of the soak."""

    pid: int
    role: str
    at: list[float] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)

    def add(self, at: float, look: Look) -> None:
        """One more look."""
        self.at.append(at)
        self.looks.append(look)

    @property
    def seconds(self) -> float:
        return self.at[-1] - self.at[0]

    @property
    def is_long_enough(self) -> bool:
        """Whether it says something about memory."""
        return len(self._warm()[0]) >= LEAST_LOOKS

    def slope(self) -> float:
        """How its memory grows once it is warm, in KiB/min: least squares."""
        at, rss = self._warm()
        return 60.0 * float(np.polyfit(np.asarray(at), np.asarray(rss, dtype=np.float64), 1)[0])

    def growth_kib(self) -> float:
        """The slope over the time that it is taken from."""
        return self.slope() * self._warm_s() / 60.0

    def _grows(self) -> bool:
        most = MOST_GROWTH_KIB if self._warm_s() > LONG_S else MOST_SHORT_GROWTH_KIB
        return self.slope() > MOST_KIB_PER_MIN and self.growth_kib() > most and self._towers_by() > most / 2

    def _towers_by(self) -> int:
        _, rss = self._warm()
        third = len(rss) // 3
        return max(rss[-third:]) - max(rss[:third])

    def _warm_s(self) -> float:
        at, _ = self._warm()
        return at[-1] - at[0]

    def _warm(self) -> tuple[list[float], list[int]]:
        """The moments after the warming up, and the KiB at them."""
        since = self.at[0] + min(WARM_S, WARM_SHARE * self.seconds)
        pairs = [(at, look.rss_kib) for at, look in zip(self.at, self.looks, strict=True) if at >= since]
        return [at for at, _ in pairs], [rss for _, rss in pairs]

    def findings(self) -> list[str]:
        """Whether its memory grew, and whether it lay about after its end."""
        lines = []
        if self.role != OTHER and self.is_long_enough and self._grows():
            grown, slope = self.growth_kib() / 1024, self.slope()
            lines.append(f"memory of {self.role} {self.pid} grows: {slope:.0f} KiB/min, {grown:.0f} MiB in all")
        if self._longest_unburied() > MOST_UNBURIED:
            lines.append(f"{self.role} {self.pid} was a zombie for {self._longest_unburied()} s")
        return lines

    def _longest_unburied(self) -> int:
        longest = current = 0
        for look in self.looks:
            current = current + 1 if look.is_zombie else 0
            longest = max(longest, current)
        return longest


@dataclass(slots=True)
class Lives:
    """All processes that were seen, in the order of their appearance."""

    by_pid: dict[int, Life] = field(default_factory=dict)

    def add(self, at: float, looks: Sequence[Look]) -> None:
        """One look at each process."""
        for look in looks:
            self.by_pid.setdefault(look.pid, Life(look.pid, look.role)).add(at, look)

    def those_that_answer(self) -> list[Life]:
        """The workers, or the service that works alone; and the supervisor, which must not grow either."""
        return [life for life in self.by_pid.values() if life.role != OTHER]

    def findings(self) -> list[str]:
        """Of all of them, children of children included."""
        return [line for life in self.by_pid.values() for line in life.findings()]


def findings_at_rest(before: Sequence[Look], after: Sequence[Look]) -> list[str]:
    """What the processes of a role hold after the load, compared with the one of that role that held most before it."""
    lines = []
    for look in after:
        known = [other for other in before if other.role == look.role]
        if not known:
            lines.append(f"{look.role} {look.pid} is still there")
            continue
        most_files, most_threads = max(o.n_descriptors for o in known), max(o.n_threads for o in known)
        if look.n_descriptors > most_files + SLACK_DESCRIPTORS:
            lines.append(
                f"descriptors of {look.role} {look.pid}: {look.n_descriptors}, and {most_files} before the load"
            )
        if look.n_threads > most_threads + SLACK_THREADS:
            lines.append(f"threads of {look.role} {look.pid}: {look.n_threads}, and {most_threads} before the load")
    return lines
