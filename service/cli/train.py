"""``logitd train``: fit, report, store, promote."""

from __future__ import annotations

import hashlib
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import service
from service.cli.report import print_report
from service.cli.surroundings import JsonOption, StoreOption, console, messages, model_store, now, print_json
from service.errors import InvalidInput
from service.record import Provenance
from service.serving import views
from service.serving.control_plane import ControlPlane, TrainingOutcome
from service.tabular.datasets import DATASETS, load_dataset
from service.tabular.readers import read_table
from service.training.options import parse_options, parse_promotion
from service.training.request import TrainingRequest, data_with_target

NOT_CERTIFIED = 7
Text = str | None


def train(
    data: Annotated[
        str, typer.Argument(help=f"CSV or Parquet file, a glob, - for CSV on stdin, or {', '.join(DATASETS)}.")
    ],
    *,
    model: Annotated[str, typer.Option(help="Name to publish under.")],
    target: Annotated[Text, typer.Option(help="Target column; built-in data sets know theirs.")] = None,
    solver: Annotated[Text, typer.Option(help="auto, newton or gradient-descent.")] = None,
    C: Annotated[Text, typer.Option("--C", help="Inverse strength of the L2 penalty, or inf for none.")] = None,
    class_weight: Annotated[Text, typer.Option(help="balanced: classes weigh the same.")] = None,
    fit_intercept: Annotated[bool | None, typer.Option(help="Whether the logit has a constant.")] = None,
    standardize: Annotated[
        bool | None, typer.Option(help="Whether columns are scaled; default: with a penalty.")
    ] = None,
    max_iter: Annotated[Text, typer.Option(help="Largest number of steps.")] = None,
    tol: Annotated[Text, typer.Option(help="Certified gap relative to the objective to stop at.")] = None,
    learning_rate: Annotated[Text, typer.Option(help="Of gradient descent; default: a safe one.")] = None,
    missing: Annotated[Text, typer.Option(help="Missing cells: reject or impute.")] = None,
    missing_values: Annotated[Text, typer.Option(help="Words that mean a missing cell, such as NA or NA,null.")] = None,
    categorical: Annotated[Text, typer.Option(help="Columns to read as text: a,b.")] = None,
    validation_fraction: Annotated[Text, typer.Option(help="Share of the rows to hold out; default 0.2.")] = None,
    seed: Annotated[Text, typer.Option(help="Of the split.")] = None,
    promote: Annotated[str, typer.Option(help="true, false, if_better or always.")] = "true",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a model to DATA, report on it, store it, and make it live when the fit is certified."""
    given = {
        "solver": solver,
        "C": C,
        "class_weight": class_weight,
        "fit_intercept": fit_intercept,
        "standardize": standardize,
        "max_iter": max_iter,
        "tol": tol,
        "learning_rate": learning_rate,
        "missing": missing,
        "validation_fraction": validation_fraction,
        "seed": seed,
    }
    options = {name: value for name, value in given.items() if value is not None}
    with progress(as_json=as_json) as on_phase:
        on_phase("reading")
        words, text_columns = _list(missing_values), _list(categorical)
        request, digest = read_request(data, target, words, text_columns, model, options, promote)
        provenance = Provenance(
            logitd=service.__version__,
            numpy=np.__version__,
            data=Path(data).name if data not in DATASETS else data,
            data_sha256=digest,
            command=shlex.join(["logitd", *sys.argv[1:]]),
        )
        outcome = ControlPlane(model_store(store), clock=now).train(request, provenance, on_phase=on_phase)
    if as_json:
        print_json(views.training_answer(outcome))
    else:
        print_report(console(), outcome)
    raise typer.Exit(exit_code(outcome, promote))


def exit_code(outcome: TrainingOutcome, promote: str) -> int:
    """0, or 7 when promotion was wanted and did not come about."""
    return 0 if outcome.promoted or parse_promotion(promote) == "never" else NOT_CERTIFIED


def read_request(
    data: str,
    target: str | None,
    words: tuple[str, ...],
    text_columns: tuple[str, ...],
    model: str,
    options: Mapping[str, object],
    promote: str,
) -> tuple[TrainingRequest, str | None]:
    """The request that the command line describes, and the SHA-256 of a data file."""
    parsed, promotion = parse_options(options, from_text=True), parse_promotion(promote)
    digest = None
    if data in DATASETS:
        dataset = load_dataset(data)
        table, target, words = dataset.table, target or dataset.target, words or dataset.missing_values
    else:
        table = read_table(data, missing_values=words, categorical=text_columns, stdin=sys.stdin.buffer)
        digest = hashlib.sha256(Path(data).read_bytes()).hexdigest() if Path(data).is_file() else None
    if target is None:
        raise InvalidInput("--target is missing: which column is to be predicted?")
    return TrainingRequest(model, data_with_target(table, target, words), parsed, promotion), digest


@contextmanager
def progress(*, as_json: bool) -> Iterator[Callable[[str], None]]:
    """A function to tell what begins; it shows on a terminal only."""
    out = messages()
    if as_json or not out.is_terminal:
        yield lambda _phase: None
        return
    with out.status("starting") as status:
        yield lambda phase: status.update(f"{phase} …")


def _list(text: str | None) -> tuple[str, ...]:
    return tuple(word for word in (text or "").split(",") if word)
