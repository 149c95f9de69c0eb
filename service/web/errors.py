"""From errors to answers: one table of statuses, one body (RFC 9457 ``application/problem+json``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service import errors
from service.errors import ServiceError
from service.web.call import Answer, Head

PROBLEM_JSON = "application/problem+json"
ACCEPTED = "application/json, text/csv"


class RouteNotFound(ServiceError):
    """There is nothing at this path.  ``GET /`` lists what there is."""


class MethodNotAllowed(ServiceError):
    """The path exists, but not for this method; the header ``Allow`` names those that it has."""


class KeyMissing(ServiceError):
    """This path needs an API key, sent as ``Authorization: Bearer KEY`` or as ``X-API-Key: KEY``."""


class KeyUnknown(ServiceError):
    """The API key is not one that this service knows: mistyped, sent twice, or revoked."""


class PredictionsOnly(errors.Forbidden):
    """The service listens beyond this machine without keys, and so it only predicts.

    Name a key file (``LOGITD_API_KEYS_FILE``), bind it to 127.0.0.1, or set ``LOGITD_TRUST_NETWORK=on``.
    """


class ScopeMissing(errors.Forbidden):
    """The key is known, and is not for this.  ``logitd key create --scope`` makes one that is."""


class PayloadTooLarge(ServiceError):
    """The body has more bytes than the service reads.  Send fewer rows at a time."""


class UnsupportedMediaType(ServiceError):
    """The Content-Type is not one that this path reads; the header ``Accept-Post`` names those that it does."""


class UnsupportedEncoding(ServiceError):
    """The Content-Encoding is not gzip; the header ``Accept-Encoding`` says so."""


class InvalidRequest(errors.Unparseable):
    """The bytes are not one clear HTTP/1.1 request (RFC 9112).  Where a message ends may not be in doubt."""


class InvalidHeader(errors.Unparseable):
    """A header field has a value that it cannot have.  The detail names the field and what it takes."""


class RequestTimeout(ServiceError):
    """The request came too slowly: a head has 5 seconds, a body 10 and one more for each KiB, 120 in all."""


class TooManyChunks(PayloadTooLarge):
    """The body came in more chunks than are read, or with too much around them.  Send larger chunks."""


class UriTooLong(ServiceError):
    """The request target has more than 8 KiB."""


class HeadersTooLarge(ServiceError):
    """The header fields have more than 16 KiB, or are more than 100."""


class HttpVersionNotSupported(ServiceError):
    """The service speaks HTTP/1.1 and HTTP/1.0."""


class QuotaExceeded(ServiceError):
    """This key has sent more requests than it may.  The headers ``RateLimit`` and ``Retry-After`` say when to go on."""

    def __init__(self, detail: str, *, retry_after_s: int, fields: Mapping[str, str], hint: str) -> None:
        super().__init__(detail, hint=hint)
        self.retry_after_s = retry_after_s
        self.fields = fields


class TemporaryReducedCapacity(errors.Unavailable):
    """The service has taken in as many requests as it may at once.  Come back after ``Retry-After`` seconds."""

    retry_after_s = 1


class DeadlineExceeded(errors.Unavailable):
    """The request's time was over before its turn came; nothing was computed."""

    retry_after_s = 1


class InternalError(ServiceError):
    """A defect of this service.  Its log has the details under the request id."""


# Looked up along the class's ancestors: a base serves its whole family.
STATUS: dict[type[ServiceError], int] = {
    errors.Unparseable: 400,
    KeyMissing: 401,
    KeyUnknown: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    RouteNotFound: 404,
    MethodNotAllowed: 405,
    RequestTimeout: 408,
    errors.Conflict: 409,
    errors.PreconditionFailed: 412,
    PayloadTooLarge: 413,
    UriTooLong: 414,
    UnsupportedMediaType: 415,
    UnsupportedEncoding: 415,
    errors.InvalidInput: 422,
    QuotaExceeded: 429,
    HeadersTooLarge: 431,
    InternalError: 500,
    errors.Unavailable: 503,
    errors.Integrity: 503,
    DeadlineExceeded: 504,
    errors.TrainTimeout: 504,
    HttpVersionNotSupported: 505,
    errors.StoreFull: 507,
    ServiceError: 500,
}
RETRY_AFTER_S = 5
# Else the server would have to read on to find the next request, or cannot know where that begins.
CLOSING = (
    *(PayloadTooLarge, InvalidRequest, RequestTimeout, UriTooLong, HeadersTooLarge, HttpVersionNotSupported),
    # Nor will there be an answer to the next one.
    errors.Draining,
)


def status_of(kind: type[ServiceError]) -> int:
    """The HTTP status of an error class."""
    return next(STATUS[ancestor] for ancestor in kind.__mro__ if ancestor in STATUS)


def problem_body(error: ServiceError, request_id: str, root_path: str = "") -> dict[str, Any]:
    """The members of RFC 9457, and ours: ``request_id``, ``errors`` (at most ten), ``hint``."""
    body: dict[str, Any] = {
        "type": f"{root_path}/problems/{error.slug}",
        "title": type(error).title(),
        "status": status_of(type(error)),
        "detail": error.detail,
        "request_id": request_id,
    }
    if error.errors:
        body["errors"] = [{"pointer": e.pointer, "code": e.code, "detail": e.detail} for e in error.errors]
    if error.hint:
        body["hint"] = error.hint
    return body


def headers_of(error: ServiceError) -> dict[str, str]:
    """What the answer says besides its body: when to come back, what to send instead."""
    headers = {"Content-Type": PROBLEM_JSON}
    if status_of(type(error)) in {429, 503, 504}:
        headers["Retry-After"] = str(getattr(error, "retry_after_s", RETRY_AFTER_S))
    if isinstance(error, QuotaExceeded):
        headers.update(error.fields)
    if status_of(type(error)) == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, UnsupportedMediaType):
        headers["Accept-Post"] = ACCEPTED
    if isinstance(error, UnsupportedEncoding):
        headers["Accept-Encoding"] = "gzip"
    if isinstance(error, CLOSING):
        headers["Connection"] = "close"
    return headers


def problem_answer(
    error: ServiceError, request_id: str, root_path: str = "", more: Mapping[str, str] = MappingProxyType({})
) -> Answer:
    """The answer for an error; ``more`` headers."""
    body = problem_body(error, request_id, root_path)
    content = json.dumps(body, allow_nan=False, separators=(",", ":")).encode() + b"\n"
    headers = {**headers_of(error), **more}
    head = Head(headers.items())
    return Answer(body["status"], head, content, slug=error.slug, closes="Connection" in headers)


class PreparedProblem:
    """The answer for an error that will be given many times: written once, but for the request's id."""

    def __init__(self, error: ServiceError, root_path: str) -> None:
        mark = "0" * 32
        self._answer = problem_answer(error, mark, root_path)
        before, _, after = self._answer.body.partition(mark.encode())
        # What comes before and after the id in the body.
        self.around = before, after
        self.slug, self.status = error.slug, self._answer.status
        # Of an id as long as that mark.
        self.head = b"%bcontent-length: %d\r\n" % (self._answer.head.wire, len(self._answer.body))

    def answer(self, request_id: str) -> Answer:
        """As ``problem_answer``; the id is one of ours or was found harmless."""
        return self._answer._replace(body=request_id.encode().join(self.around))


def problem(error: ServiceError, request: Request, headers: dict[str, str] | None = None) -> Response:
    """The same through the framework, with more headers."""
    answer = problem_answer(error, request.state.request_id, request.scope.get("root_path", ""))
    request.state.slug = answer.slug
    return Response(answer.body, answer.status, {**headers_of(error), **(headers or {})})
