"""``logitd predict``: predictions for a file, without a server."""

from __future__ import annotations

import csv
import glob
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.features import Features
from service.cli.places import named, shown
from service.cli.surroundings import JsonOption, StoreOption, messages, model_store, print_json
from service.errors import InvalidParameter
from service.model import Label, Prediction
from service.serving.data_plane import DataPlane
from service.serving.registry import ModelRegistry
from service.store.model_store import ModelStore, StoredModel
from service.store.names import LIVE, ModelRef
from service.tabular.spool import disk_told
from service.training.train import label_text

# Bytes of predictions that wait in memory until all are there.
IN_MEMORY = 4 << 20
# Of a cell: what spreadsheets take for the start of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


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
    excel_safe: Annotated[
        bool,
        typer.Option(
            "--excel-safe", help="An apostrophe before labels that a spreadsheet would take for a formula: = + - @."
        ),
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict each row of DATA.

    Prints CSV: the predicted label and the probability of each class.  Labels are written as they are: the file is for
    programs, see --excel-safe.
    """
    ref = ModelRef.parse(model)
    models = model_store(store)
    plane = DataPlane(ModelRegistry(models, ref.name or model))
    stored = resolved(plane, models, ref)
    check_output(data)
    features = Features(data, stored.model.schema)
    chunks = predictions(plane, stored, features, data, threshold)
    if as_json:
        print_json(in_one(list(chunks)))
    else:
        print_csv(chunks, stored.model.classes, text_of=safe_text if excel_safe else label_text)
    if features.left_out:
        messages().print(
            f"left out, not columns of the model: {', '.join(map(ascii, features.left_out))}", soft_wrap=True
        )


def predictions(
    plane: DataPlane, stored: StoredModel, features: Features, data: str, threshold: float | None
) -> Iterator[Prediction]:
    """The predictions, some rows at a time; raises the errors of reading and predicting, file and line in front."""
    n_rows = 0
    for table in features:
        with named(data, n_rows):
            yield plane.predict(stored, table, threshold=threshold)
        n_rows += table.n_rows


def in_one(parts: Sequence[Prediction]) -> dict[str, Any]:
    """All predictions as one JSON document."""
    return {
        "predictions": [label for part in parts for label in part.labels],
        "classes": parts[0].classes,
        "probabilities": [row for part in parts for row in part.probabilities.tolist()],
        "model": parts[0].model,
        "version": parts[0].version,
    }


def print_csv(parts: Iterable[Prediction], classes: Sequence[Label], text_of: Callable[[Label], str]) -> None:
    """Print CSV once all rows are predicted: of a file with a mistake nothing is printed.

    What is more than ``IN_MEMORY`` waits in a temporary file; raises OutOfMemory when there is no room for it.
    """
    with tempfile.SpooledTemporaryFile(IN_MEMORY, mode="w+", encoding="utf-8", newline="") as waiting:
        writer = csv.writer(waiting, lineterminator="\n")
        writer.writerow(["prediction", *(f"p({text_of(label)})" for label in classes)])
        for part in parts:
            rows = zip(part.labels, part.probabilities.tolist(), strict=True)
            with disk_told():
                writer.writerows([text_of(label), *map(repr, row)] for label, row in rows)
        with disk_told():
            waiting.seek(0)
        shutil.copyfileobj(waiting, sys.stdout)
    sys.stdout.flush()


def resolved(plane: DataPlane, models: ModelStore, ref: ModelRef) -> StoredModel:
    """The version that is meant, or what is wrong with it: a registry would say that nothing is live."""
    entry = models.aliases(ref.name or "").get(ref.alias or LIVE) if ref.version is None else None
    return plane.resolve(ref) if entry is None else models.load(ref.name or "", entry.version)


def safe_text(label: Label) -> str:
    """The label so that no spreadsheet takes it for a formula: an apostrophe in front where it may (OWASP)."""
    text = label_text(label)
    return f"'{text}" if isinstance(label, str) and text.startswith(FORMULA) else text


def check_output(data: str) -> None:
    """Raise InvalidParameter when standard output is a file that is to be read."""
    for path in glob.glob(data) or [data]:  # noqa: PTH207 — as the readers find them
        with suppress(OSError):
            found, written = Path(path).stat(), os.fstat(sys.stdout.fileno())
            if stat.S_ISREG(found.st_mode) and os.path.samestat(found, written):
                raise InvalidParameter(f"standard output is {shown(path)}, the file to be read; name another one")
