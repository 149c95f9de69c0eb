"""``logitd train``: fit, report, store, promote."""

from __future__ import annotations

import hashlib
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

import service
from service.cli import machine
from service.cli.interrupts import remembered_interrupts
from service.cli.places import named, shown
from service.cli.report import print_report
from service.cli.surroundings import (
    JsonOption,
    StoreOption,
    console,
    messages,
    model_store,
    now,
    print_json,
    standard_input,
)
from service.errors import InvalidParameter, StoreUnavailable, UnreadableFile
from service.record import Provenance
from service.serving import views
from service.serving.control_plane import ControlPlane, TrainingOutcome
from service.serving.parquet_process import confined_parquet_chunks
from service.settings import MIB
from service.store.model_store import ModelStore
from service.store.names import check_name
from service.tabular.datasets import DATASETS, load_dataset
from service.tabular.readers import read_chunks
from service.tabular.schema import nearest
from service.tabular.spooled_table import gathered
from service.tabular.table import Table, Tabular
from service.training.design_rows import MEMORY_BYTES, SHARE
from service.training.options import parse_options, parse_promotion
from service.training.request import TrainingRequest, data_with_target

if TYPE_CHECKING:
    from service.training.cross_validation import CrossValidation

NOT_CERTIFIED = 7
# MiB: a matrix of less than a quarter of it is always in memory, where gradient descent on few rows has its own bits.
LEAST_MEMORY = 32
Text = str | None


def train(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="CSV file with a header row, Parquet file, a pattern of such, - for CSV on standard input, "
            f"or a built-in data set: {', '.join(DATASETS)}.",
        ),
    ],
    *,
    model: Annotated[str, typer.Option(metavar="NAME", help="Name to publish under.")],
    target: Annotated[
        Text, typer.Option(metavar="COL", help="Column to predict; built-in data sets know theirs.")
    ] = None,
    solver: Annotated[
        Text,
        typer.Option(
            metavar="WORD", help="auto (default), newton, newton-cg, row-space, prox-newton or gradient-descent."
        ),
    ] = None,
    C: Annotated[
        Text,
        typer.Option(
            "--C",
            metavar="NUMBER",
            help="Inverse strength of the penalty; default auto: by leave-one-out; inf for none.",
        ),
    ] = None,
    l1_ratio: Annotated[
        Text, typer.Option(metavar="NUMBER", help="Share of the L1 penalty, which sets coefficients to 0; default 0.")
    ] = None,
    class_weight: Annotated[
        Text, typer.Option(metavar="WORD", help="balanced: classes weigh the same; default: rows do.")
    ] = None,
    fit_intercept: Annotated[
        bool | None, typer.Option(help="Whether the logit has a constant; default: it has.")
    ] = None,
    standardize: Annotated[
        bool | None, typer.Option(help="Whether columns are scaled; default: with a penalty.")
    ] = None,
    max_iter: Annotated[Text, typer.Option(metavar="N", help="Most steps of the solver; default: its own.")] = None,
    tol: Annotated[
        Text, typer.Option(metavar="NUMBER", help="Certified gap to stop at, relative to the objective; default 1e-10.")
    ] = None,
    learning_rate: Annotated[
        Text, typer.Option(metavar="NUMBER", help="Step of gradient descent; default: a safe one.")
    ] = None,
    missing: Annotated[
        Text, typer.Option(metavar="WORD", help="What to do with missing cells: reject (default) or impute.")
    ] = None,
    missing_values: Annotated[
        Text,
        typer.Option(
            metavar="WORDS", help="Words that mean a missing cell, such as NA or NA,null; the empty cell always does."
        ),
    ] = None,
    categorical: Annotated[
        Text, typer.Option(metavar="COLS", help="Columns to read as text although they hold numbers: a,b.")
    ] = None,
    validation_fraction: Annotated[
        Text, typer.Option(metavar="NUMBER", help="Share of the rows to hold out, default 0.2.")
    ] = None,
    seed: Annotated[Text, typer.Option(metavar="N", help="Of the split, default 0.")] = None,
    folds: Annotated[
        int | None, typer.Option(metavar="K", min=2, max=100, help="Also cross-validate on all rows with K folds.")
    ] = None,
    memory: Annotated[
        int | None,
        typer.Option(
            metavar="MIB",
            min=LEAST_MEMORY,
            help="Memory for rows; more of them are kept in a temporary file (TMPDIR).  Default: a quarter of what "
            "there is, at most 1024.",
        ),
    ] = None,
    promote: Annotated[
        str,
        typer.Option(
            metavar="WORD",
            help="When to make it live: true (certified), if_better (than the live version), always, false.",
        ),
    ] = "true",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a model, report on it, store it.

    The new version becomes live when the fit is certified; else the exit code is 7.
    """
    given = {
        "solver": solver,
        "C": C,
        "l1_ratio": l1_ratio,
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
    with progress() as on_phase:
        # What can be known to fail is looked at before the work.
        check_name(model)
        models = writable_store(store)
        words, text_columns = _list(missing_values), _list(categorical)
        reading = Reading(words, text_columns, memory_for_rows(memory), on_phase)
        request, digest = read_request(data, target, reading, model, options, promote)
        provenance = Provenance(
            logitd=service.__version__,
            numpy=np.__version__,
            data=Path(data).name if data not in DATASETS else data,
            data_sha256=digest,
            command=shlex.join(["logitd", *sys.argv[1:]]),
        )
        with named(data):
            # First, so that folds that are refused store nothing.
            validation = None if folds is None else cross_validation(request, folds, reading)
            outcome = ControlPlane(models, clock=now).train(
                request, provenance, on_phase=on_phase, memory_bytes=reading.memory_bytes
            )
    if as_json:
        by_fold = {} if validation is None else {"cross_validation": validation.as_json()}
        print_json({**views.training_answer(outcome), **by_fold})
    else:
        print_report(console(), outcome, validation)
    raise typer.Exit(exit_code(outcome, promote))


def memory_for_rows(mebibytes: int | None) -> int:
    """Bytes: as told, or what a machine, a container or ``ulimit`` leaves room for."""
    if mebibytes is not None:
        return mebibytes * MIB
    return min(MEMORY_BYTES, max(LEAST_MEMORY * MIB, machine.memory_bytes() // 4))


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read a file: the words for missing cells, the columns to read as text, the memory for rows, whom to tell."""

    words: tuple[str, ...]
    text_columns: tuple[str, ...]
    memory_bytes: int
    on_phase: Callable[[str], None]

    def told(self, chunks: Iterable[Table]) -> Iterator[Table]:
        """The chunks, with word of how many rows there have been."""
        n_rows = 0
        for chunk in chunks:
            yield chunk
            n_rows += chunk.n_rows
            self.on_phase(f"reading, {n_rows:,} rows")


def cross_validation(request: TrainingRequest, folds: int, reading: Reading) -> CrossValidation:
    """The folds of the request's rows, on all processors."""
    from service.training.cross_validation import cross_validate  # noqa: PLC0415 — joblib takes 0.1 s to import

    reading.on_phase("cross-validating")
    return cross_validate(request.data, request.options, folds, jobs=-1, memory_bytes=reading.memory_bytes)


def writable_store(store: str | None) -> ModelStore:
    """The store, when a version can be published there; raises StoreUnavailable."""
    models = model_store(store)
    if not models.is_writable():
        raise StoreUnavailable("the directory of the model store cannot be written; name another with --store")
    return models


def exit_code(outcome: TrainingOutcome, promote: str) -> int:
    """0, or 7 when promotion was wanted and did not come about."""
    return 0 if outcome.promoted or parse_promotion(promote) == "never" else NOT_CERTIFIED


def read_request(
    data: str,
    target: str | None,
    reading: Reading,
    model: str,
    options: Mapping[str, object],
    promote: str,
) -> tuple[TrainingRequest, str | None]:
    """The request that the command line describes, and the SHA-256 of a data file."""
    parsed, promotion = parse_options(options, from_text=True), parse_promotion(promote)
    table: Tabular
    digest, words = None, reading.words
    if data in DATASETS:
        if reading.text_columns:
            raise InvalidParameter("--categorical is for files: the columns of a built-in data set have their kinds")
        dataset = load_dataset(data)
        table, target, words = dataset.table, target or dataset.target, words or dataset.missing_values
    else:
        check_meant(data)
        if target is None:
            raise InvalidParameter("--target is missing: which column is to be predicted?")
        table, digest = read_file(data, target, reading)
    with named(data):
        return TrainingRequest(model, data_with_target(table, target, words), parsed, promotion), digest


def check_meant(data: str) -> None:
    """Raise UnreadableFile with the nearest name for a built-in data set that is spelt wrong."""
    near = nearest(data, DATASETS)
    if near is not None and "." not in data and not Path(data).exists():
        raise UnreadableFile(f"cannot read {shown(data)}: no such file or built-in data set", hint=near)


def read_file(data: str, target: str, reading: Reading) -> tuple[Tabular, str | None]:
    """The table, on disk when it is large, and the SHA-256 of a single file."""
    chunks = read_chunks(
        data,
        stdin=standard_input(data),
        missing_values=reading.words,
        categorical=reading.text_columns,
        target=target,
        parquet=confined_parquet_chunks,
    )
    table = gathered(reading.told(chunks), memory_bytes=reading.memory_bytes // SHARE)
    if not Path(data).is_file():
        return table, None
    with Path(data).open("rb") as stream:
        return table, hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A function to tell what begins; it shows on a terminal only, with the time since the start.

    It raises KeyboardInterrupt when a Ctrl-C was lost: nothing is stored after one.
    """
    columns = (SpinnerColumn(), TextColumn("{task.description} …", markup=False), TimeElapsedColumn())
    out = messages()
    with (
        remembered_interrupts() as check,
        Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar,
    ):
        task = bar.add_task("reading", total=None)

        def tell(phase: str) -> None:
            check()
            bar.update(task, description=phase)

        yield tell


def _list(text: str | None) -> tuple[str, ...]:
    return tuple(word for word in (text or "").split(",") if word)
