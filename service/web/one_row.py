"""``OneRow``: the commonest call in one go.  One plain row as JSON, nothing asked for besides, a version in memory.

What ``NativeDialect`` and ``PredictionDesk`` do for every call in steps is done here without the values in between: from
the body to the bytes of the whole answer.  Whatever is not so plain is left to them, before anything is counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter_ns
from typing import NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from service.linear.rowwise import FewRows
from service.serving.data_plane import DataPlane
from service.serving.metrics import Metrics
from service.serving.metrics.metrics import CountRow
from service.store.model_store import StoredModel
from service.tabular.plain_numbers import few_rows
from service.web.call import Asks
from service.web.dialects.native import PREDICT, PREDICT_PROBA
from service.web.dialects.voice import Voice
from service.web.keys.gate import Access, Gate
from service.web.request_id import next_id, request_id

MS, US, NS = 1_000_000, 1_000, 1e-9
OK = STATUS_LINE[200]
MAX_REMEMBERED = 64
OWN = (
    b"content-length: %d\r\nx-request-id: %b\r\n"
    b"server-timing: parse;dur=0.%03d, predict;dur=0.%03d, encode;dur=0.%03d, total;dur=0.%03d\r\n\r\n"
)


class Speaker(NamedTuple):
    """What a version says to one row: its reader's width, its scorer, its words and its counter."""

    stored: StoredModel
    width: int
    score: FewRows
    voice: Voice
    add_up: CountRow


class OneRow:
    """One for all connections of an event loop."""

    def __init__(self, data_plane: DataPlane, metrics: Metrics, gate: Gate) -> None:
        # As in ``NativeDialect``: without keys nobody is kept waiting by the question.
        self._gate = gate if gate.has_keys else None
        self._resolve = data_plane.resolve_loaded
        self._metrics = metrics
        self._speakers: dict[tuple[int, bool], Speaker] = {}

    def answer(
        self, asks: Asks, body: bytes, began: int, headers: Mapping[str, str], default_lines: bytes
    ) -> bytes | None:
        """The whole answer; None: ask the desk.

        asks: bare.  began: by ``perf_counter_ns``.  headers: by lower-case name.  default_lines: the header lines of every
        answer.
        """
        is_welcome = self._gate is None or self._gate.welcomes(Access.PREDICT, headers)
        stored = self._resolve(asks.ref) if is_welcome else None
        if stored is None:
            return None
        is_proba = asks.is_proba
        try:
            speaker = self._speakers[id(stored), is_proba]
        except KeyError:
            speaker = self._new_speaker(stored, is_proba=is_proba)
        _, width, score, voice, add_up = speaker
        rows = few_rows(body, width)
        if rows is None or len(rows) != 1:
            return None
        parsed = perf_counter_ns()
        try:
            probabilities = score.of_row(rows[0])
        except TypeError:
            # A cell is no number.
            return None
        if probabilities is None:
            return None
        predicted = perf_counter_ns()
        certainty = max(probabilities)
        said = voice.row_probabilities(probabilities) if is_proba else voice.row_prediction(probabilities, certainty)
        now = perf_counter_ns()
        parse, predict, encode, total = parsed - began, predicted - parsed, now - predicted, now - began
        if total >= MS:
            # Longer than the digits below; it is done again, which takes the part of the time that it may.
            return None
        add_up(total * NS, parse * NS, predict * NS, encode * NS, certainty)
        given = headers.get("x-request-id")
        name = next_id() if given is None else request_id(given).encode()
        own = OWN % (len(said), name, parse // US, predict // US, encode // US, total // US)
        return b"".join((OK, default_lines, voice.head.wire, own, said))

    def _new_speaker(self, stored: StoredModel, *, is_proba: bool) -> Speaker:
        if len(self._speakers) >= MAX_REMEMBERED:
            self._speakers = {}
        model, voice = stored.model, Voice(stored)
        # No row is so wide: a model with text columns leaves all to the desk.
        width = len(model.schema.names) if model.is_plain else -1
        path = PREDICT_PROBA if is_proba else PREDICT
        add_up = self._metrics.one_row("POST", path, 200, voice.name, voice.version)
        speaker = Speaker(stored, width, model.few_rows, voice, add_up)
        self._speakers[id(stored), is_proba] = speaker
        return speaker
