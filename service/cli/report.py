"""The report of a training, for people."""

from __future__ import annotations

import shlex

from rich.console import Console
from rich.table import Table

from service.record import Metrics
from service.serving import views
from service.serving.control_plane import TrainingOutcome

MAX_COEFFICIENTS = 40
MEANINGS = {
    "separation": "the classes can be told apart without error: without a penalty no finite optimum exists",
    "constant-column": "a column has one value in all rows; its coefficient is 0",
    "collinear": "some columns are combinations of others; their coefficients are not unique without a penalty",
    "not-converged": "the optimum was not certified; see the certificate",
}


def print_report(out: Console, outcome: TrainingOutcome) -> None:
    """Metrics, coefficients, the certificate, warnings, the promotion, and what to do next."""
    manifest = outcome.manifest
    out.print(
        f"[bold]{manifest.name}/{manifest.version}[/bold]  {manifest.training.rows} training rows, "
        f"penalty: {manifest.training.penalty}, {outcome.seconds:.2f} s\n",
        soft_wrap=True,
    )
    out.print(metrics_table(manifest.metrics.training, manifest.metrics.held_out))
    out.print(confusion_table(outcome))
    out.print(coefficient_table(outcome))
    out.print(certificate_line(outcome), soft_wrap=True)
    for warning in manifest.warnings:
        out.print(f"[yellow]warning {warning}[/yellow]: {MEANINGS[warning]}", soft_wrap=True)
    state = "[green]live now[/green]" if outcome.promoted else "[yellow]stored, not live[/yellow]"
    out.print(f"{state}: {outcome.promotion}", soft_wrap=True)
    out.print(f"next: {next_command(outcome)}", soft_wrap=True)


def metrics_table(training: Metrics, held_out: Metrics | None) -> Table:
    table = Table("", "rows", "accuracy", "log-loss", "Brier", "ROC AUC", "F1 (macro)", box=None, pad_edge=False)
    for title, metrics in (("training", training), ("held out", held_out)):
        if metrics is None:
            continue
        auc = "–" if metrics.roc_auc is None else f"{metrics.roc_auc:.4f}"
        numbers = (metrics.accuracy, metrics.log_loss, metrics.brier)
        table.add_row(title, str(metrics.rows), *(f"{n:.4f}" for n in numbers), auc, f"{metrics.f1_macro:.4f}")
    return table


def confusion_table(outcome: TrainingOutcome) -> Table:
    """Rows are the true classes, columns the predicted ones."""
    metrics = outcome.manifest.metrics.held_out or outcome.manifest.metrics.training
    on = "training" if outcome.manifest.metrics.held_out is None else "held out"
    classes = [str(label) for label in outcome.manifest.classes]
    table = Table(f"\ntrue \\ predicted ({on})", *(f"\n{label}" for label in classes), box=None, pad_edge=False)
    for label, counts in zip(classes, metrics.confusion_matrix, strict=True):
        table.add_row(label, *map(str, counts))
    return table


def coefficient_table(outcome: TrainingOutcome) -> Table:
    entries = views.coefficients(outcome.stored.model)
    table = Table("\nclass", "\ncoefficient", "\nvalue", "\nstd. error", box=None, pad_edge=False)
    for entry in entries[:MAX_COEFFICIENTS]:
        error = entry["standard_error"]
        table.add_row(
            str(entry["class"]), entry["name"], f"{entry['value']:.6g}", "–" if error is None else f"{error:.4g}"
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
        f"rank {certificate.rank}; separation {certificate.separation}; solver {certificate.solver} "
        f"({certificate.reason}), {certificate.passes} passes"
    )


def next_command(outcome: TrainingOutcome) -> str:
    name = shlex.quote(outcome.manifest.name)
    if outcome.promoted:
        return f"logitd serve --default-model {name}"
    return f"logitd models promote {name}/{outcome.manifest.version}"
