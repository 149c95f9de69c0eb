"""What was sent and answered, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from hardening.fuzz.answers import Answer
from hardening.fuzz.judge import Finding

CLASSES = ("2xx", "3xx", "4xx", "5xx", "none")


@dataclass(slots=True)
class Tally:
    """Counters by part: requests, answers by class of status (``none``: no answer), findings; and slugs by status."""

    sent: Counter[str] = field(default_factory=Counter)
    answered: Counter[tuple[str, str]] = field(default_factory=Counter)
    slugs: Counter[tuple[int, str]] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    excused: int = 0

    def add(self, part: str, answers: Iterable[Answer], findings: Iterable[Finding]) -> None:
        """Count one exchange."""
        self.sent[part] += 1
        statuses = [answer.status for answer in answers]
        self.answered.update((part, f"{status // 100}xx") for status in statuses)
        self.answered[part, "none"] += not statuses
        self.slugs.update((answer.status, answer.slug) for answer in answers if answer.slug)
        self.found[part] += len(list(findings))

    def lines(self) -> list[str]:
        """The table, and the slugs by status."""
        rows = [f"{'part':10}{'requests':>10}" + "".join(f"{name:>9}" for name in CLASSES) + f"{'findings':>10}"]
        for part, n_sent in self.sent.items():
            counts = "".join(f"{self.answered[part, name]:9}" for name in CLASSES)
            rows.append(f"{part:10}{n_sent:10}{counts}{self.found[part]:10}")
        for status in sorted({status for status, _ in self.slugs}):
            named = Counter({slug: count for (one, slug), count in self.slugs.items() if one == status})
            rows.append(f"{status}: " + ", ".join(f"{slug} {count}" for slug, count in named.most_common()))
        return rows
