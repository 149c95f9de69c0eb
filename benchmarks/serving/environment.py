"""An environment of its own for each peer, made by pip, and what it weighs."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TypeAlias

PROJECT = Path(__file__).parents[2]
ROOT = PROJECT / ".venv-bench-serving"
# The pip of this environment works for the others, so that none of them weighs its own.
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")

# Arguments of `pip install`, one tuple a call.
Installs: TypeAlias = tuple[tuple[str, ...], ...]


class NotInstalled(Exception):
    """A peer that pip could not install; the message is the last line of what pip said."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Where programs and packages of an environment are."""

    programs: Path
    packages: Path

    def version(self, distribution: str) -> str:
        """The version of an installed distribution; raises StopIteration without one."""
        found = metadata.distributions(name=distribution, path=[str(self.packages)])
        return next(iter(found)).version

    def mib(self) -> float:
        """What the packages take on the disk, as ``du`` counts it."""
        files = (Path(folder) / name for folder, _, names in os.walk(self.packages) for name in names)
        return sum(file.lstat().st_blocks for file in files) * 512 / 2**20


def this_environment() -> Environment:
    """The environment that the benchmark itself runs in."""
    return Environment(Path(sys.executable).parent, Path(sysconfig.get_path("purelib")))


def installed(name: str, installs: Installs, root: Path = ROOT) -> Environment:
    """The environment of a name, made anew when what it is made from has changed; raises NotInstalled."""
    folder = root / name
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    environment = Environment(folder / "bin", folder / "lib" / version / "site-packages")
    stamp, state = folder / "installed", _state(installs)
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == state:
        return environment
    print(f"{name}: installing into {folder}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=False)
    for arguments in installs:
        _install(environment, arguments)
    stamp.write_text(state, encoding="utf-8")
    return environment


def _install(environment: Environment, arguments: tuple[str, ...]) -> None:
    command = [*PIP, "--python", str(environment.programs / "python"), "install", *arguments]
    done = subprocess.run(command, cwd=PROJECT, check=False, capture_output=True, text=True)
    if done.returncode:
        raise NotInstalled((done.stderr.strip().splitlines() or ["pip failed without a word"])[-1])


def _state(installs: Installs) -> str:
    """A digest of the arguments, and of the files that they name."""
    parts = [word for arguments in installs for word in arguments]
    contents = [(PROJECT / word).read_bytes() for word in parts if (PROJECT / word).is_file()]
    return hashlib.sha256(b"\n".join([*map(str.encode, parts), *contents])).hexdigest()
