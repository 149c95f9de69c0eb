"""``logitd config``: every setting, its value, where it comes from, and its default."""

from __future__ import annotations

from rich.table import Table

from service.cli.environment import settings
from service.cli.surroundings import JsonOption, console, print_json
from service.settings import SETTINGS, variable


def config(*, as_json: JsonOption = False) -> None:
    """Show each setting: value, origin, default."""
    loaded = settings({})
    rows = [
        {
            "setting": variable(name),
            "value": getattr(loaded.settings, name),
            "origin": loaded.origins[name],
            "default": setting.default,
            "meaning": setting.description,
        }
        for name, setting in SETTINGS.items()
    ]
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False)
    for title in ("setting", "value", "origin", "default"):
        table.add_column(title)
    for row in rows:
        table.add_row(*(shown(row[title]) for title in ("setting", "value", "origin", "default")))
    console().print(table)


def shown(value: object) -> str:
    """A value as it would be written in the environment."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
