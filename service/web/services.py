"""What the web floor is handed: the planes and the settings, put together once in ``create_app``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from service.errors import CrossSite, TrainingDisabled
from service.serving.control_plane import ControlPlane
from service.serving.data_plane import DataPlane
from service.serving.metrics import Metrics
from service.serving.registry import ModelRegistry
from service.serving.trainer_process import TrainerProcess
from service.settings import Settings
from service.web.keys.gate import Gate
from service.web.load import Load


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that handlers call."""

    settings: Settings
    registry: ModelRegistry
    data_plane: DataPlane
    control_plane: ControlPlane
    trainer: TrainerProcess
    metrics: Metrics
    gate: Gate
    load: Load

    def check_may_train(self, request: Request) -> None:
        """Raise CrossSite or TrainingDisabled; whether this client may is the gate's question, and comes before."""
        check_same_site(request.headers)
        if not self.settings.train:
            raise TrainingDisabled("training is switched off here (LOGITD_TRAIN=off)")


def check_same_site(headers: Mapping[str, str]) -> None:
    """Raise CrossSite for what a browser sends from another site's page; other clients send neither header."""
    if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        raise CrossSite("a browser sent this from another site's page")
    origin = headers.get("origin")
    if origin is not None and authority(origin) != headers.get("host"):
        raise CrossSite("the Origin is not this site")


def authority(url: str) -> str | None:
    """Host and port of a URL as they are written, or None when it cannot be read as one."""
    try:
        return urlsplit(url).netloc
    except ValueError:
        return None


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON that survives a float64 round trip, holds no NaN, and ends in a newline."""
    content = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(content.encode() + b"\n", status, headers, "application/json")
