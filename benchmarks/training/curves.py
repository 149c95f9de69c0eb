"""Gap against time on logarithmic axes, one line per peer, as an SVG written by hand."""

from __future__ import annotations

import math
from html import escape
from statistics import median

from benchmarks.training.ours import OURS
from benchmarks.training.runner import Run

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 160, 30, 50
# Below this the float64 arithmetic of the judge has no say.
SMALLEST_GAP, LARGEST_GAP = 1e-15, 1.0
COLOURS = (
    *("#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#17becf", "#7f7f7f", "#bcbd22", "#e377c2"),
    "#000000",
)


def curves(runs: list[Run], title: str) -> str:
    """The SVG of one shape: each point is a tolerance's median time and largest gap."""
    seconds = [run.seconds for run in runs] or [1.0]
    low, high = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)) + 1e-9)
    parts = [_text(LEFT, TOP - 12, title), *_grid(low, high)]
    for number, peer in enumerate(dict.fromkeys(run.peer for run in runs)):
        points = [(_x(t, low, high), _y(gap)) for t, gap in _points([run for run in runs if run.peer == peer])]
        parts += _line(points, peer, COLOURS[number % len(COLOURS)], number)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n'
    )


def _points(runs: list[Run]) -> list[tuple[float, float]]:
    """(median seconds, largest gap) of each tolerance, loose to tight."""
    tolerances = sorted({run.tolerance for run in runs}, reverse=True)
    groups = [[run for run in runs if run.tolerance == each] for each in tolerances]
    return [(median(run.seconds for run in group), max(run.gap for run in group)) for group in groups]


def _x(seconds: float, low: int, high: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(seconds) - low) / (high - low)


def _y(gap: float) -> float:
    depth = math.log10(min(max(gap, SMALLEST_GAP), LARGEST_GAP)) / math.log10(SMALLEST_GAP)
    return TOP + (HEIGHT - TOP - BOTTOM) * depth


def _grid(low: int, high: int) -> list[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    for power in range(low, high + 1):
        x = _x(10.0**power, low, high)
        parts += [_stroke(x, TOP, x, bottom), _text(x, bottom + 16, f"1e{power} s", "middle")]
    for power in range(0, -16, -2):
        y = _y(10.0**power)
        parts += [_stroke(LEFT, y, right, y), _text(LEFT - 6, y + 4, f"1e{power}", "end")]
    axis = "seconds of the fit; down: gap relative to the optimum"
    return [*parts, _text((LEFT + right) / 2, HEIGHT - 10, axis, "middle")]


def _line(points: list[tuple[float, float]], peer: str, colour: str, number: int) -> list[str]:
    width = 3 if peer == OURS else 1.5
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{width + 1}" fill="{colour}"/>' for x, y in points]
    label_y = TOP + 12 + 18 * number
    key = f'<rect x="{WIDTH - RIGHT + 12}" y="{label_y - 9}" width="10" height="10" fill="{colour}"/>'
    name = _text(WIDTH - RIGHT + 28, label_y, peer)
    return [f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="{width}"/>', *dots, key, name]


def _stroke(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
