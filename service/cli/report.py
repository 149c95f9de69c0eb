"""The report of a training, for people."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from service.cli.surroundings import harmless
from service.record import LeaveOneOutRecord, Metrics
from service.serving import views
from service.serving.control_plane import TrainingOutcome

if TYPE_CHECKING:
    from service.training.cross_validation import CrossValidation

MAX_COEFFICIENTS = 40
# More do not fit side by side on a terminal.
MAX_CLASSES = 10
MEANINGS = {
    "separation": "the classes can be told apart without error: without a penalty no finite optimum exists",
    "constant-column": "a column has one value in all training rows, and tells nothing",
    "collinear": "some columns are combinations of others; their coefficients are not unique without a penalty",
    "not-converged": "the optimum was not certified; see the certificate",
}


def print_report(out: Console, outcome: TrainingOutcome, validation: CrossValidation | None = None) -> None:
    """Metrics, coefficients, the certificate, warnings, the promotion, and what to do next."""
    manifest = outcome.manifest
    summary = (
        f"  {manifest.training.rows} training rows, penalty: {manifest.training.penalty}, {outcome.seconds:.2f} s\n"
    )
    out.print(Text.assemble((f"{manifest.name}/{manifest.version}", "bold"), summary), soft_wrap=True)
    out.print(metrics_table(manifest.metrics.training, manifest.metrics.held_out, manifest.training.leave_one_out))
    if len(manifest.classes) <= MAX_CLASSES:
        out.print(confusion_table(outcome))
    else:
        out.print(f"\nconfusion matrix of {len(manifest.classes)} classes: logitd models show --json", soft_wrap=True)
    if validation is not None:
        out.print(cross_validation_line(validation), soft_wrap=True)
    for line in leave_one_out_lines(manifest.training.leave_one_out):
        out.print(line, soft_wrap=True)
    out.print(coefficient_table(outcome))
    out.print(certificate_line(outcome), soft_wrap=True)
    for warning in manifest.warnings:
        out.print(Text.assemble((f"warning {warning}", "yellow"), f": {MEANINGS[warning]}"), soft_wrap=True)
    state = ("live now", "green") if outcome.promoted else ("stored, not live", "yellow")
    out.print(Text.assemble(state, f": {outcome.promotion}"), soft_wrap=True)
    out.print(f"next: {next_command(outcome)}", soft_wrap=True)


def number_column(title: str) -> Column:
    return Column(title, justify="right", no_wrap=True)


def metrics_table(training: Metrics, held_out: Metrics | None, leave_one_out: LeaveOneOutRecord | None) -> Table:
    """One row for each set of predictions; leave-one-out are those of the training rows by fits without them."""
    titles = ("rows", "accuracy", "log-loss", "Brier", "ROC AUC", "F1 (macro)")
    table = Table("", *map(number_column, titles), box=None, pad_edge=False)
    for title, metrics in (("training", training), ("held out", held_out)):
        if metrics is None:
            continue
        table.add_row(title, str(metrics.rows), *main_numbers(metrics), f"{metrics.f1_macro:.4f}")
    if leave_one_out is not None:
        table.add_row("leave-one-out", str(training.rows), *main_numbers(leave_one_out), "–")
    return table


def main_numbers(metrics: Metrics | LeaveOneOutRecord) -> tuple[str, str, str, str]:
    """Accuracy, log-loss, Brier score and ROC AUC."""
    auc = "–" if metrics.roc_auc is None else f"{metrics.roc_auc:.4f}"
    return f"{metrics.accuracy:.4f}", f"{metrics.log_loss:.4f}", f"{metrics.brier:.4f}", auc


def cross_validation_line(validation: CrossValidation) -> str:
    """Mean ± standard deviation over the folds; a metric that some fold does not define is left out."""
    found = {name: validation.mean_and_deviation(name) for name in ("accuracy", "log_loss", "roc_auc")}
    words = (f"{name} {pair[0]:.4f} ± {pair[1]:.4f}" for name, pair in found.items() if pair is not None)
    return f"\ncross-validation ({len(validation.folds)} folds, mean ± sd): {', '.join(words)}"


def leave_one_out_lines(leave_one_out: LeaveOneOutRecord | None) -> list[str]:
    """The calibration and the thresholds of two classes, in words."""
    if leave_one_out is None or not leave_one_out.suggested_thresholds:
        return []
    thresholds = ", ".join(f"{name} {value:.3f}" for name, value in leave_one_out.suggested_thresholds.items())
    lines = [f"\nthresholds (leave-one-out): {thresholds}"]
    slope, intercept = leave_one_out.calibration_slope, leave_one_out.calibration_intercept
    if slope is not None and intercept is not None:
        words = f"slope {slope:.3f}, intercept {intercept:+.3f}; 1 and 0 are perfect"
        lines.append(f"calibration (leave-one-out): {words}")
    return lines


def confusion_table(outcome: TrainingOutcome) -> Table:
    """Rows are the true classes, columns the predicted ones."""
    metrics = outcome.manifest.metrics.held_out or outcome.manifest.metrics.training
    on = "training" if outcome.manifest.metrics.held_out is None else "held out"
    classes = [str(label) for label in outcome.manifest.classes]
    columns = (number_column(f"\n{label}") for label in classes)
    table = Table(f"\ntrue \\ predicted ({on})", *columns, box=None, pad_edge=False)
    for label, counts in zip(classes, metrics.confusion_matrix, strict=True):
        table.add_row(label, *map(str, counts))
    return table


def coefficient_table(outcome: TrainingOutcome) -> Table:
    """The first coefficients with their standard errors, the intercept last of each class."""
    entries = views.coefficients(outcome.stored.model)
    # Folded, not cut: the ends of long names are what tells them apart.
    texts = (Column(title, overflow="fold") for title in ("\nclass", "\ncoefficient"))
    table = Table(*texts, *map(number_column, ("\nvalue", "\nstd. error")), box=None, pad_edge=False)
    for entry in entries[:MAX_COEFFICIENTS]:
        error = entry["standard_error"]
        table.add_row(
            str(entry["class"]),
            harmless(entry["name"]),
            f"{entry['value']:.6g}",
            "–" if error is None else f"{error:.4g}",
        )
    if len(entries) > MAX_COEFFICIENTS:
        table.add_row("…", f"{len(entries) - MAX_COEFFICIENTS} more: logitd models show", "", "")
    return table


def certificate_line(outcome: TrainingOutcome) -> str:
    certificate = outcome.manifest.certificate
    bound = certificate.gap_bound
    distance = (
        "its distance from the optimum is not known" if bound is None else f"at most {bound:.1e} above its minimum"
    )
    return (
        f"\ncertificate: {certificate.status}; objective {certificate.objective:.8g}, {distance}; "
        f"rank {certificate.rank or 'not computed'}; separation {certificate.separation}; solver {certificate.solver} "
        f"({certificate.reason}), {certificate.passes} passes"
    )


def next_command(outcome: TrainingOutcome) -> str:
    name = shlex.quote(outcome.manifest.name)
    if outcome.promoted:
        return f"logitd serve --default-model {name}"
    return f"logitd models promote {name}/{outcome.manifest.version}"
