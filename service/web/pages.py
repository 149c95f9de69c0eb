"""Everything that is the same for every model: health, index, metrics, version, documentation, problem types."""

from __future__ import annotations

import asyncio
import inspect
import platform
from importlib.resources import files

import numpy as np
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import Response

import service
from service.errors import Draining, NoLiveModel, ProblemNotFound, all_errors, quoted
from service.serving import metrics
from service.store.names import ModelRef
from service.web.errors import RouteNotFound, status_of
from service.web.openapi import complete
from service.web.services import Services, json_response

# fastapi-offline ships Swagger UI in its wheel, so that /docs needs no network.
ASSETS = files("fastapi_offline") / "static"
ASSET_TYPES = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon.png": "image/png",
}
LINKS = ("/predict", "/predict_proba", "/train", "/models", "/docs", "/openapi.json", "/readyz", "/metrics", "/version")


class Pages:
    """Small answers without a body to read."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def index(self, request: Request) -> Response:
        """What there is."""
        root = request.scope.get("root_path", "")
        offered = [path for path in LINKS if path != "/metrics" or self._services.settings.metrics]
        links = {path.lstrip("/").removesuffix(".json"): root + path for path in offered}
        return json_response({"service": "logitd", "version": service.__version__, "links": links})

    async def livez(self, _: Request) -> Response:
        """The process lives."""
        return json_response({"status": "live"})

    async def readyz(self, _: Request) -> Response:
        """The default model answers, and the service is not about to stop."""
        if self._services.load.is_draining:
            raise Draining("this service is stopping")
        data_plane = self._services.data_plane
        # In memory nearly always; else it is loaded, which may take long.
        is_loaded = data_plane.resolve_loaded(ModelRef(None)) is not None
        if not is_loaded and not await asyncio.to_thread(data_plane.is_ready):
            raise NoLiveModel(
                f"the default model {quoted(self._services.settings.default_model)} has no live version that loads; "
                "train or promote one, or set LOGITD_DEFAULT_MODEL"
            )
        return json_response({"status": "ready"})

    async def metrics(self, _: Request) -> Response:
        """Counters in the Prometheus text format."""
        text = self._services.metrics.text(self._services.registry.loaded)
        return Response(text, media_type=metrics.CONTENT_TYPE)

    async def version(self, _: Request) -> Response:
        """The releases that run."""
        return json_response(
            {"logitd": service.__version__, "python": platform.python_version(), "numpy": np.__version__}
        )

    async def docs(self, request: Request) -> Response:
        """Swagger UI, from files of this installation."""
        root = request.scope.get("root_path", "")
        page = get_swagger_ui_html(
            openapi_url=f"{root}/openapi.json",
            title="logitd",
            swagger_js_url=f"{root}/docs/swagger-ui-bundle.js",
            swagger_css_url=f"{root}/docs/swagger-ui.css",
            swagger_favicon_url=f"{root}/docs/favicon.png",
        )
        return Response(bytes(page.body).strip() + b"\n", media_type="text/html")

    async def openapi(self, request: Request) -> Response:
        """The OpenAPI document; behind a proxy its server is the prefix that the proxy strips off."""
        root = request.scope.get("root_path", "")
        document = complete(request.app.openapi(), has_keys=self._services.gate.has_keys)
        return json_response({**document, "servers": [{"url": root}]} if root else document)

    async def asset(self, request: Request) -> Response:
        """A file of Swagger UI."""
        name = request.path_params["asset"]
        if name not in ASSET_TYPES:
            raise RouteNotFound(f"there is no asset {quoted(name)}")
        return Response(
            (ASSETS / name).read_bytes(), media_type=ASSET_TYPES[name], headers={"Cache-Control": "max-age=86400"}
        )

    async def problem_type(self, request: Request) -> Response:
        """What the type of an error means, and what to do about it."""
        slug = request.path_params["slug"]
        for kind in all_errors():
            if kind.slug == slug:
                meaning = inspect.cleandoc(kind.__doc__ or "").replace("\n\n", " ").replace("\n", " ")
                return json_response(
                    {"type": slug, "title": kind.title(), "status": status_of(kind), "meaning": meaning}
                )
        raise ProblemNotFound(f"there is no problem type {quoted(slug)}")
