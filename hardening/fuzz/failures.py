"""Failing inputs as files: the exact bytes, and the fewest that still fail."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from hardening.fuzz.cases import Case, Ending
from hardening.fuzz.judge import Finding

FOLDER = Path("fuzz-failures")
# Files of findings that read alike; there would be thousands.
MOST_ALIKE = 3
MOST_TRIES = 60


class Failures:
    """Writes findings into a folder; ``n_found`` counts all, by kind."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._seed = seed
        self._alike: Counter[str] = Counter()
        self.n_found: Counter[str] = Counter()

    def add(self, finding: Finding, cases: Sequence[Case], smallest: Callable[[], Case | None]) -> str:
        """A line about the finding and its file; no line when there are enough alike."""
        self.n_found[finding.kind] += 1
        alike = finding.kind + re.sub(r"[0-9a-f]{4,}|[0-9]+", "0", finding.detail)[:120]
        self._alike[alike] += 1
        if self._alike[alike] > MOST_ALIKE:
            return ""
        # One small example is enough.
        least = smallest() if self._alike[alike] == 1 else None
        content = {
            "seed": self._seed,
            "finding": {"kind": finding.kind, "detail": finding.detail},
            "cases": [case.as_json() for case in cases],
            "smallest": None if least is None else least.as_json(),
        }
        text = json.dumps(content, indent=1)
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{finding.kind}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"
        path.write_text(text)
        return f"{finding.kind}: {cases[0].part} {cases[0].kind}: {finding.detail} -> {path}"


def read(path: Path) -> list[Case]:
    """The cases of a file, as they were sent."""
    return [Case.from_json(value) for value in json.loads(path.read_text())["cases"]]


def smallest(case: Case, fails: Callable[[Case], bool]) -> Case | None:
    """The case with as many bytes left out as can be, in one piece on a connection of its own; None if it passes then.

    fails: whether a case still does.
    """
    tries = 0
    least = replace(case, pieces=(case.data,), ending=Ending.SHUT if case.ending is Ending.KEEP else case.ending)
    if not fails(least):
        return None
    step = max(1, len(least.data) // 2)
    while step and tries < MOST_TRIES:
        start, data = 0, least.data
        while start < len(data) and tries < MOST_TRIES:
            shorter = replace(least, pieces=(data[:start] + data[start + step :],))
            tries += 1
            if shorter.data and fails(shorter):
                least, data = shorter, shorter.data
            else:
                start += step
        step //= 2
    return least
