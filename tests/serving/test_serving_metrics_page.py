"""The page about the metrics says what there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from metrics_page import PAGE, with_tables

from service.serving.metrics import METRICS


def test_the_page_is_the_list_of_metrics() -> None:
    """The tables of ``docs/metrics.md`` are the list; ``python tests/metrics_page.py --write`` mends them."""
    text = PAGE.read_text()

    assert with_tables(text) == text
    assert [metric.name for metric in METRICS if f"| `{metric.name}` |" not in text] == []


def test_the_questions_are_questions(tmp_path: Path) -> None:
    """``promtool check rules`` can read each expression of the page, and each is about a metric that exists."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool, of the package prometheus, is not installed")
    questions = re.findall(
        r"^\| [^`|]* \| `(.*)` \|$", PAGE.read_text().partition("## Useful questions")[2], re.MULTILINE
    )
    rules = [{"record": f"question:{number}", "expr": question} for number, question in enumerate(questions)]
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"groups": [{"name": "questions", "rules": rules}]}))

    checked = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stderr
    assert len(questions) >= 5
    assert [question for question in questions if not any(metric.name in question for metric in METRICS)] == []
