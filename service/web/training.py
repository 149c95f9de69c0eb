"""``POST /train``: hands the body as it is to the trainer process."""

from __future__ import annotations

import re
from time import perf_counter

from starlette.requests import Request
from starlette.responses import Response

from service.errors import Draining, InvalidParameter, ServiceError
from service.serving.trainer_process import TrainingJob
from service.store.names import NAME
from service.web import query
from service.web.audit import note
from service.web.body import MediaType, media_type, read_body
from service.web.load import timeout_of
from service.web.services import Services, json_response
from service.web.tracing import request_fields

IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,256}")


class TrainingRoutes:
    """Fit, store and, if wanted, promote a new version."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def train(self, request: Request) -> Response:
        """Fit, store and, if the fit is certified, promote a new version; the Location header says where it is."""
        services = self._services
        services.check_may_train(request)
        if services.load.is_draining:
            raise Draining("this service is stopping")
        kind, key, timeout_s = media_type(request.headers), idempotency_key(request), timeout_of(request.headers)
        parameters = query.query_parameters(request.scope["query_string"], known=None if kind is MediaType.CSV else ())
        if NAME.fullmatch(parameters.get("model", "")):
            note(request, model=parameters["model"])
        body = await read_body(request, services.settings.max_train_body_bytes)
        job = TrainingJob(
            body,
            kind is MediaType.CSV,
            parameters,
            log_fields=request_fields(request.state.request_id, request.headers),
            timeout_s=timeout_s,
        )
        began = perf_counter()
        try:
            answer = await services.trainer.train(job, key)
        except ServiceError as error:
            services.metrics.not_trained(error.slug)
            raise
        services.metrics.trained(perf_counter() - began)
        note(request, **{key: answer[key] for key in ("model", "version", "promoted")})
        place = f"{request.scope.get('root_path', '')}/models/{answer['model']}/versions/{answer['version']}"
        headers = {"Location": place, "Model-Version": f"{answer['model']}/{answer['version']}"}
        return json_response(answer, 201, headers)


def idempotency_key(request: Request) -> str | None:
    """The header ``Idempotency-Key``, 1 to 256 printable characters; raises InvalidParameter."""
    key = request.headers.get("idempotency-key")
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidParameter("Idempotency-Key must be 1 to 256 printable ASCII characters without spaces")
    return key
