"""``ServiceError``, the root of every error, and the words that errors are told in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

MAX_ERRORS, MAX_NAME_LENGTH = 10, 64


@dataclass(frozen=True, slots=True)
class FieldError:
    """One place that is wrong: a JSON pointer (RFC 6901), a stable code, and a sentence without the value sent."""

    pointer: str
    code: str
    detail: str


def quoted(name: object) -> str:
    """A name from outside, safe to print: ASCII, escaped, cut to 64 characters, in quotes."""
    text = ascii(str(name))
    return text if len(text) <= MAX_NAME_LENGTH + 2 else text[: MAX_NAME_LENGTH + 1] + "…'"


class ServiceError(Exception):
    """Something that the caller can act on.

    detail: what is wrong, where, and what was expected; never the value that was sent.
    pointer: JSON pointer of the place, where there is one; it becomes the only entry of ``errors``.
    errors: several places, at most ten.
    hint: what to do about it, or the nearest name.
    """

    slug: ClassVar[str] = "service-error"

    def __init_subclass__(cls) -> None:
        name = cls.__name__.removesuffix("Error")
        cls.slug = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()

    def __init__(
        self, detail: str, *, pointer: str | None = None, errors: tuple[FieldError, ...] = (), hint: str | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint
        here = () if pointer is None else (FieldError(pointer, self.slug, detail),)
        self.errors = (errors or here)[:MAX_ERRORS]

    @classmethod
    def title(cls) -> str:
        words = cls.slug.replace("-", " ").capitalize()
        return words.replace("json", "JSON").replace("csv", "CSV")


def all_errors(base: type[ServiceError] = ServiceError) -> Iterator[type[ServiceError]]:
    """The tree below ``base`` and ``base`` itself, parents first."""
    yield base
    for child in base.__subclasses__():
        yield from all_errors(child)
