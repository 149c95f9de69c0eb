"""The tutorial's service: FastAPI, pydantic and a scikit-learn model in a joblib file."""

from __future__ import annotations

from benchmarks.serving.peer import APPS, Peer, Place, export_estimator, instances, requirements, second


def _command(place: Place) -> list[str]:
    return [place.program("uvicorn"), "--app-dir", str(APPS), "tutorial_app:app", "--port", place.port]


TUTORIAL = Peer(
    name="tutorial",
    package="fastapi",
    installs=requirements("tutorial"),
    prepare=export_estimator,
    command=_command,
    path="/predict_proba",
    body=instances,
    read=lambda answer: second(answer["probabilities"]),
    note="FastAPI, pydantic, scikit-learn; `uvicorn main:app`",
)
