"""What models, aliases and versions are called, and ``ModelRef``, which names one of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from service.errors import InvalidName, InvalidVersion, VersionNotFound

LIVE = "live"
NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
VERSION = re.compile(r"[1-9][0-9]*")
MAX_VERSION = 999_999_999
# An alias of these would make ``churn/3`` or ``…/versions/3`` mean two things.
RESERVED_ALIAS = re.compile(r"versions|[0-9]+")


def check_name(name: str) -> str:
    """``name``, when a model may be called so; else InvalidName.

    1 to 64 of a-z, 0-9, dot, dash and underscore, a letter or digit at both ends.  No such name leaves its directory.
    """
    if not NAME.fullmatch(name):
        raise InvalidName(
            "a name is 1 to 64 lower-case letters, digits, dots, dashes or underscores, "
            "and begins and ends with a letter or digit"
        )
    return name


def check_alias(alias: str) -> str:
    """``alias``, when it is a name, not a number, and not the word ``versions``; else InvalidName."""
    if RESERVED_ALIAS.fullmatch(check_name(alias)):
        raise InvalidName("an alias cannot be a number or the word 'versions'; choose another name")
    return alias


def is_version(text: str) -> bool:
    """Whether ``text`` is a version as it is written on disk: from 1 to 999999999, no sign, no leading zero."""
    return VERSION.fullmatch(text) is not None and len(text) <= len(str(MAX_VERSION))


def parse_version(text: str) -> int:
    """The number that ``text`` writes.

    Raises InvalidVersion for ``0``, ``-1``, ``1.0``, ``01`` and ``+1``, and VersionNotFound beyond nine digits.
    """
    if not VERSION.fullmatch(text):
        raise InvalidVersion("a version is a whole number from 1, written without sign or leading zero")
    if not is_version(text):
        raise VersionNotFound(f"no model has a version above {MAX_VERSION}")
    return int(text)


@dataclass(frozen=True, slots=True)
class ModelRef:
    """One version of one model: by number, or by an alias, or (with neither) by the alias ``live``.

    name: None is the default model of whoever resolves the reference.
    """

    name: str | None
    alias: str | None = None
    version: int | None = None

    @classmethod
    def parse(cls, text: str) -> ModelRef:
        """The reference written ``churn``, ``churn@live`` or ``churn/3``.  Raises as the three checks above do."""
        name, at, alias = text.partition("@")
        if at:
            return cls(check_name(name), alias=check_alias(alias))
        name, slash, version = text.partition("/")
        return cls(check_name(name), version=parse_version(version) if slash else None)

    def __str__(self) -> str:
        name = self.name or "(default)"
        if self.version is not None:
            return f"{name}/{self.version}"
        return name if self.alias is None else f"{name}@{self.alias}"
