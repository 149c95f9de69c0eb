"""The page about the metrics as data: its tables are made from the list of metrics.

``python tests/metrics_page.py --write`` brings the page up to date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from service.serving.metrics import METRICS

PAGE = Path(__file__).parent.parent / "docs/metrics.md"
TABLE = re.compile(r"(<!-- (metrics|buckets): [^>]*-->\n)(.*?)(<!-- end of \2 -->)", re.DOTALL)


def metrics_table() -> str:
    """Every metric with its kind, its labels and its meaning."""
    rows = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |")
    return "\n".join(rows) + "\n"


def buckets_table() -> str:
    """The upper bounds of each histogram."""
    bounds = {metric.name: " ".join(map(repr, metric.buckets)) for metric in METRICS if metric.buckets}
    rows = [f"| `{name}` | {listed} |" for name, listed in bounds.items()]
    return "\n".join(["| histogram | buckets |", "|---|---|", *rows]) + "\n"


def with_tables(text: str) -> str:
    """The page's text with its tables as they should be."""
    tables = {"metrics": metrics_table(), "buckets": buckets_table()}
    return TABLE.sub(lambda found: found[1] + tables[found[2]] + found[4], text)


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    PAGE.write_text(with_tables(PAGE.read_text()))
