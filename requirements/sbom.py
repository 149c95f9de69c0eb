"""Write a bill of materials (CycloneDX 1.6, JSON) of what ``requirements/serve.lock`` installs: ``sbom.py FILE``.

cyclonedx-py reads names, versions and hashes from the lock; licences, descriptions and the graph of dependencies come
from the packages installed here, which are of the same resolution.  The two are joined, and checked against the schema.
One lock and one environment give the same bytes: there is no time and no serial number in them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

Document: TypeAlias = dict[str, Any]

PROJECT = Path(__file__).parent.parent
ROOT = "logitd"
OPTIONS = ("--spec-version", "1.6", "--output-reproducible", "--no-validate")


def described(*source: str) -> Document:
    """What cyclonedx-py says of a source; it ends this program when it fails."""
    command = [sys.executable, "-m", "cyclonedx_py", *source, *OPTIONS]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    found: Document = json.loads(done.stdout)
    return found


def bill_of_materials() -> Document:
    """The lock's packages, each with what its installation tells of it."""
    locked = described("requirements", "requirements/serve.lock")
    installed = described("environment", sys.executable, "--pyproject", "pyproject.toml")
    by_purl = {component["purl"]: component for component in installed["components"]}
    components = [joined(component, by_purl.get(component["purl"])) for component in locked["components"]]
    root = {**installed["metadata"]["component"], "bom-ref": ROOT, "version": version(ROOT)}
    return {
        **installed,
        "metadata": {**installed["metadata"], "component": root},
        "components": sorted(components, key=lambda component: str(component["purl"])),
        "dependencies": dependencies(installed, {component["purl"] for component in components}),
    }


def joined(locked: Document, installed: Document | None) -> Document:
    """One package; one that is for other platforms, and not installed here, is optional."""
    about = {"scope": "optional"} if installed is None else installed
    # The lock's description is its line.
    facts = {name: value for name, value in locked.items() if name != "description"}
    links = [*about.get("externalReferences", ()), *locked["externalReferences"]]
    return {**about, **facts, "bom-ref": locked["purl"], "externalReferences": links}


def dependencies(installed: Document, purls: set[str]) -> list[Document]:
    """Who needs whom among these packages, and what the service itself needs of them."""
    names = {component["bom-ref"]: component["purl"] for component in installed["components"]}
    names[installed["metadata"]["component"]["bom-ref"]] = ROOT
    graph: dict[str, list[str]] = {name: [] for name in (ROOT, *purls)}
    for entry in installed["dependencies"]:
        needed = (names[ref] for ref in entry.get("dependsOn", ()))
        graph[names[entry["ref"]]] = sorted(purl for purl in needed if purl in purls)
    return [{"ref": name, "dependsOn": graph[name]} for name in sorted((ROOT, *purls))]


def as_text(document: Document) -> str:
    """The file; raises ValueError when it is not what the schema of CycloneDX asks for."""
    text = json.dumps(document, indent=2, sort_keys=True) + "\n"
    flaw = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if flaw is not None:
        raise ValueError(f"the bill of materials does not fit the schema of CycloneDX: {flaw}")
    return text


def main(path: Path) -> None:
    document = bill_of_materials()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_text(document), encoding="utf-8")
    print(f"{path}: {len(document['components'])} packages")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
