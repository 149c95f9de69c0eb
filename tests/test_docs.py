"""Documentation that cannot lie: what the README, the ADRs and the docstrings promise is held against the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from readme import PROJECT, README, SETTINGS_PAGE, commands, settings_table, with_settings

from benchmarks.serving import summary as serving
from benchmarks.training.summary import committed, summary_table, with_summary
from service.linear.columns import Block, Columns
from service.linear.objective import Objective
from service.linear.solver import Solver
from service.settings import Settings
from service.store.model_store import ModelStore
from service.web.app import create_app

SOURCES = sorted((PROJECT / "service").rglob("*.py"))
TESTS = sorted((PROJECT / "tests").rglob("test_*.py"))
TEXT = README.read_text()
# Inner functions of a few lines explain themselves; everything longer is a contract.
LONGEST_WITHOUT_DOCSTRING = 12
LONGEST_FILE = 350
# The contract of these stands once, in ``Objective`` and ``Solver``.
DOCUMENTED_BY_PROTOCOL = {
    name for protocol in (Objective, Solver, Columns, Block) for name in vars(protocol) if not name.startswith("_")
}


def relative(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def definitions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node


def test_readme_is_short_and_comes_to_the_point() -> None:
    """At most 200 lines, the two commands by line 12, a curl with its output by line 25."""
    lines = TEXT.splitlines()
    where = {line.line: next(i for i, text in enumerate(lines, 1) if line.line in text) for line in commands()}

    assert len(lines) <= 200
    assert where["make serve"] <= 12
    assert where["make test"] <= 12
    assert next(i for line, i in where.items() if line.startswith("curl")) + 1 <= 25


def test_settings_table_is_the_settings() -> None:
    """The page's table is what ``service.settings`` says; ``python tests/readme.py --write`` mends it."""
    text = SETTINGS_PAGE.read_text()

    assert with_settings(text) == text
    assert settings_table() in text


def test_training_times_are_the_committed_results() -> None:
    """The README's table is what ``results.json`` gives; ``python tests/readme.py --write`` mends it."""
    assert with_summary(TEXT, committed()) == TEXT
    assert summary_table(committed()) in TEXT


def test_serving_figures_are_the_committed_results() -> None:
    """The README's table of servers is what ``results.json`` gives; ``python tests/readme.py --write`` mends it."""
    assert serving.with_summary(TEXT, serving.committed()) == TEXT
    assert serving.summary_table(serving.committed()) in TEXT


def test_every_route_is_in_the_readme(tmp_path: Path) -> None:
    """Each path of the OpenAPI document stands in the README's table."""
    app = create_app(Settings(), ModelStore(tmp_path), {})
    routes = TEXT.partition("## HTTP")[2].partition("## Python")[0]

    missing = [path for path in app.openapi()["paths"] if path.rpartition("/")[2] not in routes]

    assert missing == []


@pytest.mark.parametrize("option", ["list", "show", "promote", "rollback", "verify", "sign", "delete"])
def test_every_models_command_is_in_the_readme(option: str) -> None:
    """The commands below ``logitd models`` stand in the README."""
    assert re.search(rf"logitd models [a-z|]*{option}", TEXT)


def test_links_lead_somewhere() -> None:
    """Relative links in the project's Markdown files point to files."""
    broken = [
        f"{relative(page)}: {target}"
        for page in [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")]
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
        if not (page.parent / target).exists()
    ]

    assert broken == []


def test_decisions_are_short_and_whole() -> None:
    """An ADR has at most 40 lines, a status, context, decision and consequences."""
    for page in sorted((PROJECT / "docs/adr").glob("*.md")):
        text = page.read_text()

        assert len(text.splitlines()) <= 40, page.name
        assert [part for part in ("Status:", "## Context", "## Decision", "## Consequences") if part not in text] == []


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_public_names_have_contracts(path: Path) -> None:
    """Every module that holds code, and every public class and longer public function, has a docstring."""
    tree = ast.parse(path.read_text())
    undocumented = [
        node.name
        for node in definitions(path)
        if not node.name.startswith("_")
        and node.name not in DOCUMENTED_BY_PROTOCOL
        and ast.get_docstring(node) is None
        and (isinstance(node, ast.ClassDef) or (node.end_lineno or 0) - node.lineno > LONGEST_WITHOUT_DOCSTRING)
    ]

    assert not tree.body or ast.get_docstring(tree), "the module has no docstring"
    assert undocumented == []


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_every_test_states_its_behaviour(path: Path) -> None:
    """Each test has a docstring: it is the specification."""
    silent = [n.name for n in definitions(path) if n.name.startswith("test_") and ast.get_docstring(n) is None]

    assert silent == []


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=relative)
def test_files_hold_one_idea(path: Path) -> None:
    """No file is longer than 350 lines."""
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


def test_functions_are_short() -> None:
    """The median function has at most ten lines."""
    lengths = sorted(
        (node.end_lineno or 0) - node.body[0].lineno + 1
        for path in SOURCES
        for node in definitions(path)
        if not isinstance(node, ast.ClassDef)
    )

    assert lengths[len(lengths) // 2] <= 10


def test_public_surface_is_pinned() -> None:
    """``import service`` offers the estimator and the version, and nothing else by accident."""
    import service  # noqa: PLC0415 — what is tested is the import

    assert service.__all__ == ["LogisticRegression", "__version__"]
    assert service.LogisticRegression.__module__ == "service.linear.estimator"
    assert not hasattr(service, "nothing_of_this_name")
