"""``logitd predict``: predictions for a file, without a server."""

from __future__ import annotations

import csv
import sys
from typing import Annotated

import typer

from service.cli.surroundings import JsonOption, StoreOption, messages, model_store, print_json
from service.errors import ServiceError
from service.model import Model
from service.serving.data_plane import DataPlane
from service.serving.registry import ModelRegistry
from service.store.names import ModelRef
from service.tabular.datasets import DATASETS, load_dataset
from service.tabular.readers import read_table
from service.tabular.schema import CategoricalFeature
from service.tabular.table import Table
from service.training.train import label_text


def predict(
    data: Annotated[
        str, typer.Argument(help="CSV or Parquet file, a glob, - for CSV on stdin, or a built-in data set.")
    ],
    *,
    model: Annotated[str, typer.Option(help="NAME, NAME@ALIAS or NAME/VERSION.")],
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Two classes: p above it is the second.")
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a CSV row for each row of DATA: the predicted label and the probability of each class."""
    ref = ModelRef.parse(model)
    plane = DataPlane(ModelRegistry(model_store(store), ref.name or model))
    stored = plane.resolve(ref)
    prediction = plane.predict(stored, read_features(data, stored.model), threshold=threshold)
    if as_json:
        print_json(
            {
                "predictions": prediction.labels,
                "classes": prediction.classes,
                "probabilities": prediction.probabilities.tolist(),
                "model": prediction.model,
                "version": prediction.version,
            }
        )
        return
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["prediction", *(f"p({label_text(label)})" for label in prediction.classes)])
    for label, row in zip(prediction.labels, prediction.probabilities.tolist(), strict=True):
        writer.writerow([label_text(label), *map(repr, row)])
    sys.stdout.flush()


def read_features(data: str, model: Model) -> Table:
    """The columns of the file that the model knows; others, such as the target, are left out and named on stderr."""
    text = [feature.name for feature in model.schema.features if isinstance(feature, CategoricalFeature)]
    table = load_dataset(data).table if data in DATASETS else read_with(data, model.schema.missing_values, text)
    extra = [name for name in table.names if name not in model.schema.names]
    for name in extra:
        table = table.without(name)
    if extra:
        messages().print(f"left out, not columns of the model: {', '.join(map(ascii, extra))}", soft_wrap=True)
    return table


def read_with(data: str, missing_values: tuple[str, ...], text: list[str]) -> Table:
    """The file with the model's words for missing cells and its text columns, as far as the file has them."""
    try:
        return read_table(data, missing_values=missing_values, categorical=text, stdin=sys.stdin.buffer)
    except ServiceError as error:
        if "declared categorical" not in error.detail:
            raise
        return read_table(data, missing_values=missing_values, categorical=(), stdin=sys.stdin.buffer)
