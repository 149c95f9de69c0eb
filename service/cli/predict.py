"""``logitd predict``: predictions for a file, without a server."""

from __future__ import annotations

import csv
import sys
from typing import Annotated

import typer

from service.cli.features import read_features
from service.cli.places import named
from service.cli.surroundings import JsonOption, StoreOption, model_store, print_json
from service.serving.data_plane import DataPlane
from service.serving.registry import ModelRegistry
from service.store.model_store import ModelStore, StoredModel
from service.store.names import LIVE, ModelRef
from service.training.train import label_text


def predict(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="CSV file with a header row, Parquet file, a pattern of such, - for CSV on standard input, "
            "or a built-in data set.",
        ),
    ],
    *,
    model: Annotated[str, typer.Option(metavar="REF", help="NAME, NAME@ALIAS or NAME/VERSION.")],
    threshold: Annotated[
        float | None,
        typer.Option(metavar="P", help="Two classes: the second is predicted where its probability is above P."),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict each row of DATA.

    Prints CSV: the predicted label and the probability of each class.
    """
    ref = ModelRef.parse(model)
    models = model_store(store)
    plane = DataPlane(ModelRegistry(models, ref.name or model))
    stored = resolved(plane, models, ref)
    table = read_features(data, stored.model.schema)
    with named(data):
        prediction = plane.predict(stored, table, threshold=threshold)
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


def resolved(plane: DataPlane, models: ModelStore, ref: ModelRef) -> StoredModel:
    """The version that is meant, or what is wrong with it: a registry would say that nothing is live."""
    entry = models.aliases(ref.name or "").get(ref.alias or LIVE) if ref.version is None else None
    return plane.resolve(ref) if entry is None else models.load(ref.name or "", entry.version)
