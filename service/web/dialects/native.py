"""The native dialect: ``/predict`` and ``/predict_proba``, one pure function of a call behind every way in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from time import perf_counter
from typing import NamedTuple, TypeAlias

import simdjson

from service.errors import ServiceError
from service.serving.data_plane import DataPlane
from service.store.model_store import StoredModel
from service.store.names import ModelRef
from service.tabular import plain_numbers
from service.tabular.csv_reader import csv_table
from service.tabular.json_rows import table_from_json
from service.tabular.limits import Limits
from service.tabular.plain_numbers import Matrix
from service.tabular.schema import Schema
from service.tabular.strict_json import parse_json
from service.tabular.table import Table
from service.web import query
from service.web.body import MediaType, decoded, media_type
from service.web.call import Answer, Call, Predicted
from service.web.dialects.voice import Voice
from service.web.errors import InternalError, problem_answer
from service.web.services import check_same_site

log = logging.getLogger("logitd.web")

Resolve: TypeAlias = Callable[[ModelRef], StoredModel]

PREDICT, PREDICT_PROBA = "/predict", "/predict_proba"
PARAMETERS = ("model", "threshold", "explain")
KNOWN = {PREDICT: PARAMETERS, PREDICT_PROBA: (*PARAMETERS, "interval")}
# A longer body is answered in a thread, since it would hold the event loop for a millisecond and more.
AT_ONCE_BYTES = 128 * 1024
MAX_REMEMBERED_QUERY = 256
MAX_VOICES = 64


class Options(NamedTuple):
    """What a query string asks for."""

    ref: ModelRef
    threshold: float | None
    explain: bool
    interval: float | None
    is_bare: bool


class NotAtOnceError(Exception):
    """The answer needs files, or more time than the event loop has."""


class NativeDialect:
    """Answers calls by one data plane; the model is resolved once the body is there, and one version answers."""

    def __init__(self, data_plane: DataPlane, limits: Limits, max_body_bytes: int) -> None:
        self._data_plane = data_plane
        self._limits = limits
        self.max_body_bytes = max_body_bytes
        # For the event loop alone; it keeps the memory of its longest body.
        self._parser = simdjson.Parser()
        self._voices: dict[int, Voice] = {}

    def answer(self, call: Call) -> Answer:
        """The answer to any call, be it a refusal; any thread may ask, and it may take a while."""
        return self._guarded(call, self._data_plane.resolve, simdjson.Parser())

    def answer_at_once(self, call: Call) -> Answer | None:
        """The same on the event loop, or None where it would hold the loop; ``answer`` does it then, in a thread."""
        if len(call.body) > AT_ONCE_BYTES:
            return None
        try:
            return self._guarded(call, self._resolve_loaded, self._parser)
        except NotAtOnceError:
            return None

    def _resolve_loaded(self, ref: ModelRef) -> StoredModel:
        stored = self._data_plane.resolve_loaded(ref)
        if stored is None:
            raise NotAtOnceError
        return stored

    def _guarded(self, call: Call, resolve: Resolve, parser: simdjson.Parser) -> Answer:
        try:
            return self._answer(call, resolve, parser)
        except ServiceError as error:
            return problem_answer(error, call.request_id, call.root_path)
        except NotAtOnceError:
            raise
        except Exception:
            log.exception("%s: a defect", call.request_id)
            defect = InternalError("an internal error; the log has it under this request id")
            return problem_answer(defect, call.request_id, call.root_path)

    def _answer(self, call: Call, resolve: Resolve, parser: simdjson.Parser) -> Answer:
        began = perf_counter()
        check_same_site(call.headers)
        options, kind = options_of(call.path, call.query), media_type(call.headers)
        body = decoded(call.body, call.headers, self.max_body_bytes)
        voice = self._voice(resolve(options.ref))
        if options.is_bare and voice.model.is_plain:
            text = body if kind is MediaType.JSON else plain_numbers.csv_as_json(body, voice.model.schema.names)
            if text is not None:
                rows = plain_numbers.few_rows(text, voice.width)
                if rows is not None:
                    return _few(call, voice, rows, began)
                matrix = plain_numbers.matrix(text, voice.width, self._limits, parser)
                if matrix is not None:
                    return self._many(call, voice, options, matrix, began)
        table = decode(body, kind, voice.model.schema, self._limits)
        return self._many(call, voice, options, table, began)

    def _many(self, call: Call, voice: Voice, options: Options, rows: Table | Matrix, began: float) -> Answer:
        parsed = perf_counter()
        prediction = self._data_plane.predict(
            voice.stored, rows, threshold=options.threshold, explain=options.explain, interval=options.interval
        )
        predicted = perf_counter()
        body = voice.predictions(prediction) if call.path == PREDICT else voice.probabilities(prediction)
        phases = parsed - began, predicted - parsed, perf_counter() - predicted
        certainties = prediction.probabilities.max(axis=1)
        return Answer(200, voice.head, body, Predicted(voice.name, voice.version, certainties, *phases))

    def _voice(self, stored: StoredModel) -> Voice:
        voice = self._voices.get(id(stored))
        # A voice keeps its version alive, so no other can have its id meanwhile.
        if voice is None:
            if len(self._voices) >= MAX_VOICES:
                self._voices = {}
            voice = self._voices[id(stored)] = Voice(stored)
        return voice


def _few(call: Call, voice: Voice, rows: list[list[float]], began: float) -> Answer:
    parsed = perf_counter()
    probabilities = voice.model.few_probabilities(rows)
    predicted = perf_counter()
    body = voice.few_predictions(probabilities) if call.path == PREDICT else voice.few_probabilities(probabilities)
    phases = parsed - began, predicted - parsed, perf_counter() - predicted
    return Answer(200, voice.head, body, Predicted(voice.name, voice.version, [*map(max, probabilities)], *phases))


def options_of(path: str, text: bytes) -> Options:
    """The options in a query string.  Raises UnknownField, InvalidParameter, InvalidName or InvalidVersion."""
    return _remembered(path, text) if len(text) <= MAX_REMEMBERED_QUERY else _options(path, text)


def _options(path: str, text: bytes) -> Options:
    parameters = query.query_parameters(text, KNOWN[path])
    threshold, interval = query.threshold(parameters), query.interval(parameters)
    explain = query.flag(parameters, "explain")
    is_bare = threshold is None and interval is None and not explain
    return Options(query.model_ref(parameters), threshold, explain, interval, is_bare)


_remembered = lru_cache(maxsize=256)(_options)


def decode(body: bytes, kind: MediaType, schema: Schema, limits: Limits) -> Table:
    """The rows of a body, as the schema's columns.  Errors: those of the readers."""
    if kind is MediaType.CSV:
        return csv_table(body, schema, limits)
    return table_from_json(parse_json(body), schema, limits)
