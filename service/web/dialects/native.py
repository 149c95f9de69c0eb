"""The native dialect: ``/predict`` and ``/predict_proba``, one pure function of a call behind every way in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from time import perf_counter_ns
from typing import TypeAlias

import simdjson

from service.errors import OutOfMemory, ServiceError
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
from service.web.body import MediaType, announced_bytes, inflate, is_gzip, media_type
from service.web.call import Answer, Asks, Call, Predicted
from service.web.dialects.voice import Voice
from service.web.errors import InternalError, PayloadTooLarge, problem_answer
from service.web.keys.gate import Access, Gate
from service.web.load import expired, timeout_of
from service.web.query import flag, interval_of, model_ref, query_parameters, threshold_of
from service.web.services import check_same_site
from service.web.tracing import request_fields

log = logging.getLogger("logitd.web")

Resolve: TypeAlias = Callable[[ModelRef], StoredModel | None]

PREDICT, PREDICT_PROBA = "/predict", "/predict_proba"
PARAMETERS = ("model", "threshold", "explain")
KNOWN = {PREDICT: PARAMETERS, PREDICT_PROBA: (*PARAMETERS, "interval")}
# A longer body is answered in a thread, since it would hold the event loop for a millisecond and more.
AT_ONCE_BYTES = 128 * 1024
MAX_VOICES = 64


class NativeDialect:
    """Answers calls by one data plane; the model is resolved once the body is there, and one version answers."""

    def __init__(self, data_plane: DataPlane, limits: Limits, max_body_bytes: int, gate: Gate) -> None:
        self._data_plane = data_plane
        self._limits = limits
        # Without keys predictions are for all, and are not kept waiting by the question.
        self._gate = gate if gate.has_keys else None
        self.max_body_bytes = max_body_bytes
        # For the event loop alone; it keeps the memory of its longest body.
        self._parser = simdjson.Parser()
        self._voices: dict[int, Voice] = {}

    def answer(self, call: Call) -> Answer:
        """The answer to any call, be it a refusal; any thread may ask, and it may take a while."""
        answer = self._guarded(call, self._data_plane.resolve, simdjson.Parser(), self.max_body_bytes)
        assert answer is not None
        return answer

    def answer_at_once(self, call: Call, most_bytes: int = AT_ONCE_BYTES) -> Answer | None:
        """The same on the event loop, or None where it would hold the loop; ``answer`` does it then, in a thread.

        most_bytes: of the body, inflated.
        """
        if len(call.body) > most_bytes:
            return None
        return self._guarded(call, self._data_plane.resolve_loaded, self._parser, most_bytes)

    def needs_thread(self, body: bytes) -> bool:
        """Whether ``answer_at_once`` leaves a gzip ``body`` open for what it says of its length."""
        return self.max_body_bytes > AT_ONCE_BYTES and announced_bytes(body) > AT_ONCE_BYTES

    def _guarded(self, call: Call, resolve: Resolve, parser: simdjson.Parser, most_bytes: int) -> Answer | None:
        try:
            return self._answer(call, resolve, parser, most_bytes)
        except ServiceError as error:
            return problem_answer(error, call.request_id, call.root_path)
        except MemoryError:
            log.warning("not enough memory for a request", extra=request_fields(call.request_id, call.headers))
            return problem_answer(no_memory(), call.request_id, call.root_path)
        except Exception:
            log.exception("a defect", extra=request_fields(call.request_id, call.headers))
            defect = InternalError("an internal error; the log has it under this request id")
            return problem_answer(defect, call.request_id, call.root_path)

    def _answer(self, call: Call, resolve: Resolve, parser: simdjson.Parser, most_bytes: int) -> Answer | None:
        if self._gate is None:
            return self._admitted(call, resolve, parser, most_bytes)
        let_in = self._gate.enter(Access.PREDICT, call.headers)
        answer = self._admitted(call, resolve, parser, most_bytes)
        if let_in.allowance is None:
            return answer
        if answer is None:
            # The thread that takes over enters once more.
            let_in.give_back()
            return None
        return answer._replace(own=let_in.allowance.lines)

    def _admitted(self, call: Call, resolve: Resolve, parser: simdjson.Parser, most_bytes: int) -> Answer | None:
        began = perf_counter_ns()
        asks = call.asks or asks_of(call.path, call.query, call.headers)
        if asks.timeout_s is not None and began - call.began >= asks.timeout_s * 1e9:
            raise expired()
        body = self._inflated(call.body, most_bytes) if asks.is_gzip else call.body
        stored = None if body is None else resolve(asks.ref)
        if body is None or stored is None:
            return None
        voice = self._voices.get(id(stored)) or self._new_voice(stored)
        try:
            return self._predict(asks, voice, body, parser, began)
        except ServiceError as error:
            return problem_answer(error, call.request_id, call.root_path, {"Model-Version": voice.who})

    def _inflated(self, body: bytes, most_bytes: int) -> bytes | None:
        """The content of gzip ``body``, or None when it has more bytes than these and not too many."""
        if most_bytes < self.max_body_bytes and announced_bytes(body) > most_bytes:
            return None
        try:
            return inflate(body, min(most_bytes, self.max_body_bytes))
        except PayloadTooLarge:
            if most_bytes >= self.max_body_bytes:
                raise
            return None

    def _predict(self, asks: Asks, voice: Voice, body: bytes, parser: simdjson.Parser, began: int) -> Answer:
        rows: Table | Matrix | None = None
        if asks.is_bare and voice.is_plain:
            text = plain_numbers.csv_as_json(body, voice.model.schema.names) if asks.is_csv else body
            few = plain_numbers.few_rows(text, voice.width)
            answer = None if few is None else _few(asks, voice, few, began)
            if answer is not None:
                return answer
            rows = plain_numbers.matrix(text, voice.width, self._limits, parser)
        if rows is None:
            rows = decode(body, voice.model.schema, self._limits, is_csv=asks.is_csv)
        return self._many(asks, voice, rows, began)

    def _new_voice(self, stored: StoredModel) -> Voice:
        # A voice keeps its version alive, so that no other can have its id meanwhile.
        if len(self._voices) >= MAX_VOICES:
            self._voices = {}
        voice = self._voices[id(stored)] = Voice(stored)
        return voice

    def _many(self, asks: Asks, voice: Voice, rows: Table | Matrix, began: int) -> Answer:
        parsed = perf_counter_ns()
        prediction = self._data_plane.predict(
            voice.stored, rows, threshold=asks.threshold, explain=asks.explain, interval=asks.interval
        )
        predicted = perf_counter_ns()
        body = voice.probabilities(prediction) if asks.is_proba else voice.predictions(prediction)
        phases = parsed - began, predicted - parsed, perf_counter_ns() - predicted
        certainties = prediction.probabilities.max(axis=1)
        return Answer(200, voice.head, body, Predicted(voice.name, voice.version, certainties, *phases))


def _few(asks: Asks, voice: Voice, rows: list[list[float]], began: int) -> Answer | None:
    parsed = perf_counter_ns()
    try:
        probabilities = voice.model.few_probabilities(rows)
    except TypeError:
        # A cell is no number: the readers say which.
        return None
    predicted = perf_counter_ns()
    body = voice.few_probabilities(probabilities) if asks.is_proba else voice.few_predictions(probabilities)
    phases = parsed - began, predicted - parsed, perf_counter_ns() - predicted
    return Answer(200, voice.head, body, Predicted(voice.name, voice.version, [*map(max, probabilities)], *phases))


def asks_of(path: str, query: bytes, headers: Mapping[str, str]) -> Asks:
    """What a request for predictions asks for, its body aside; ``headers`` by lower-case name.

    Raises CrossSite, UnknownField, InvalidParameter, InvalidName, InvalidVersion, UnsupportedMediaType,
    UnsupportedEncoding or InvalidHeader.
    """
    check_same_site(headers)
    parameters = query_parameters(query, KNOWN[path])
    threshold, interval = threshold_of(parameters), interval_of(parameters)
    explain = flag(parameters, "explain")
    return Asks(
        is_proba=path == PREDICT_PROBA,
        ref=model_ref(parameters),
        threshold=threshold,
        explain=explain,
        interval=interval,
        is_bare=threshold is None and interval is None and not explain,
        is_csv=media_type(headers) is MediaType.CSV,
        is_gzip=is_gzip(headers),
        timeout_s=timeout_of(headers),
    )


def no_memory() -> OutOfMemory:
    """The refusal of what the memory of the process does not suffice for."""
    return OutOfMemory("there is not enough memory for this request now; send fewer rows, or try again later")


def decode(body: bytes, schema: Schema, limits: Limits, *, is_csv: bool) -> Table:
    """The rows of a body, as the schema's columns.  Errors: those of the readers."""
    return csv_table(body, schema, limits) if is_csv else table_from_json(parse_json(body), schema, limits)
