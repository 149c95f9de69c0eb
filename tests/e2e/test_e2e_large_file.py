"""A file whose rows do not fit into the memory given: trained by the command line, answered over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from service_process import Service, logitd, serving

N_ROWS = 110_000
NUMBERS = tuple(f"n{column}" for column in range(8))
HEADER = ",".join([*NUMBERS, "city", "plan", "churned"])


def lines() -> Iterator[str]:
    """Rows of numbers and text, each with a missing cell here and there."""
    rng = np.random.default_rng(11)
    numbers = np.round(rng.normal(size=(1_000, len(NUMBERS))), 3)
    churned = rng.random(len(numbers)) < 1 / (1 + np.exp(-numbers[:, 0]))
    for row, (values, label) in enumerate(zip(numbers.tolist(), churned, strict=True)):
        cells = ["" if row % 50 == column else str(value) for column, value in enumerate(values)]
        city, plan = ("" if row % 40 == 9 else f"city {row % 30}"), ("pro", "free", '"basic, monthly"')[row % 3]
        yield ",".join([*cells, city, plan, "yes" if label else "no"]) + "\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service beside a model that was trained from a file of a million cells in 32 MiB."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "large.csv").write_text(HEADER + "\n" + "".join(lines()) * (N_ROWS // 1_000))
    trained = logitd(
        *("train", str(folder / "large.csv"), "--target", "churned", "--model", "churn"),
        *("--missing", "impute", "--C", "1", "--memory", "32", "--json"),
        store=folder / "store",
    )
    assert trained.returncode == 0, trained.stderr
    assert trained.stderr == ""
    assert json.loads(trained.stdout)["metrics"]["held_out"]["rows"] == N_ROWS // 5
    with serving(folder / "store", LOGITD_DEFAULT_MODEL="churn") as running:
        yield running


def test_records_are_answered_by_name_in_any_order(service: Service) -> None:
    """Text with commas, missing cells and names in another order give what the file's own rows give."""
    rows = [line.rstrip("\n").rpartition(",")[0] for line in list(lines())[5:25]]
    header = HEADER.rpartition(",")[0]
    records: list[dict[str, str | float | None]] = [
        {
            "plan": ("pro", "free", "basic, monthly")[number % 3],
            "city": cells[8] or None,
            **{name: float(cell) if cell else None for name, cell in reversed([*zip(NUMBERS, cells, strict=False)])},
        }
        for number, cells in enumerate((row.split(",") for row in rows), 5)
    ]

    by_csv = service.client.post(
        "/predict_proba", content="\n".join([header, *rows]), headers={"Content-Type": "text/csv"}
    )
    by_name = service.client.post("/predict_proba", json={"instances": records})

    assert (by_csv.status_code, by_name.status_code) == (200, 200), by_csv.text
    assert by_name.content == by_csv.content
    assert any(cell is None for record in records for cell in record.values())


def test_where_the_rows_were_does_not_change_the_model(service: Service, tmp_path: Path) -> None:
    """The same file held in memory gives the same parameters, to the bit."""
    file = service.store.parent / "large.csv"
    trained = logitd(
        *("train", str(file), "--target", "churned", "--model", "churn", "--missing", "impute", "--C", "1"),
        store=tmp_path / "store",
    )

    assert trained.returncode == 0, trained.stderr
    parameters = "churn/versions/1/parameters.safetensors"
    assert (tmp_path / "store" / parameters).read_bytes() == (service.store / parameters).read_bytes()
