"""The application: every URL of the service on one page."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

import service
from service.errors import ServiceError
from service.serving.control_plane import ControlPlane
from service.serving.data_plane import DataPlane
from service.serving.metrics import Metrics
from service.serving.registry import ModelRegistry
from service.serving.trainer_process import TrainerLimits, TrainerProcess
from service.settings import Settings
from service.store.model_store import ModelStore
from service.tabular.limits import Limits
from service.web import openapi
from service.web.audit import Handler, audited
from service.web.dialects.native import PREDICT, PREDICT_PROBA, NativeDialect
from service.web.errors import (
    MethodNotAllowed,
    RouteNotFound,
    problem,
)
from service.web.keys.gate import Access, Gate
from service.web.load import Load
from service.web.middleware.prediction_path import PredictionPath
from service.web.middleware.request_context import RequestContext
from service.web.models import ModelRoutes
from service.web.pages import Pages
from service.web.prediction_desk import PredictionDesk
from service.web.predictions import PredictionRoutes
from service.web.request_log import RequestLog
from service.web.services import Services
from service.web.tracing import Spans
from service.web.training import TrainingRoutes

Routes: TypeAlias = tuple[tuple[str, tuple[str, ...], Access, Handler], ...]

READ = ("GET", "HEAD")


def create_app(
    settings: Settings,
    store: ModelStore,
    environment: dict[str, str],
    *,
    run_directory: Path | None = None,
    ahead_of_router: bool = True,
    spans: Spans | None = None,
) -> FastAPI:
    """The whole service over one store.

    environment: what the trainer's child process gets.
    run_directory: what the workers of one service share; None when this process is the service.
    spans: where the spans of answers go, if anywhere.
    ahead_of_router: whether predictions are answered there, which is faster, or by their routes.  ``app.state.desk`` is
    what a server needs to answer them faster still: see ``fast_lane``.
    """
    services = assemble(settings, store, environment, run_directory)
    limits = Limits(max_rows=settings.max_rows)
    dialect = NativeDialect(services.data_plane, limits, settings.max_body_bytes, services.gate)
    app = FastAPI(
        title="logitd",
        version=service.__version__,
        summary="Train a logistic regression, with a proof of its optimum, and serve it over HTTP.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # A redirect would name the host that the request named, and lose the body of a POST.
        redirect_slashes=False,
    )
    app.state.services = services
    request_log = RequestLog()
    app.state.desk = PredictionDesk(
        dialect,
        services.data_plane,
        services.metrics,
        services.gate,
        services.load,
        request_log,
        root_path=settings.root_path,
        spans=spans,
    )
    for path, methods, access, handler in routes(services, dialect):
        for method in methods:
            app.router.add_api_route(
                path,
                guarded(handler, access, services.gate),
                methods=[method],
                response_model=None,
                **openapi.documentation(path, method, handler.__doc__ or "", is_public=access is Access.PUBLIC),
            )
    app.add_exception_handler(ServiceError, on_service_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_middleware(
        RequestContext,
        metrics=services.metrics,
        request_log=request_log,
        root_path=settings.root_path,
        spans=spans,
    )
    if ahead_of_router:
        app.add_middleware(PredictionPath, desk=app.state.desk)
    return app


def assemble(
    settings: Settings, store: ModelStore, environment: dict[str, str], run_directory: Path | None
) -> Services:
    """The parts, in the order in which they need each other."""
    counts = None if run_directory is None else run_directory / "metrics"
    metrics = Metrics.open(counts, version=service.__version__)
    registry = ModelRegistry(store, settings.default_model, on_reload=metrics.reloaded)
    limits = TrainerLimits(
        max_rows=settings.max_train_cells,
        max_features=Limits().max_features,
        max_cells=settings.max_train_cells,
        timeout_s=settings.train_timeout_s,
        memory_bytes=settings.train_memory_bytes,
    )
    return Services(
        settings=settings,
        registry=registry,
        data_plane=DataPlane(registry),
        control_plane=ControlPlane(store, clock=lambda: datetime.now(UTC)),
        trainer=TrainerProcess(settings.store, limits, environment, run_directory, store.trusted),
        metrics=metrics,
        gate=Gate.of(settings, run_directory),
        load=Load(settings.max_in_flight, settings.deadline_s),
    )


def routes(services: Services, dialect: NativeDialect) -> Routes:
    """Path, methods, what a client needs to come in, handler."""
    predictions, models = PredictionRoutes(dialect, services.load), ModelRoutes(services)
    training, pages = TrainingRoutes(services), Pages(services)
    table: Routes = (
        (PREDICT, ("POST",), Access.PREDICT, predictions.predict),
        (PREDICT_PROBA, ("POST",), Access.PREDICT, predictions.predict_proba),
        ("/train", ("POST",), Access.TRAIN, training.train),
        ("/models", READ, Access.READ, models.models),
        ("/models/{model}", READ, Access.READ, models.model),
        ("/models/{model}/example", READ, Access.READ, models.example),
        ("/models/{model}/versions/{version}", READ, Access.READ, models.version),
        ("/models/{model}/versions/{version}", ("DELETE",), Access.ADMIN, models.delete),
        ("/models/{model}/versions/{version}/summary", READ, Access.READ, models.summary),
        ("/models/{model}/aliases/{alias}", READ, Access.READ, models.alias),
        ("/models/{model}/aliases/{alias}", ("PUT",), Access.ADMIN, models.move_alias),
        ("/livez", READ, Access.PUBLIC, pages.livez),
        ("/readyz", READ, Access.PUBLIC, pages.readyz),
        ("/healthz", READ, Access.PUBLIC, pages.readyz),
        ("/version", READ, Access.PUBLIC, pages.version),
        ("/problems/{slug}", READ, Access.PUBLIC, pages.problem_type),
        ("/openapi.json", READ, Access.PUBLIC, pages.openapi),
        ("/docs", READ, Access.PUBLIC, pages.docs),
        ("/docs/{asset}", READ, Access.PUBLIC, pages.asset),
        ("/", READ, Access.PUBLIC, pages.index),
    )
    return (*table, ("/metrics", READ, Access.READ, pages.metrics)) if services.settings.metrics else table


def guarded(handler: Handler, access: Access, gate: Gate) -> Handler:
    """The handler behind the gate, which predictions meet in their dialect: on all ways at the same place.

    What writes is audited, by the name of its handler.
    """
    if access in {Access.PUBLIC, Access.PREDICT}:
        return handler

    async def checked(request: Request) -> Response:
        allowance = gate.enter(access, request.headers).allowance
        response = await handler(request)
        if allowance is not None:
            response.headers.update(allowance.headers)
        return response

    return checked if access is Access.READ else audited(checked, handler.__name__.replace("_", "-"), gate)


async def on_service_error(request: Request, error: Exception) -> Response:
    """The one place where an error becomes an answer."""
    assert isinstance(error, ServiceError)
    return problem(error, request)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """The framework's own refusals, 404 and 405, in the same form as ours."""
    assert isinstance(error, HTTPException)
    allowed = allowed_methods(request)
    if error.status_code == 405 and allowed:
        names = ", ".join(sorted(allowed))
        return problem(MethodNotAllowed(f"this path takes {names}"), request, {"Allow": names})
    return problem(RouteNotFound("there is nothing at this path", hint="GET / lists what there is"), request)


def allowed_methods(request: Request) -> set[str]:
    """The methods of the routes that match the path."""
    found: set[str] = set()
    for route in request.app.router.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            found |= set(getattr(route, "methods", None) or ())
    return found
