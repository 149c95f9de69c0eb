"""Bodies that were right until something happened to them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from functools import partial

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

TOKENS = (
    *(
        b"",
        b"]",
        b"[",
        b"}",
        b"{",
        b",",
        b":",
        b'"',
        b"\\",
        b" ",
        b"\n",
        b"\r",
        b"\t",
        b"\0",
        b"\x1f",
        b"\x7f",
        b"\xff",
    ),
    *(
        b"\xef\xbb\xbf",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"u",
        b"1",
        b"-",
        b"e9",
        b".",
        b"//",
        b"#",
        b";",
    ),
)
CODECS = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "utf-8-sig", "utf-7")

# More than a body may have, once it is inflated, and less.
LONG_TAILS = (100_000, 9_000_000)


@st.composite
def damaged(draw: st.DrawFn, bodies: SearchStrategy[bytes]) -> bytes:
    """A body with a token put in or in the place of a byte, cut, followed by more, or in another encoding."""
    body = draw(bodies)
    place = draw(st.integers(0, len(body)))
    token = draw(st.sampled_from(TOKENS))
    return draw(
        st.sampled_from(
            (
                body[:place] + token + body[place:],
                body[:place] + token + body[place + 1 :],
                body[:place],
                body + token + body[place:],
                body.decode(errors="replace").encode(draw(st.sampled_from(CODECS)), errors="replace"),
            )
        )
    )


@st.composite
def compressed(draw: st.DrawFn, bodies: SearchStrategy[bytes]) -> bytes:
    """A body as gzip: whole, in members, cut, damaged, followed by more, twice, or as something else."""
    body = draw(bodies)
    whole = gzip.compress(body, compresslevel=draw(st.integers(0, 9)), mtime=0)
    place, bit = draw(st.integers(0, len(whole) - 1)), draw(st.integers(0, 7))
    tail = draw(st.sampled_from((b"\0", b"\0" * 100, b"more", whole, whole[:10], b"\x1f\x8b")))
    forms: tuple[Callable[[], bytes], ...] = (
        lambda: whole,
        lambda: whole[:place],
        lambda: whole + tail,
        lambda: b"".join(gzip.compress(body[i : i + 7], mtime=0) for i in range(0, len(body), 7)),
        lambda: gzip.compress(whole, mtime=0),
        lambda: zlib.compress(body),
        lambda: whole[:place] + bytes([whole[place] ^ (1 << bit)]) + whole[place + 1 :],
        lambda: body,
        lambda: b"",
        *(partial(_padded, body, n) for n in LONG_TAILS),
    )
    return draw(st.sampled_from(forms))()


def _padded(body: bytes, n_more: int) -> bytes:
    return gzip.compress(body + b" " * n_more, compresslevel=1, mtime=0)
