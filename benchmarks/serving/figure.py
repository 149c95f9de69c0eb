"""Requests a second as bars on a logarithmic axis, one panel a shape, as an SVG written by hand."""

from __future__ import annotations

import math
from html import escape

from benchmarks.serving.peers.floor import FLOOR
from benchmarks.serving.peers.ours import OURS
from benchmarks.serving.report import Spread, named, number, throughput
from benchmarks.serving.runner import Outcome
from benchmarks.serving.shapes import SHAPES

WIDTH, LEFT, RIGHT = 720, 150, 90
BAR, GAP, HEAD = 14, 6, 44
OURS_COLOUR, FLOOR_COLOUR, OTHER_COLOUR = "#d62728", "#7f7f7f", "#1f77b4"


def figure(outcome: Outcome) -> str:
    """The SVG: a bar is the median of the rounds, the line on it their spread; the axis is the same in all panels."""
    panels = {shape: bars for shape in SHAPES if (bars := _bars(outcome, shape))}
    all_bars = [bar for bars in panels.values() for bar in bars.values()]
    low = math.floor(math.log10(min((bar.low for bar in all_bars), default=1.0)))
    high = math.ceil(math.log10(max((bar.high for bar in all_bars), default=10.0)))
    parts: list[str] = []
    top = 0
    for shape, bars in panels.items():
        parts.append(_text(LEFT, top + 24, f"{SHAPES[shape].text}: requests a second", weight="bold"))
        parts += _grid(low, high, top + HEAD, len(bars) * (BAR + GAP))
        for place, (peer, bar) in enumerate(bars.items()):
            parts += _bar(peer, bar, low, high, top + HEAD + place * (BAR + GAP))
        top += HEAD + len(bars) * (BAR + GAP) + 20
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + 4}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n'
    )


def _bars(outcome: Outcome, shape: str) -> dict[str, Spread]:
    found = {name: throughput(outcome, name, shape) for name in named(outcome)}
    return {name: each for name, each in found.items() if each and each.low > 0}


def _x(value: float, low: int, high: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(value) - low) / max(high - low, 1)


def _grid(low: int, high: int, top: float, height: float) -> list[str]:
    parts = []
    for power in range(low, high + 1):
        x = _x(10.0**power, low, high)
        parts += [_line(x, top, x, top + height, "#ddd"), _text(x, top - 4, f"{10.0**power:g}", anchor="middle")]
    return parts


def _bar(peer: str, bar: Spread, low: int, high: int, top: float) -> list[str]:
    colour = {OURS: OURS_COLOUR, FLOOR.name: FLOOR_COLOUR}.get(peer, OTHER_COLOUR)
    start, end, middle = _x(10.0**low, low, high), _x(bar.middle, low, high), top + BAR / 2
    spread = _line(_x(bar.low, low, high), middle, _x(bar.high, low, high), middle, "#000")
    return [
        f'<rect x="{start:.1f}" y="{top:.1f}" width="{end - start:.1f}" height="{BAR}" fill="{colour}"/>',
        *([spread] if bar.rounds > 1 else []),
        _text(LEFT - 6, middle + 4, peer, anchor="end"),
        _text(max(end, _x(bar.high, low, high)) + 6, middle + 4, number(bar.middle)),
    ]


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, words: str, *, anchor: str = "start", weight: str = "normal") -> str:
    style = f'text-anchor="{anchor}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'
