"""The bill of materials: everything that the serving lock names, and what a reader wants to know of it."""

from __future__ import annotations

import json
import re
import runpy
from typing import Any

import pytest
from readme import PROJECT

import service

pytest.importorskip("cyclonedx_py", reason="`make check` installs what writes the bill of materials")

LOCK = (PROJECT / "requirements/serve.lock").read_text()
LINE = re.compile(r"^([a-z0-9-]+)==(\S+)(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
SBOM = runpy.run_path(str(PROJECT / "requirements/sbom.py"))


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The bill of materials, as ``make sbom`` makes it."""
    made: dict[str, Any] = SBOM["bill_of_materials"]()
    return made


def purl(package: str, version: str) -> str:
    return f"pkg:pypi/{package}@{version}"


def test_every_locked_package_is_named_with_its_hashes(document: dict[str, Any]) -> None:
    """All of ``serve.lock``, each at its version with every hash, and nothing else."""
    locked = {purl(package, version): set(HASH.findall(rest)) for package, version, rest in LINE.findall(LOCK)}

    named = {
        component["purl"]: {
            digest["content"] for link in component["externalReferences"] for digest in link.get("hashes", ())
        }
        for component in document["components"]
    }

    assert len(locked) > 20
    assert all(locked.values())
    assert named == locked
    assert all(component["purl"].endswith(f"@{component['version']}") for component in document["components"])


def test_licences_are_those_of_the_packages(document: dict[str, Any]) -> None:
    """What is installed tells its licence, where its author does; what is for other platforms is optional."""
    silent = {component["name"] for component in document["components"] if not component.get("licenses")}
    fastapi = next(component for component in document["components"] if component["name"] == "fastapi")

    assert fastapi["licenses"][0] == {"license": {"acknowledgement": "declared", "id": "MIT"}}
    assert {component["name"] for component in document["components"] if component.get("scope")} <= silent
    assert silent <= {"colorama", "pysimdjson"}


def test_the_graph_leads_from_the_service_to_its_packages(document: dict[str, Any]) -> None:
    """The service needs what pyproject.toml says, that needs what its own metadata say, and every node is listed."""
    needs = {entry["ref"]: entry["dependsOn"] for entry in document["dependencies"]}
    names = {ref: {found.split("/")[1].partition("@")[0] for found in needed} for ref, needed in needs.items()}
    packages = {
        component["purl"].split("/")[1].partition("@")[0]: component["purl"] for component in document["components"]
    }

    assert needs.keys() == {"logitd", *packages.values()}
    assert {"fastapi", "numpy", "uvicorn"} <= names["logitd"]
    assert {"starlette", "pydantic"} <= names[packages["fastapi"]]
    assert document["metadata"]["component"]["version"] == service.__version__


def test_it_fits_the_schema_and_is_the_same_each_time(document: dict[str, Any]) -> None:
    """CycloneDX's own schema accepts it; a second one has the same bytes, with neither time nor serial number."""
    text = SBOM["as_text"](document)

    assert json.loads(text) == document
    assert SBOM["bill_of_materials"]() == document
    assert "serialNumber" not in document
    assert "timestamp" not in document["metadata"]


def test_what_does_not_fit_the_schema_is_not_written(document: dict[str, Any]) -> None:
    """A document with a flaw is an error, and no file."""
    with pytest.raises(ValueError, match="does not fit the schema"):
        SBOM["as_text"]({**document, "components": [{"name": "nameless type"}]})
