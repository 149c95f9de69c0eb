"""The built-in data sets, by name."""

from __future__ import annotations

from collections.abc import Callable

from service.errors import UnreadableFile, quoted
from service.tabular.datasets.dataset import Dataset
from service.tabular.datasets.generated import moons, random, spiral
from service.tabular.datasets.shipped import breast_cancer, iris, iris_binary, penguins
from service.tabular.schema import nearest

__all__ = ["DATASETS", "Dataset", "load_dataset"]

_LOADERS: dict[str, Callable[[], Dataset]] = {
    "iris": iris,
    "iris-binary": iris_binary,
    "breast-cancer": breast_cancer,
    "penguins": penguins,
    "moons": moons,
    "spiral": spiral,
    "random": random,
}
DATASETS = tuple(_LOADERS)


def load_dataset(name: str) -> Dataset:
    """The built-in data set of this name, one of ``DATASETS``.  Raises UnreadableFile with the nearest name."""
    loader = _LOADERS.get(name)
    if loader is None:
        raise UnreadableFile(
            f"{quoted(name)} is not a built-in data set; there are {', '.join(DATASETS)}", hint=nearest(name, DATASETS)
        )
    return loader()
