"""Every setting of the service, typed, with its default and its meaning; the README's table is made from this.

The module reads no environment: the top floor passes what it found in, and learns where each value came from.  It
imports the standard library only: the port is open, and a supervisor of workers lives, before and without the rest.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias

from service.errors import FieldError, InvalidSettings

PREFIX = "LOGITD_"
# Other platforms' names for the port, in the order in which they are looked at.
PORT_ALIASES = ("PORT", "AIP_HTTP_PORT", "SAGEMAKER_BIND_TO_PORT")

Origin: TypeAlias = Literal["flag", "environment", ".env", "default"]
MIB = 1 << 20
SWITCH = {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False}
PLAIN_NUMBER = {
    int: re.compile(r"[0-9]{1,18}"),
    float: re.compile(r"[0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18}"),
}
MOST = 10**9
# As ``service.store.names.NAME`` has it, which is a floor above.
MODEL_NAME = r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?"


@dataclass(frozen=True, slots=True)
class Setting:
    """What a setting means, and which values it takes; its type is that of the default."""

    default: Any
    description: str
    expected: str
    accepts: Callable[[Any], bool]

    def read(self, text: object) -> object:
        """Text as a value of the setting's type; what cannot be read, and what is no text, stays as it is."""
        kind = type(self.default)
        if not isinstance(text, str) or kind is str:
            return text
        word = text.strip()
        if kind is bool:
            return SWITCH.get(word.lower(), text)
        # Python would also read 8_0 as 80, and the digits of every script.
        return kind(word) if PLAIN_NUMBER[kind].fullmatch(word) else text

    def is_met_by(self, value: object) -> bool:
        """Whether the value has the type and is one of those that the setting takes."""
        kind = type(self.default)
        return (type(value) is kind or (kind is float and type(value) is int)) and self.accepts(value)


def number(default: float, description: str, *, least: float, most: float | None = None) -> Any:
    """A setting that is a number from ``least`` (for fractions: above it) to ``most``."""
    is_fraction = isinstance(default, float)
    expected = f"a number above {least:g}" if is_fraction else f"a whole number from {least}"
    expected += "" if most is None else f" to {most}"

    def accepts(value: float) -> bool:
        return (value > least if is_fraction else value >= least) and (most is None or value <= most)

    return _field(default, description, expected, accepts)


def text(default: str, description: str, *, form: str = "", pattern: str = ".*") -> Any:
    """A setting that is text of a pattern; ``form`` says it in words."""
    compiled = re.compile(pattern, re.DOTALL)
    return _field(default, description, form, lambda value: compiled.fullmatch(value) is not None)


def choice(default: str, description: str, *words: str) -> Any:
    """A setting that is one of a few words."""
    return _field(default, description, f"one of {', '.join(words)}", lambda value: value in words)


def switch(description: str, *, default: bool) -> Any:
    """A setting that is on or off."""
    return _field(default, description, "on or off", lambda _: True)


def _field(default: Any, description: str, expected: str, accepts: Callable[[Any], bool]) -> Any:
    return field(default=default, metadata={"setting": Setting(default, description, expected, accepts)})


@dataclass(frozen=True, slots=True)
class Settings:
    """What the service is started with; frozen from then on.  Raises InvalidSettings with all mistakes at once."""

    host: str = text(
        "127.0.0.1",
        "Address to listen on.",
        form="an address or the name of a host",
        pattern=r"[A-Za-z0-9._:%-]{1,253}",
    )
    port: int = number(8000, "Port to listen on; 0 takes a free one and prints it.", least=0, most=65535)
    workers: int = number(1, "Processes that answer, side by side on one port.", least=1, most=64)
    # No URL: a store there would quietly become a directory called ``s3:``.
    store: str = text(
        "model_store", "Directory of the model store.", form="a directory, not a URL", pattern=r"(?!.*://).+"
    )
    seed_store: str = text("", "Directory whose models are copied into the store when it is empty.")
    default_model: str = text(
        "iris", "The model that answers when a request names none.", form="the name of a model", pattern=MODEL_NAME
    )
    train: bool = switch("Whether `/train` is offered (on, off).", default=True)
    train_timeout_s: float = number(60.0, "Seconds that one training may take.", least=0, most=86_400)
    train_memory_bytes: int = number(2048 * MIB, "Memory that one training of `/train` may take.", least=256 * MIB)
    max_body_bytes: int = number(8 * MIB, "Largest request body, `/train` apart.", least=1024)
    max_train_body_bytes: int = number(32 * MIB, "Largest body of `/train`.", least=1024)
    max_rows: int = number(10_000, "Most rows in one prediction request.", least=1, most=MOST)
    max_train_cells: int = number(2_000_000, "Most cells (rows times columns) in one `/train`.", least=1, most=MOST)
    max_in_flight: int = number(
        64, "Most requests that one worker works on or keeps waiting; further ones get 503.", least=1, most=10_000
    )
    deadline_s: float = number(5.0, "Seconds that a request may wait for its turn.", least=0, most=3600)
    rate_limit: int = number(0, "Requests a second for each API key, over all workers; 0: no limit.", least=0)
    drain_s: int = number(10, "Seconds that requests in flight may take after SIGTERM.", least=0, most=3600)
    watchdog_s: int = number(
        10, "Seconds of silence after which one of several workers is replaced; 0: never.", least=0, most=3600
    )
    log_level: Literal["debug", "info", "warning", "error"] = choice(
        "info", "Least level that is logged.", "debug", "info", "warning", "error"
    )
    log_format: Literal["auto", "json", "text"] = choice(
        "auto", "How a log line is written: `json`, `text`, or `auto` (text on a terminal).", "auto", "json", "text"
    )
    metrics: bool = switch("Whether `/metrics` is offered (on, off).", default=True)
    fast_lane: bool = switch(
        "Whether predictions are answered in the HTTP parser, ahead of everything (on, off).", default=True
    )
    root_path: str = text(
        "", "Path prefix that a proxy in front strips off.", form="a path such as /ml", pattern=r"(/[A-Za-z0-9._~-]+)*"
    )
    trust_network: bool = switch(
        "Allow everything without a key beyond loopback: for a network that is trusted.", default=False
    )
    api_keys_file: str = text("", "File of API keys, made by `logitd key create`; with it a key is needed.")
    require_signature: str = text(
        "", "Public key in PEM: versions that `logitd models sign` did not sign with its private half are not loaded."
    )
    tls_cert: str = text("", "Certificate chain in PEM: HTTPS instead of HTTP.")
    tls_key: str = text("", "Private key of the certificate, where it is not in the same file.")

    def __post_init__(self) -> None:
        wrong = [name for name, setting in SETTINGS.items() if not setting.is_met_by(getattr(self, name))]
        if wrong:
            raise _invalid(list(map(_mistake, wrong)))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def may_write(self) -> bool:
        """Whether `/train` and the other writes are allowed at all."""
        return self.is_loopback or self.trust_network


SETTINGS: Mapping[str, Setting] = {found.name: found.metadata["setting"] for found in fields(Settings)}


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings and, by field, where each value came from."""

    settings: Settings
    origins: Mapping[str, Origin]


def variable(field: str) -> str:
    """The environment variable of a field: ``LOGITD_MAX_ROWS`` for ``max_rows``."""
    return PREFIX + field.upper()


def load_settings(
    *, flags: Mapping[str, object], environment: Mapping[str, str], dotenv: Mapping[str, str | None]
) -> LoadedSettings:
    """Flag > environment > .env > default; flags are by field name, None means not given.

    Raises InvalidSettings with all mistakes at once, an unknown ``LOGITD_*`` variable among them.
    """
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = dict.fromkeys(SETTINGS, "default")
    sources: tuple[tuple[Origin, Mapping[str, object]], ...] = (
        (".env", by_field(dotenv)),
        ("environment", by_field(environment)),
        ("flag", {name: value for name, value in flags.items() if value is not None}),
    )
    for origin, source in sources:
        values |= {name: SETTINGS[name].read(value) for name, value in source.items()}
        origins |= dict.fromkeys(source, origin)
    wrong = [name for name, value in values.items() if not SETTINGS[name].is_met_by(value)]
    mistakes = [*unknown_variables(dotenv), *unknown_variables(environment), *map(_mistake, wrong)]
    if mistakes:
        raise _invalid(mistakes)
    return LoadedSettings(Settings(**values), origins)


def by_field(variables: Mapping[str, str | None]) -> dict[str, object]:
    """The variables that are settings, by field; the names that platforms give to the port count as well."""
    found: dict[str, object] = {}
    for alias in reversed(PORT_ALIASES):
        if variables.get(alias):
            found["port"] = variables[alias]
    for name in SETTINGS:
        value = variables.get(variable(name))
        if value is not None:
            found[name] = value
    return found


def unknown_variables(variables: Mapping[str, str | None]) -> list[FieldError]:
    known = [variable(name) for name in SETTINGS]
    return [_unknown(name, known) for name in variables if name.startswith(PREFIX) and name not in known]


def _unknown(name: str, known: list[str]) -> FieldError:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f", did you mean {near[0]}?" if near else "; `logitd config` lists the settings"
    return FieldError(f"/{ascii(name)[1:-1]}", "unknown-setting", f"unknown setting {ascii(name)[1:-1][:64]}{hint}")


def _mistake(name: str) -> FieldError:
    detail = f"{variable(name)}: expected {SETTINGS[name].expected}"
    return FieldError(f"/{variable(name)}", "invalid-setting", detail)


def _invalid(mistakes: list[FieldError]) -> InvalidSettings:
    return InvalidSettings("; ".join(mistake.detail for mistake in mistakes), errors=tuple(mistakes))
