"""``Tally``: what was asked and what became of it, and which of it nobody could foresee."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

REFUSED, RESET, CLOSED, TIMED_OUT, WRONG = "refused", "reset", "closed", "timed out", "another answer than before"
# How a connection can end under a client when its worker is killed.
LOST = frozenset({REFUSED, RESET, CLOSED})
# From a kill to the last connection that ends by it, and for clocks that are read a little later.
KILL_S = 1.0
MOST_ODDITIES = 1000


@dataclass(frozen=True, slots=True)
class Oddity:
    """A request that got no answer that it may get; times are those of ``time.monotonic``, which all processes share."""

    kind: str
    name: str
    label: str
    began: float
    ended: float

    def is_due_to(self, kills: Iterable[float]) -> bool:
        """Whether a worker was killed while it was under way, or just before."""
        return self.label in LOST and any(self.began - KILL_S <= kill <= self.ended for kill in kills)


@dataclass(slots=True)
class Tally:
    """Counts by kind and label.  oddities: the first of them in full; all are counted."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    oddities: list[Oddity] = field(default_factory=list)
    n_odd: int = 0

    def add(self, kind: str, label: str, oddity: Oddity | None = None) -> None:
        """Count one request."""
        self.counts[kind, label] += 1
        if oddity is not None:
            self.n_odd += 1
            if len(self.oddities) < MOST_ODDITIES:
                self.oddities.append(oddity)

    def merge(self, other: Tally) -> None:
        """Add what another one counted."""
        self.counts += other.counts
        self.n_odd += other.n_odd
        self.oddities += other.oddities[: MOST_ODDITIES - len(self.oddities)]

    @property
    def total(self) -> int:
        return self.counts.total()

    def by_class(self) -> dict[str, int]:
        """How many answers of each class of statuses (``2xx``), and how many requests without one (``none``)."""
        found: Counter[str] = Counter()
        for (_, label), count in self.counts.items():
            found[f"{label[0]}xx" if label[0].isdigit() else "none"] += count
        return dict(sorted(found.items()))

    def findings(self, kills: Sequence[float]) -> list[str]:
        """A line for each sort of outcome that no kill explains."""
        unexplained = Counter((o.kind, o.name, o.label) for o in self.oddities if not o.is_due_to(kills))
        lines = [f"{kind} ({name}): {label}, {n} times" for (kind, name, label), n in sorted(unexplained.items())]
        if self.n_odd > len(self.oddities):
            lines.append(f"{self.n_odd - len(self.oddities)} oddities more than are kept")
        return lines

    def lost_in_kills(self, kills: Sequence[float]) -> int:
        """How many requests ended with the worker that had them."""
        return sum(oddity.is_due_to(kills) for oddity in self.oddities)
