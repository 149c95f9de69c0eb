"""The page about the logs as data: an example of each kind of line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, TypeAlias

PAGE = Path(__file__).parent.parent / "docs/logs.md"
BLOCK = re.compile(r"^```json\n(.*?)^```$", re.DOTALL | re.MULTILINE)

# A line of the log as its fields, in their order.
Line: TypeAlias = dict[str, Any]
# What tells one kind from another: who says what, about which action, with which end.
Kind: TypeAlias = tuple[str, ...]


def kind_of(line: Line) -> Kind:
    """The kind of a line."""
    kind = (line["logger"], line["event"])
    return (*kind, line["action"], line["outcome"]) if "action" in line else kind


def examples() -> dict[Kind, Line]:
    """The page's examples by their kinds."""
    found = [json.loads(text) for block in BLOCK.findall(PAGE.read_text()) for text in block.splitlines()]
    by_kind = {kind_of(line): line for line in found}
    assert len(by_kind) == len(found)
    return by_kind


def fields_of(line: Line) -> list[str]:
    """The names of a line's fields, those apart that any request may have or not."""
    return [name for name in line if name not in {"trace_id", "left_out"}]
