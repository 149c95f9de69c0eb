"""This service, started as a user starts it, with everything on; and once more without metrics, to see what they cost."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.serving.environment import PROJECT
from benchmarks.serving.model import drawn, publish
from benchmarks.serving.peer import Peer, Place, instances, second

OURS, WITHOUT_METRICS = "logitd", "logitd-no-metrics"
MODEL = "columns"
# The checkout that the benchmark runs from is measured, wherever the program of the environment would look.
VARIABLES = {"PYTHONPATH": str(PROJECT)}
INSTALLS = (
    ("--require-hashes", "--only-binary", ":all:", "--requirement", "requirements/serve.lock"),
    ("--no-deps", "--no-build-isolation", "--editable", "."),
)


def _prepare(place: Place) -> None:
    publish(drawn(place.shape.n_columns), MODEL, place.folder / "store")


def _command(place: Place) -> list[str]:
    store = str(place.folder / "store")
    return [place.program("logitd"), "serve", "--port", place.port, "--store", store, "--default-model", MODEL]


LOGITD = Peer(
    name=OURS,
    package="logitd",
    installs=INSTALLS,
    environment=OURS,
    prepare=_prepare,
    command=_command,
    variables=lambda _: VARIABLES,
    path="/predict_proba",
    body=instances,
    read=lambda answer: second(answer["probabilities"]),
    note="everything on",
)
LOGITD_WITHOUT_METRICS = replace(
    LOGITD,
    name=WITHOUT_METRICS,
    variables=lambda _: {**VARIABLES, "LOGITD_METRICS": "off"},
    only=("1x30",),
    note="`LOGITD_METRICS=off`",
)
