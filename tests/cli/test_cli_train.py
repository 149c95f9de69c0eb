"""``logitd train``: what it prints, stores and promotes."""

from __future__ import annotations

import hashlib
import re
import signal
from pathlib import Path

import pytest
from command_line import Logitd, OnTerminal, logitd

from service.store.model_store import ModelStore

ROWS = b"size,colour,y\n" + b"".join(b"%d,%s,%d\n" % (i, b"red" if i % 3 else b"blue", i % 7 > 3) for i in range(40))
SEPARATED = b"x,y\n" + b"".join(b"%d,%d\n" % (i, i > 9) for i in range(20))
# Minutes of steps, none of which is long.
LONG = (
    *("train", "iris-binary", "--model", "long", "--C", "inf"),
    *("--solver", "gradient-descent", "--max-iter", "10000000"),
)


def test_tutorial_is_told_the_truth(here: Logitd, store: ModelStore) -> None:
    """Gradient descent on separated classes reaches accuracy 1, warns, is stored and not promoted: exit code 7."""
    done = here(
        *("train", "iris-binary", "--model", "tutorial", "--solver", "gradient-descent"),
        *("--learning-rate", "0.1", "--max-iter", "300000", "--C", "inf", "--json"),
    )

    answer = done.json()
    assert done.code == 7
    assert answer["metrics"]["training"]["accuracy"] == answer["metrics"]["held_out"]["accuracy"] == 1.0
    assert answer["warnings"] == ["separation", "not-converged"]
    assert answer["promoted"] is False
    assert store.versions("tutorial") == [1]
    assert store.aliases("tutorial") == {}


def test_report_says_what_a_person_needs(here: Logitd) -> None:
    """The report holds metrics, confusion, coefficients, the certificate, the promotion and the next command."""
    done = here("train", "iris", "--model", "iris")

    assert (done.code, done.err) == (0, "")
    for text in (
        "iris/1  120 training rows",
        "held out",
        "true \\ predicted",
        "petal width (cm)",
        "certificate: optimal",
    ):
        assert text in done.out
    assert done.out.endswith("live now: the fit is certified\nnext: logitd serve --default-model iris\n")


def test_json_is_the_answer_of_the_service(here: Logitd) -> None:
    """``--json`` prints one object with what ``/train`` answers, and nothing else."""
    done = here("train", "iris", "--model", "iris", "--json")

    answer = done.json()
    assert (done.code, done.err) == (0, "")
    assert (answer["model"], answer["version"], answer["promoted"]) == ("iris", 1, True)
    assert set(answer) == {
        *("model", "version", "promoted", "promotion", "certificate", "metrics"),
        *("penalty", "C", "leave_one_out", "coefficients", "warnings", "seconds"),
    }


def test_folds_are_reported(here: Logitd, store: ModelStore) -> None:
    """``--folds`` adds mean ± sd to the report and the folds' metrics to ``--json``; more than rows allow store nothing."""
    report = here("train", "iris", "--model", "iris", "--folds", "3", "--C", "1")
    answer = here("train", "iris", "--model", "iris", "--folds", "3", "--C", "1", "--json").json()
    refused = here("train", "iris", "--model", "iris", "--folds", "99", "--C", "1")

    assert "cross-validation (3 folds, mean ± sd): accuracy 0.9" in report.out
    assert [fold["rows"] for fold in answer["cross_validation"]] == [50, 50, 50]
    assert refused.code == 2
    assert "folds must be from 2 to 50" in refused.err
    assert store.versions("iris") == [1, 2]


@pytest.mark.parametrize(
    ("promote", "code", "live"), [("false", 0, 1), ("always", 0, 2), ("true", 7, 1), ("if_better", 7, 1)]
)
def test_gate_decides_the_exit_code(here: Logitd, store: ModelStore, promote: str, code: int, live: int) -> None:
    """A fit that is not certified is promoted by ``always`` alone; that it was wanted and refused is exit code 7."""
    here("train", "moons", "--model", "moons")

    done = here(
        *("train", "moons", "--model", "moons", "--solver", "gradient-descent", "--max-iter", "2"),
        *("--promote", promote),
    )

    assert done.code == code
    assert store.aliases("moons")["live"].version == live


def test_an_l1_penalty_from_the_command_line(here: Logitd) -> None:
    """``--l1-ratio`` fits an L1 penalty, and the report says so."""
    done = here("train", "breast-cancer", "--model", "cancer", "--l1-ratio", "1", "--C", "0.1")

    assert done.code == 0
    assert "penalty: L1 with C = 0.1" in done.out
    assert "prox-newton" in done.out


def test_better_means_a_lower_held_out_loss(here: Logitd) -> None:
    """``if_better`` promotes the first version, and later only what beats the live one on the held-out rows."""
    first = here("train", "moons", "--model", "moons", "--C", "0.001", "--promote", "if_better")
    worse = here("train", "moons", "--model", "moons", "--C", "0.0005", "--promote", "if_better")
    better = here("train", "moons", "--model", "moons", "--promote", "if_better")

    assert (first.code, worse.code, better.code) == (0, 7, 0)
    assert ">=" in worse.out.splitlines()[-2]
    assert "< " in better.out.splitlines()[-2]


def test_same_moment_gives_the_same_bytes(folder: Path) -> None:
    """With SOURCE_DATE_EPOCH set, the same command gives the same files."""
    (folder / "a").mkdir()
    (folder / "b").mkdir()

    for name in ("a", "b"):
        done = logitd("train", "iris", "--model", "iris", folder=folder / name, variables={"SOURCE_DATE_EPOCH": "1"})
        assert done.code == 0

    files = [
        {path.relative_to(folder / name): path.read_bytes() for path in (folder / name).rglob("*") if path.is_file()}
        for name in ("a", "b")
    ]
    assert files[0] == files[1]
    assert len(files[0]) >= 4


def test_standard_input_a_file_and_a_pattern_are_one(folder: Path, here: Logitd, store: ModelStore) -> None:
    """The same rows by ``-``, by name and by a pattern give the same coefficients; one file is told by its SHA-256."""
    (folder / "all.csv").write_bytes(ROWS)
    head, rows = ROWS.split(b"\n", 1)
    (folder / "part1.csv").write_bytes(b"\n".join([head, *rows.splitlines()[:20]]))
    (folder / "part2.csv").write_bytes(b"\n".join([head, *rows.splitlines()[20:]]))

    answers = [here("train", data, "--target", "y", "--model", "m", "--json") for data in ("all.csv", "part*.csv")]
    answers.append(logitd("train", "-", "--target", "y", "--model", "m", "--json", folder=folder, stdin=ROWS))

    assert answers[0].json()["coefficients"] == answers[1].json()["coefficients"] == answers[2].json()["coefficients"]
    provenance = store.manifest("m", 1).provenance
    assert (provenance.data, provenance.data_sha256) == ("all.csv", hashlib.sha256(ROWS).hexdigest())
    assert store.manifest("m", 2).provenance.data_sha256 is None


def test_numbers_become_text_when_asked(folder: Path, here: Logitd, store: ModelStore) -> None:
    """``--categorical`` reads a column of numbers as text; a word of ``--missing-values`` is a missing cell."""
    (folder / "t.csv").write_bytes(b"code,size,y\n" + b"1,2,a\n2,NA,b\n1,3,b\n2,-,a\n" * 5)

    done = here(
        *("train", "t.csv", "--target", "y", "--model", "m", "--categorical", "code"),
        *("--missing", "impute", "--missing-values", "NA,-"),
    )

    schema = store.manifest("m", 1).feature_schema
    assert done.code == 0
    assert [feature.kind for feature in schema.features] == ["categorical", "numeric"]
    assert schema.missing_values == ("NA", "-")


def test_names_that_look_like_markup_are_printed_as_they_are(folder: Path, here: Logitd) -> None:
    """Brackets and colons in columns and classes reach the report unchanged."""
    (folder / "t.csv").write_text("[bold]a,:smile:,y\n1,2,[/x]\n3,4,[red]u\n5,6,[/x]\n2,2,[red]u\n")

    done = here("train", "t.csv", "--target", "y", "--model", "m")

    assert done.code == 0
    for name in ("[bold]a", ":smile:", "[/x]", "[red]u"):
        assert name in done.out


def test_control_characters_of_a_file_do_not_reach_the_terminal(folder: Path, here: Logitd) -> None:
    """An escape sequence in a category is shown as an escape, in the report and by ``models show``."""
    (folder / "t.csv").write_text('a,y\n"\x1b[31mred",1\nblue,0\n"\x1b[31mred",0\nblue,1\n')

    report, shown = here("train", "t.csv", "--target", "y", "--model", "m"), here("models", "show", "m")

    for done in (report, shown):
        assert "a=\\x1b[31mred" in done.out
        assert "\x1b" not in done.out


def test_lines_are_whole_off_a_terminal(folder: Path, here: Logitd) -> None:
    """Piped tables are as wide as they need to be; many classes are counted, not shown."""
    name = "a_name_that_is_longer_than_a_terminal_is_wide_because_nobody_thought_of_terminals_when_it_was_given"
    rows = "".join(f"{i % 5},class {i % 12:02}\n" for i in range(60))
    (folder / "t.csv").write_text(f"{name},y\n{rows}")

    done = here("train", "t.csv", "--target", "y", "--model", "m")

    assert re.search(rf"class 00 +{name} +-?[0-9.e-]+ +[0-9.]+\n", done.out)
    assert "confusion matrix of 12 classes" in done.out


def test_progress_shows_on_a_terminal_and_ctrl_c_ends_it(folder: Path, store: ModelStore) -> None:
    """A long fit says that it is fitting; Ctrl-C ends it with 130, without a traceback or half a version."""
    command = OnTerminal(*LONG, folder=folder)
    command.read_until("fitting …")

    command.process.send_signal(signal.SIGINT)

    assert command.read_all() == 130
    assert "Traceback" not in command.output
    assert "error" not in command.output
    assert store.names() == []
    assert list(folder.rglob("*")) == []


def test_sigterm_ends_a_training(folder: Path, store: ModelStore) -> None:
    """SIGTERM ends a long fit by the signal, which a shell calls 143, and leaves nothing."""
    command = OnTerminal(*LONG, "--json", folder=folder)
    command.read_until("fitting …")

    command.process.terminate()

    assert command.read_all() == -signal.SIGTERM
    assert store.names() == []


def test_report_fits_a_terminal_of_80_columns(folder: Path) -> None:
    """On a terminal the tables of a usual model need no more than 80 columns, and NO_COLOR leaves the colours out."""
    colourful = OnTerminal("train", "breast-cancer", "--model", "m", folder=folder)
    plain = OnTerminal("train", "breast-cancer", "--model", "m", folder=folder, variables={"NO_COLOR": "1"})

    assert colourful.read_all() == plain.read_all() == 0

    colour = re.compile(r"\x1b\[3[0-9]m")
    assert colour.search(colourful.output)
    assert not colour.search(plain.output)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", plain.output)
    table = text.partition("F1 (macro)")[2].partition("certificate:")[0]
    assert "worst fractal dimension" in table
    assert max(len(line.rstrip()) for line in table.splitlines()) <= 80


@pytest.mark.parametrize("C", ["inf", "1e300"])
def test_separated_classes_by_a_solver_that_promises_the_optimum(folder: Path, here: Logitd, C: str) -> None:
    """Newton without a penalty refuses separated classes with exit code 7 and stores nothing."""
    (folder / "t.csv").write_bytes(SEPARATED)

    done = here("train", "t.csv", "--target", "y", "--model", "m", "--C", C)

    assert done.code == 7
    if C == "inf":
        assert done.err.startswith("error: no finite optimum was found (separation: complete)")
