"""The README as data: its commands with their output, and the table of settings, written from ``service.settings``.

``python tests/readme.py --write`` brings the table up to date.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from service.cli.config import shown
from service.settings import Settings, variable

PROJECT = Path(__file__).parent.parent
README = PROJECT / "README.md"
SETTINGS = re.compile(r"(<!-- settings: [^>]*-->\n)(.*?)(<!-- end of settings -->)", re.DOTALL)
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


def output_pattern(output: str) -> re.Pattern[str]:
    """Output as the README shows it: a line of ``…`` is any number of lines, ``…`` in a line is any text, and the
    amount of white space does not matter."""
    pattern = ""
    for line in output.splitlines():
        if line.strip() == "…":
            pattern += r"(?:.*\n)*?"
            continue
        words = r"\s*".join(re.escape(word) for word in line.split())
        pattern += r"\s*" + words.replace("…", ".*") + r"[^\S\n]*\n"
    return re.compile(pattern)


def settings_table() -> str:
    """The table of settings."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = f"`{shown(field.default)}`" if field.default != "" else ""
        rows.append(f"| `{variable(name)}` | {default} | {field.description} |")
    return "\n".join(rows) + "\n"


def with_settings(text: str) -> str:
    """The README's text with the table of settings as it should be."""
    return SETTINGS.sub(lambda found: found[1] + settings_table() + found[3], text)


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    README.write_text(with_settings(README.read_text()))
