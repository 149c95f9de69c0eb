"""KServe's Python server with a custom model."""

from __future__ import annotations

from benchmarks.serving.peer import APPS, Peer, Place, export_estimator, instances, requirements, second


def _command(place: Place) -> list[str]:
    ports = ["--http_port", place.port, "--grpc_port", str(place.ports[1])]
    return [place.program("python"), str(APPS / "kserve_app.py"), *ports]


KSERVE = Peer(
    name="kserve",
    package="kserve",
    installs=requirements("kserve"),
    prepare=export_estimator,
    command=_command,
    path="/v1/models/model:predict",
    body=instances,
    read=lambda answer: second(answer["predictions"]),
    note="a `kserve.Model` in a `ModelServer`, V1 protocol",
)
