"""The classes of the grammars: which strategy makes which request."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed as seeded, settings, strategies as st
from hypothesis.strategies import SearchStrategy

from hardening.fuzz.cases import BATCH, GRAMMAR, HOST, Case, Ending, Request
from hardening.fuzz.grammars import csv_bodies, heads, json_bodies
from hardening.fuzz.grammars.damage import compressed, damaged
from hardening.fuzz.grammars.training_bodies import trainings
from hardening.fuzz.valid import CSV, JSON, MIXED, PREDICTIONS, TRAININGS

T = TypeVar("T")

TRAIN_BATCH = 4
TRAINING = frozenset({"train json", "train csv", "train damaged"})
PATHS = ("/predict", "/predict_proba", "/predict_proba?interval=0.5", "/predict?explain=true")
METHODS = ("GET", "GET", "GET", "HEAD", "PUT", "PUT", "DELETE", "OPTIONS", "POST", "PATCH", "TRACE")
ALIAS_MOVES = (b'{"version":1}', b'{"version":1,"reason":"x"}', b'{"version":0}', b'{"version":"1"}', b"{}", b"", b"[]")
GZIP = ("Content-Encoding", "gzip")

# No value of these is in a place where it could be read as a name, as the type may be another.
unmarked = st.just(b"[[5.1,3.5,1.4,0.2]]")
bodies = st.sampled_from([PREDICTIONS["json"].body, PREDICTIONS["record"].body, PREDICTIONS["split"].body])
paths = st.sampled_from(PATHS)


def _posted(body: SearchStrategy[bytes], *headers: tuple[str, str]) -> SearchStrategy[Request]:
    return st.builds(lambda path, sent: Request("POST", path, headers, sent), paths, body)


@st.composite
def _odd_heads(draw: st.DrawFn) -> Request:
    """A good body under a query, a type, a coding and headers of any kind."""
    body = draw(unmarked)
    query, kind, coding = draw(heads.queries), draw(st.sampled_from(heads.TYPES)), draw(st.sampled_from(heads.CODINGS))
    coded = (("Content-Encoding", coding),) if draw(st.booleans()) else ()
    target = draw(st.sampled_from(("/predict", "/predict_proba", "/predic%74"))) + (f"?{query}" if query else "")
    return Request("POST", target, (("Content-Type", kind), *coded, *draw(heads.headers)), body)


@st.composite
def _trained_by_table(draw: st.DrawFn) -> Request:
    query = "&".join(["model=tiny", "target=y", "promote=false", *draw(st.lists(heads.pairs, max_size=1))])
    return Request("POST", f"/train?{query}", (CSV,), draw(csv_bodies.trainings))


@st.composite
def _refused_trainings(draw: st.DrawFn) -> Request:
    """A good body under a head that is refused before a process is started for it."""
    kind = draw(st.sampled_from(("text/plain", "application/json; charset=utf-16", "multipart/form-data", "/")))
    query = draw(heads.queries)
    more = draw(heads.headers)
    return Request("POST", f"/train?{query}", (("Content-Type", kind), *more), TRAININGS["train"].body)


@st.composite
def _models(draw: st.DrawFn) -> Request:
    """Any method on any path below ``/models``, and on pages."""
    name, version = draw(heads.raw_names), draw(st.sampled_from(heads.VERSIONS))
    forms = (
        *("/models", f"/models/{name}", f"/models/{name}/example", f"/models/{name}/versions/{version}"),
        *(f"/models/{name}/versions/{version}/summary", f"/models/{name}/aliases/{version}", f"/problems/{name}"),
        *(f"/docs/{name}", f"/{name}", "/readyz", "/metrics", "/openapi.json", f"//models/{name}", "*"),
    )
    query = draw(heads.queries) if draw(st.booleans()) else ""
    target = draw(st.sampled_from(forms)) + (f"?{query}" if query else "")
    method = draw(st.sampled_from(METHODS))
    body = (
        draw(st.one_of(st.sampled_from(ALIAS_MOVES), damaged(st.sampled_from(ALIAS_MOVES)))) if method == "PUT" else b""
    )
    return Request(method, target, (JSON, *draw(heads.headers)), body)


@st.composite
def _chunked(draw: st.DrawFn) -> bytes:
    """A request whose body comes in chunks that are framed well, oddly or not at all."""
    body = draw(bodies)
    size = draw(st.sampled_from((1, 7, 64, 1000)))
    sizes = st.sampled_from(
        ("{:x}", "{:x}", "{:x}", "{:x}", "{:X}", "0{:x}", "{:x};a=b", "{:x} ", "-{:x}", "0x{:x}", "{:x};\r")
    )
    ends = st.sampled_from(("\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", ""))
    parts = [body[i : i + size] for i in range(0, len(body), size)][:200]
    framed = [f"{draw(sizes).format(len(part))}{draw(ends)}".encode() + part + draw(ends).encode() for part in parts]
    last = draw(
        st.sampled_from(
            (b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nX-Trailer: a\r\n\r\n", b"0\r\n", b"", b"FFFFFFFFFFFFFFFFF\r\n")
        )
    )
    coding = draw(
        st.sampled_from(("chunked", "chunked", "Chunked", "gzip, chunked", "chunked, identity", "xchunked", ""))
    )
    head = f"POST {draw(paths)} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nTransfer-Encoding: {coding}\r\n"
    return (
        head.encode() + draw(st.sampled_from((b"", b"", b"Content-Length: 5\r\n"))) + b"\r\n" + b"".join(framed) + last
    )


_tables = {f"csv {name}": _posted(body, CSV) for name, body in csv_bodies.predictions.items()}
_texts = {f"json {name}": _posted(body, JSON) for name, body in json_bodies.predictions.items()}
_mixed = {
    f"mixed {name}": body.map(lambda sent: Request("POST", f"/predict?model={MIXED}", (JSON,), sent))
    for name, body in json_bodies.categorical.items()
}
FRAMED: Mapping[str, SearchStrategy[Request]] = MappingProxyType(
    {
        **_texts,
        **_tables,
        **_mixed,
        "gzip": _posted(compressed(bodies), JSON, GZIP),
        "heads": _odd_heads(),
        "models": _models(),
        "train heads": _refused_trainings(),
        "train json": trainings.map(lambda body: Request("POST", "/train", (JSON,), body)),
        "train csv": _trained_by_table(),
        "train damaged": damaged(st.just(TRAININGS["train"].body)).map(
            lambda body: Request("POST", "/train", (JSON,), body)
        ),
    }
)


def kinds() -> dict[str, int]:
    """Every class, and how many of it make a batch: more than of mutations, whose classes are many."""
    return {kind: TRAIN_BATCH if kind in TRAINING else 3 * BATCH for kind in ("chunked", *FRAMED)}


def cases(kind: str, n: int, seed: str) -> list[Case]:
    """At most ``n`` cases of a class; the same for the same seed."""
    if kind == "chunked":
        return [Case(GRAMMAR, kind, (data,), Ending.SHUT) for data in _examples(_chunked(), n, seed)]
    return [Case(GRAMMAR, kind, (request.wire(),)) for request in _examples(FRAMED[kind], n, seed)]


def _examples(strategy: SearchStrategy[T], n: int, seed: str) -> list[T]:
    found: list[T] = []

    @seeded(seed)
    @settings(
        max_examples=n,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(example: T) -> None:
        found.append(example)

    collect()
    return found[:n]
