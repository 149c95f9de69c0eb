"""JSON for ``/train``: fields, labels and options, mostly nearly right."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from hardening.fuzz.cases import NUMBER, WORD
from hardening.fuzz.grammars.json_bodies import junk, odd_cells, odd_numbers, plain_numbers

LABELS = (
    *('"yes"', '"no"', '"no"', "0", "1", "true", "0.5", "null", "NaN", "[]", '""', '"\\ud800"', f'"{WORD}"', NUMBER),
    *('"' + "x" * 10_000 + '"', "1e400", "1" * 400, '"\\u0000"', "-0", "1.0"),
)
NAMES = ("x", "x", "y", "z", "", "X", "x" * 1000, "__proto__", "a\nb", "\u202e", "e\u0301", "\u00e9", "\0", " x")
OPTIONS: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "solver": ('"newton"', '"gradient-descent"', '"prox-newton"', '"row-space"', '"newton-cg"', f'"{WORD}"', "1"),
        "C": ("1.0", '"auto"', '"inf"', "0", "-1", "1e-300", "1e300", "1e400", '"1"', "NaN", "true", "null"),
        "l1_ratio": ("0", "0.5", "1", "2", "-0.1", f'"{WORD}"'),
        "max_iter": ("1", "10", "0", "1000000000", "1.5", "-1", "1e2", "true"),
        "tol": ("1e-6", "0", "-1", "1", "1e-300", "2"),
        "learning_rate": ("0.1", "1e300", "0", "1e-300", "null"),
        "missing": ('"impute"', '"reject"', f'"{WORD}"'),
        "class_weight": ('"balanced"', '{"yes":2,"no":1}', '{"yes":0,"no":0}', '{"yes":-1}', "{}", '{"yes":1e308}'),
        "fit_intercept": ("true", "false", "1"),
        "standardize": ("true", "false", "null", '"x"'),
        "validation_fraction": ("0", "0.5", "0.9", "1", "-1", "1e-9"),
        "seed": ("0", "-1", "4294967295", "4294967296", "1.5"),
        WORD.lower(): ("1",),
    }
)
PROMOTE = ("true", "false", '"if_better"', '"always"', f'"{WORD}"', "1", "null")
MODELS = (
    '"tiny"',
    '"tiny"',
    '"tiny"',
    '"iris"',
    '"../x"',
    '""',
    "1",
    '"' + "a" * 65 + '"',
    "null",
    '"Tiny"',
    '"a\\u0000"',
)

_options = st.lists(st.sampled_from(sorted(OPTIONS)), max_size=3, unique=True).flatmap(
    lambda names: st.tuples(*(st.sampled_from(OPTIONS[name]) for name in names)).map(
        lambda texts: "{" + ",".join(f'"{name}":{text}' for name, text in zip(names, texts, strict=True)) + "}"
    )
)


@st.composite
def _body(draw: st.DrawFn, cell: SearchStrategy[str], label: SearchStrategy[str]) -> bytes:
    """A body whose lists have the right lengths, nearly always."""
    n_rows, width = draw(st.integers(0, 12)), draw(st.integers(0, 4))
    off = draw(st.sampled_from((0, 0, 0, 0, 1)))
    fields = {
        "model": draw(st.sampled_from(MODELS)),
        "instances": _list(draw, st.lists(cell, min_size=width, max_size=width).map(_joined), n_rows),
        "targets": _list(draw, label, n_rows + off),
    }
    more = {
        "feature_names": st.lists(st.sampled_from(NAMES).map(json.dumps), min_size=width, max_size=width).map(_joined),
        "sample_weight": st.lists(st.one_of(plain_numbers, odd_numbers), min_size=n_rows, max_size=n_rows).map(_joined),
        "options": _options,
        "promote": st.sampled_from(PROMOTE),
        WORD.lower(): junk,
    }
    for name in draw(st.lists(st.sampled_from([*more, "options", "options"]), max_size=2, unique=True)):
        fields[name] = draw(more[name])
    return ("{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}").encode(errors="surrogatepass")


def _list(draw: st.DrawFn, entry: SearchStrategy[str], length: int) -> str:
    return draw(st.lists(entry, min_size=length, max_size=length).map(_joined))


def _joined(parts: Sequence[str]) -> str:
    return f"[{','.join(parts)}]"


_labels = st.sampled_from(('"yes"', '"no"'))
_odd_labels = st.sampled_from(('"yes"', '"no"', '"no"', *LABELS))
trainings = st.one_of(
    _body(plain_numbers, _labels),
    _body(plain_numbers, _labels),
    _body(st.one_of(plain_numbers, odd_numbers), _labels),
    _body(st.one_of(plain_numbers, odd_cells), _labels),
    _body(plain_numbers, _odd_labels),
)
