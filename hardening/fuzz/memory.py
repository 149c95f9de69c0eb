"""How much memory each class of input has taken for good."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field

from hardening.fuzz.cases import REPEATS, WARM_UP, Case

MIB = 1 << 20
ALLOWED = 4 * MIB


@dataclass(slots=True)
class Growth:
    """One class: how many requests it had, and what it grew by over the recent ones."""

    n_sent: int = 0
    grown: int = 0
    recent: deque[Case] = field(default_factory=lambda: deque(maxlen=REPEATS))

    @property
    def is_due(self) -> bool:
        """Whether there were as many requests as it is judged by."""
        return len(self.recent) >= REPEATS


class Memory:
    """The classes; whatever trains is one, as it has few requests.  most: the class that grew most, and by how much."""

    def __init__(self) -> None:
        self._classes: defaultdict[str, Growth] = defaultdict(Growth)
        self.most: tuple[int, str] = (0, "")

    def warms_up(self, case: Case) -> bool:
        """Whether the class has not had enough requests for its growth to mean anything."""
        return self._classes[_key(case)].n_sent < WARM_UP

    def count(self, case: Case, grown: int) -> Growth:
        """Take note of a request that came after the warm-up, or during it with ``grown`` 0."""
        growth = self._classes[_key(case)]
        if growth.n_sent >= WARM_UP:
            growth.recent.append(case)
            growth.grown += grown
        growth.n_sent += 1
        return growth

    def judge(self, case: Case) -> list[Case]:
        """The requests to send once more, if the class grew too much over them; it begins anew."""
        growth = self._classes[_key(case)]
        self.most = max(self.most, (growth.grown, _key(case)))
        suspects = list(growth.recent) if growth.grown > ALLOWED else []
        growth.grown = 0
        growth.recent.clear()
        return suspects


def _key(case: Case) -> str:
    return f"{case.part} train" if case.trains else f"{case.part} {case.kind}"
