"""From a CSV file with text columns and missing cells to the answer over HTTP, the issue's own walk."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from service_process import Service, logitd, serving

from service.tabular import datasets

FILE = Path(datasets.__file__).with_name("penguins.csv")
NAMES = ("island", "bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g", "sex", "year")
N_ROWS = 40
CSV = {"Content-Type": "text/csv"}


@pytest.fixture(scope="module")
def penguins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service beside a model that the command line trained from the file."""
    store = tmp_path_factory.mktemp("penguins") / "store"
    trained = logitd(
        *("train", str(FILE), "--target", "species", "--model", "penguins"),
        *("--missing", "impute", "--missing-values", "NA"),
        store=store,
    )
    assert trained.returncode == 0, trained.stderr
    with serving(store, LOGITD_DEFAULT_MODEL="penguins") as service:
        yield service


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    """The first rows of the file, missing cells among them, without the target."""
    with FILE.open() as file:
        found = [{name: row[name] for name in NAMES} for row in csv.DictReader(file)][:N_ROWS]
    assert any("NA" in row.values() for row in found)
    return found


def record(row: dict[str, str]) -> dict[str, Any]:
    """The row as JSON writes it: numbers, text, null; the columns in another order."""

    def cell(name: str) -> Any:
        if row[name] == "NA":
            return None
        return row[name] if name in {"island", "sex"} else float(row[name])

    return {name: cell(name) for name in sorted(NAMES)}


def as_csv(rows: list[dict[str, str]], names: tuple[str, ...]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def test_every_door_gives_the_same_bits(penguins: Service, rows: list[dict[str, str]]) -> None:
    """Records by name with nulls, CSV with NA in any column order, and ``logitd predict`` give equal probabilities."""
    file = penguins.store.parent / "rows.csv"
    file.write_text(as_csv(rows, NAMES))

    by_json = penguins.client.post("/predict_proba", json={"instances": list(map(record, rows))})
    by_csv = penguins.client.post("/predict_proba", content=as_csv(rows, NAMES[::-1]), headers=CSV)
    by_command = logitd("predict", str(file), "--model", "penguins", "--json", store=penguins.store)

    assert (by_json.status_code, by_csv.status_code, by_command.returncode) == (200, 200, 0)
    assert by_json.content == by_csv.content
    told = json.loads(by_command.stdout)
    assert by_json.json() == {name: told[name] for name in ("classes", "probabilities", "model", "version")}
    assert by_command.stderr == ""


def test_file_with_the_target_predicts_its_own_rows(penguins: Service) -> None:
    """The training file itself can be predicted; nearly all penguins are told apart."""
    done = logitd("predict", str(FILE), "--model", "penguins", "--json", store=penguins.store)

    with FILE.open() as file:
        species = [row["species"] for row in csv.DictReader(file)]
    predicted = json.loads(done.stdout)["predictions"]
    assert done.stderr == "left out, not columns of the model: 'species'\n"
    assert sum(map(str.__eq__, predicted, species)) >= 0.98 * len(species)


def answer(service: Service, row: dict[str, Any]) -> list[float]:
    """The probabilities of one record."""
    probabilities: list[float] = service.client.post("/predict_proba", json=row).json()["probabilities"][0]
    return probabilities


def filling(feature: dict[str, Any]) -> Any:
    """What a missing cell of the feature is imputed with: the training mean, or the most frequent category."""
    if feature["kind"] == "numeric":
        return feature["mean"]
    return max(zip(feature["frequencies"], feature["categories"], strict=True))[1]


@pytest.mark.parametrize("name", NAMES)
def test_missing_cells_are_imputed_and_indicated(penguins: Service, rows: list[dict[str, str]], name: str) -> None:
    """A null is the mean or the most frequent category, and its logits differ by the coefficients of the indicator."""
    version = penguins.client.get("/models/penguins/versions/live").json()
    feature = next(feature for feature in version["schema"]["features"] if feature["name"] == name)
    indicated = [c["value"] for c in version["coefficients"] if c["name"] == f"{name} is missing"] or [0.0] * 3

    null, filled = (answer(penguins, record(rows[0]) | {name: cell}) for cell in (None, filling(feature)))

    moved = [math.log(p) - math.log(q) for p, q in zip(null, filled, strict=True)]
    # Softmax knows differences of logits only.
    assert [m - moved[0] for m in moved] == pytest.approx([c - indicated[0] for c in indicated], abs=1e-9)
    assert feature["has_indicator"] == any(indicated) == (name == "sex")
    assert (feature["missing_share"] > 0) == (name not in {"island", "year"})


@pytest.mark.parametrize(
    ("change", "slug", "pointer"),
    [
        ({"island": "Mars"}, "unknown-category", "/instances/1/island"),
        ({"island": 7}, "wrong-type", "/instances/1/"),
        ({"year": "2007"}, "wrong-type", "/instances/1/"),
        ({"wings": 2}, "unknown-feature", "/instances/1"),
    ],
)
def test_record_that_does_not_fit_is_422(
    penguins: Service, rows: list[dict[str, str]], change: dict[str, Any], slug: str, pointer: str
) -> None:
    """A category that training did not see, another type or another column is told by its place, without the value."""
    answer = penguins.client.post("/predict", json={"instances": [record(rows[0]), record(rows[0]) | change]})

    problem = answer.json()
    assert answer.status_code == 422
    assert problem["type"] == f"/problems/{slug}"
    assert problem["errors"][0]["pointer"].startswith(pointer)
    assert "Mars" not in answer.text


def test_unknown_category_is_a_mistake_on_the_command_line_too(penguins: Service, rows: list[dict[str, str]]) -> None:
    """The same row in a file is exit code 3, with the line."""
    file = penguins.store.parent / "mars.csv"
    file.write_text(as_csv([rows[0], rows[0] | {"island": "Mars"}], NAMES))

    done = logitd("predict", str(file), "--model", "penguins", store=penguins.store)

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("error: mars.csv:3: row 1, column 'island' has a category that training did not see")
