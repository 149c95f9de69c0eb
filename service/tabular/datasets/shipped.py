"""The data sets that ship as CSV files beside this module."""

from __future__ import annotations

from importlib import resources

import numpy as np

from service.tabular.csv_reader import read_csv
from service.tabular.datasets.dataset import Dataset
from service.tabular.table import Table

_IRIS_SOURCE = (
    "R. A. Fisher, Annals of Eugenics 7(2), 1936; the copy of scikit-learn, whose values are those of Fisher's paper"
)


def iris() -> Dataset:
    return Dataset(
        name="iris",
        table=_read("iris.csv"),
        target="species",
        description="150 irises of three species, four lengths in centimetres",
        source=_IRIS_SOURCE,
        licence="CC BY 4.0 (UCI Machine Learning Repository)",
    )


def iris_binary() -> Dataset:
    """Setosa against the rest by the sepal alone, where a line separates them: no finite optimum without a penalty."""
    table = iris().table
    is_setosa = np.asarray(table.column("species") == "setosa", dtype=np.float64)
    return Dataset(
        name="iris-binary",
        table=Table((*table.names[:2], "setosa"), (*table.columns[:2], is_setosa), table.n_rows),
        target="setosa",
        description="150 irises, setosa (1) against the rest (0), two lengths in centimetres",
        source=_IRIS_SOURCE,
        licence="CC BY 4.0 (UCI Machine Learning Repository)",
    )


def breast_cancer() -> Dataset:
    return Dataset(
        name="breast-cancer",
        table=_read("breast_cancer.csv"),
        target="diagnosis",
        description="569 breast masses, malignant or benign, 30 measures of their cell nuclei",
        source="W. H. Wolberg, W. N. Street and O. L. Mangasarian, Breast Cancer Wisconsin (Diagnostic), 1995",
        licence="CC BY 4.0 (UCI Machine Learning Repository)",
    )


def penguins() -> Dataset:
    return Dataset(
        name="penguins",
        table=_read("penguins.csv", missing_values=("NA",)),
        target="species",
        description="344 penguins of three species, with text columns and missing cells",
        source="K. B. Gorman, T. D. Williams and W. R. Fraser, PLoS ONE 9(3), 2014, doi 10.1371/journal.pone.0090081; "
        "prepared by A. M. Horst, A. P. Hill and K. B. Gorman (palmerpenguins)",
        licence="CC0",
        missing_values=("NA",),
    )


def _read(file_name: str, missing_values: tuple[str, ...] = ()) -> Table:
    content = resources.files(__package__).joinpath(file_name).read_bytes()
    return read_csv(content, name=file_name, missing_values=missing_values)
