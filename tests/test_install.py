"""What an installation for serving holds: little, and none of the peers that tests and benchmarks use."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from readme import PROJECT

NOT_SERVED = {"scikit-learn", "scipy", "pandas", "pyarrow", "statsmodels", "torch", "matplotlib"}
FOR_SIGNATURES = {"cffi", "cryptography", "pycparser"}
MOST_BYTES = 120 * 2**20


def locked(lock: str = "serve") -> list[str]:
    """The packages of an install, by its lock: that for serving, unless told."""
    return re.findall(r"^([a-z0-9-]+)==", (PROJECT / f"requirements/{lock}.lock").read_text(), re.MULTILINE)


def installed_bytes(name: str) -> int:
    """What ``pip install --no-compile`` writes of a package; nothing when it is not for this platform."""
    try:
        files = distribution(name).files or []
    except PackageNotFoundError:
        return 0
    paths = (Path(str(file.locate())) for file in files if file.suffix != ".pyc")
    return sum(path.stat().st_size for path in paths if path.is_file())


def test_serving_install_is_small() -> None:
    """The locked packages take less than 120 MiB, and no scientific stack is among them."""
    names = locked()

    assert len(names) > 20
    assert NOT_SERVED.isdisjoint(names)
    assert sum(map(installed_bytes, names)) < MOST_BYTES


def test_image_can_check_signatures() -> None:
    """Nobody can install into the image, so it holds what signed models need besides the serving install."""
    assert set(locked("image")) - set(locked()) == FOR_SIGNATURES
    assert set(locked()) <= set(locked("image"))
    assert "image.lock" in (PROJECT / "Dockerfile").read_text()
