"""Exceptions and warnings told without their words: what a defect says may be a cell, a label or a key."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import PurePath
from traceback import StackSummary, walk_tb

MOST_FRAMES, MOST_CAUSES = 15, 5


def in_short(error: BaseException) -> str:
    """Class and places of an exception, outermost first, and of those that it came after; never a message.

    ::

        TypeError at web/dialects/native.py:72 _guarded > serving/data_plane.py:40 predict, after KeyError at …

    An error of the system says which one it is.
    """
    told: list[str] = []
    link: BaseException | None = error
    while link is not None and len(told) < MOST_CAUSES:
        told.append(f"{_name(link)}{_places(link)}")
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return ", after ".join(told)


def tell_warnings(tell: Callable[[str], object]) -> None:
    """From now on tell of Python's warnings in this process by class and place."""

    def show(_message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object) -> None:
        tell(f"{category.__name__} at {place_of(filename, lineno)}")

    warnings.showwarning = show  # type: ignore[assignment]  # Python calls it by position


def place_of(filename: str, lineno: int) -> str:
    """The end of a file's path, and a line."""
    return f"{'/'.join(PurePath(filename).parts[-3:])}:{lineno}"


def _name(error: BaseException) -> str:
    name = type(error).__name__
    return f"{name} ({os.strerror(error.errno)})" if isinstance(error, OSError) and error.errno else name


def _places(error: BaseException) -> str:
    frames = StackSummary.extract(walk_tb(error.__traceback__), limit=-MOST_FRAMES, lookup_lines=False)
    places = [f"{place_of(frame.filename, frame.lineno or 0)} {frame.name}" for frame in frames]
    return f" at {' > '.join(places)}" if places else ""
