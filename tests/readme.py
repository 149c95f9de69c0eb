"""The README as data: its commands with their output, and its tables; and the page of the settings.

``python tests/readme.py --write`` brings the tables up to date.
"""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving import summary as serving
from benchmarks.training.summary import committed, with_summary
from service.cli.config import shown
from service.settings import SETTINGS, variable

PROJECT = Path(__file__).parent.parent
README = PROJECT / "README.md"
SETTINGS_PAGE = PROJECT / "docs" / "settings.md"
SETTINGS_TABLE = re.compile(r"(<!-- settings: [^>]*-->\n)(.*?)(<!-- end of settings -->)", re.DOTALL)
MANY_DIGITS = re.compile(r"\d+\.\d{8,}(?:e-?\d+)?")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Command:
    """A line after ``$`` in a console block, and the output that the README shows for it."""

    line: str
    output: str


def fences(language: str) -> list[str]:
    """The contents of the fenced blocks of this language, in order."""
    return [body for found, body in FENCE.findall(README.read_text()) if found == language]


def commands() -> list[Command]:
    """Every command of every console block, in order."""
    found: list[Command] = []
    for block in fences("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, output = part.partition("\n")
            found.append(Command(line.partition("    #")[0].strip(), output))
    return found


def shows(output: str, printed: str) -> bool:
    """Whether ``printed`` begins with ``output`` as the README shows it.

    A line of ``…`` is any number of lines, ``…`` in a line any text, and the amount of white space does not matter.
    Numbers of many digits agree to 1e-9: the last digits of an exponential belong to the processor.
    """
    found = _pattern(output).match(printed)
    if found is None:
        return False
    expected = map(float, MANY_DIGITS.findall(output))
    return all(math.isclose(a, float(b), rel_tol=1e-9) for a, b in zip(expected, found.groups(), strict=True))


def _pattern(output: str) -> re.Pattern[str]:
    pattern = ""
    for line in output.splitlines():
        if line.strip() == "…":
            pattern += r"(?:.*\n)*?"
            continue
        words = r"\s*".join(map(_word_pattern, line.split()))
        pattern += r"\s*" + words + r"[^\S\n]*\n"
    return re.compile(pattern)


def _word_pattern(word: str) -> str:
    between = (re.escape(text).replace("…", ".*") for text in MANY_DIGITS.split(word))
    return f"({MANY_DIGITS.pattern})".join(between)


def settings_table() -> str:
    """The table of settings."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, setting in SETTINGS.items():
        default = f"`{shown(setting.default)}`" if setting.default != "" else ""
        rows.append(f"| `{variable(name)}` | {default} | {setting.description} |")
    return "\n".join(rows) + "\n"


def with_settings(text: str) -> str:
    """The text of the settings' page with its table as it should be."""
    return SETTINGS_TABLE.sub(lambda found: found[1] + settings_table() + found[3], text)


def with_tables(text: str) -> str:
    """The README's text with every table as it should be."""
    return serving.with_summary(with_summary(text, committed()), serving.committed())


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    README.write_text(with_tables(README.read_text()))
    SETTINGS_PAGE.write_text(with_settings(SETTINGS_PAGE.read_text()))
