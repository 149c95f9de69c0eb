"""CSV for predictions and trainings: quotes, separators, line ends, cells of any kind."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from hardening.fuzz.cases import NUMBER, WORD
from hardening.fuzz.grammars.damage import damaged
from hardening.fuzz.valid import IRIS

ODD_CELLS = (
    *(
        "",
        "NA",
        "nan",
        "inf",
        "-inf",
        "1e400",
        "1e-999",
        "0x1A",
        "1_000",
        "1 000",
        '"1,5"',
        "1;5",
        "TRUE",
        "=1+1",
        "#REF!",
    ),
    *(
        '"',
        '""',
        '"a""b"',
        'a"b',
        '"a\nb"',
        '"open',
        " 1 ",
        "\t1",
        "\0",
        "\x1a",
        "٣",
        "1.",
        ".5",
        "+1",
        "-",
        "9" * 4301,
    ),
    *(WORD, NUMBER, f'"{WORD}"', "x" * 5000, "\ufeff1", "1e", "null", "\u2028", "\x85", "\x0c"),
)
SEPARATORS = (*(",",) * 12, ";", "\t", "|", ", ", " ,")
ENDS = (*("\n",) * 12, "\r\n", "\r\n", "\r", "\n\n", "\n\r", "\x0b", "\u2028", "")
HEADERS = (
    ",".join(IRIS),
    ",".join(IRIS[::-1]),
    ",".join(IRIS[:3]),
    f"{IRIS[0]},{','.join(IRIS)}",
    ",".join('"' + n + '"' for n in IRIS),
)
MORE_HEADERS = ("", "\ufeff" + ",".join(IRIS), "a,b,c,d", ",,,", '"' + ",".join(IRIS), ",".join(IRIS).upper())

_floats = st.floats(-1e3, 1e3, allow_nan=False).map(repr)
numbers = st.one_of(_floats, _floats, _floats, st.just(NUMBER))
odd_cells = st.sampled_from((*ODD_CELLS, *(WORD,) * 5))


@st.composite
def _table(draw: st.DrawFn, cell: SearchStrategy[str], headers: Sequence[str], width: int) -> bytes:
    """A few lines of a width, with one odd cell or row among them, or none."""
    separator, end = draw(st.sampled_from(SEPARATORS)), draw(st.sampled_from(ENDS))
    cells = draw(st.lists(cell, min_size=width, max_size=4 * width))
    change = draw(st.sampled_from(("none", "cell", "cell", "more", "fewer")))
    if change == "cell":
        cells[draw(st.integers(0, len(cells) - 1))] = draw(odd_cells)
    rows = [cells[i : i + width] for i in range(0, len(cells) - width + 1, width)]
    rows[-1] = {"more": [*rows[-1], draw(cell)], "fewer": rows[-1][1:]}.get(change, rows[-1])
    header = [draw(st.sampled_from(headers))] if draw(st.booleans()) else []
    text = end.join([*header, *map(separator.join, rows)]) + draw(st.sampled_from((end, "", end * 3)))
    return text.encode(errors="surrogatepass")


predictions = {
    "numbers": _table(numbers, HEADERS[:1], len(IRIS)),
    "headers": _table(numbers, HEADERS + MORE_HEADERS, len(IRIS)),
    "damaged": damaged(_table(numbers, HEADERS[:2], len(IRIS))),
}
trainings = _table(
    st.one_of(numbers, st.sampled_from(("yes", "no", "1"))),
    ("x,y", "x,y", "x,y", "x,x", "y", "x,y,z", '"x",y', "X,y"),
    2,
)
