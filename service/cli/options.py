"""Plain command lines, read without the framework of the full one, for commands that begin at once."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def options(arguments: Sequence[str], valued: Collection[str], flags: Collection[str] = ()) -> dict[str, str] | None:
    """``--name value`` and ``--name=value`` of ``valued``, and ``--name`` of ``flags``, by name; None for all else."""
    found: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name in flags and not equals:
            found[name] = ""
            continue
        if name not in valued or not (equals or rest):
            return None
        found[name] = value if equals else rest.pop(0)
    return found
