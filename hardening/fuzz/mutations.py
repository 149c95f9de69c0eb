"""Valid requests with a few bytes changed: what a broken client, a proxy or an attacker sends."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from hardening.fuzz.cases import BATCH, BYTES, Case, Ending
from hardening.fuzz.valid import PAGES, PREDICTIONS, TRAININGS, WHOLE

TRAIN_BATCH = 2
DIGITS = re.compile(rb"[0-9]+")
NUMBERS = (b"0", b"-1", b"1", b"00", b"+5", b"0x10", b"5,5", b"1e3", b"8388609", b"99999999999999999999999", b"")
# What a byte is replaced with or preceded by: the ends of tokens, lines, strings and texts.
INSERTED = (
    *(
        b"\0",
        b"\r",
        b"\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\t",
        b" ",
        b"\x0b",
        b"\x7f",
        b"\x80",
        b"\xff",
        b"\xc0\xaf",
        b"\x1b[",
    ),
    *(
        b'"',
        b"\\",
        b"\\u0000",
        b"\\ud800",
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b":",
        b"-",
        b"e",
        b".",
        b"%00",
        b"%",
        b"&",
        b"=",
    ),
    *(
        b"HEAD ",
        b"\r\nTransfer-Encoding: chunked",
        b"\r\nContent-Length: 3",
        b"\r\nExpect: 100-continue",
        b"\r\n folded",
    ),
    *(b"\r\nUpgrade: h2c", b"\r\nConnection: close", b"\r\nHost: other", b"\r\nX-Request-Timeout: 1", b"NaN", b"1e999"),
)
Mutation = Callable[[random.Random, bytes], bytes]


def flip(rng: random.Random, data: bytes) -> bytes:
    """One to four bits turned over."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def drop(rng: random.Random, data: bytes) -> bytes:
    """A stretch left out."""
    start, end = _stretch(rng, data)
    return data[:start] + data[end:]


def duplicate(rng: random.Random, data: bytes) -> bytes:
    """A stretch twice, or very often."""
    start, end = _stretch(rng, data)
    return data[:start] + data[start:end] * rng.choice((2, 2, 3, 50)) + data[end:]


def swap(rng: random.Random, data: bytes) -> bytes:
    """Two neighbouring stretches the other way round."""
    start, end = _stretch(rng, data)
    _, last = _stretch(rng, data[end:] or data)
    return data[:start] + data[end : end + last] + data[start:end] + data[end + last :]


def insert(rng: random.Random, data: bytes) -> bytes:
    """Control bytes and other ends of things put in, or in the place of one byte."""
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.choice(INSERTED) + data[place + rng.randrange(2) :]


def renumber(rng: random.Random, data: bytes) -> bytes:
    """A number, such as the length of the body, changed."""
    found = rng.choice(list(DIGITS.finditer(data[:4096])))
    return data[: found.start()] + rng.choice(NUMBERS) + data[found.end() :]


def splice(rng: random.Random, data: bytes) -> bytes:
    """The beginning of this request and the end of another one."""
    other = rng.choice(list((PREDICTIONS | PAGES).values())).wire()
    return data[: rng.randrange(1, len(data))] + other[rng.randrange(len(other)) :]


def truncate(rng: random.Random, data: bytes) -> bytes:
    """The beginning alone."""
    return data[: rng.randrange(1, len(data))]


def pipeline(rng: random.Random, data: bytes) -> bytes:
    """Several requests behind each other, one of them changed."""
    requests = [rng.choice(list((PREDICTIONS | PAGES).values())).wire() for _ in range(rng.randint(1, 4))]
    change = rng.choice((flip, drop, insert, renumber))
    requests.insert(rng.randrange(len(requests) + 1), change(rng, data))
    return b"".join(requests)


MUTATIONS: Mapping[str, Mutation] = MappingProxyType(
    {change.__name__: change for change in (flip, drop, duplicate, swap, insert, renumber, splice, truncate, pipeline)}
)
ENDINGS = (*((Ending.SHUT,) * 8), Ending.CLOSE, Ending.RESET)


def kinds() -> dict[str, int]:
    """Every class, a mutation of a request, and how many of it make a batch."""
    return {f"{change} {name}": TRAIN_BATCH if name in TRAININGS else BATCH for name in WHOLE for change in MUTATIONS}


def cases(kind: str, n: int, seed: str) -> list[Case]:
    """``n`` cases of a class; the same for the same seed."""
    rng = random.Random(seed)  # noqa: S311 — no secret
    change, _, name = kind.partition(" ")
    whole = WHOLE[name].wire()
    return [Case(BYTES, kind, _pieces(rng, MUTATIONS[change](rng, whole)), _ending(rng, change)) for _ in range(n)]


def _ending(rng: random.Random, change: str) -> Ending:
    return rng.choice((Ending.SHUT, Ending.CLOSE, Ending.RESET)) if change == "truncate" else rng.choice(ENDINGS)


def _pieces(rng: random.Random, data: bytes) -> tuple[bytes, ...]:
    """All at once, or in two or three writes."""
    if not data or rng.random() < 0.8:
        return (data,)
    places = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randint(1, 2)))
    starts, ends = [0, *places], [*places, len(data)]
    return tuple(data[start:end] for start, end in zip(starts, ends, strict=True) if end > start)


def _stretch(rng: random.Random, data: bytes) -> tuple[int, int]:
    """Start and end of a stretch, mostly short."""
    start = rng.randrange(len(data))
    return start, min(len(data), start + rng.choice((1, 1, 2, 4, 16, 64, 512)))
