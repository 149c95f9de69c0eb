"""Every setting of the service, typed, with its default and its meaning; the README's table is made from this.

The module reads no environment: the top floor passes what it found in, and learns where each value came from.
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from service.errors import FieldError, InvalidSettings

PREFIX = "LOGITD_"
# Other platforms' names for the port, in the order in which they are looked at.
PORT_ALIASES = ("PORT", "AIP_HTTP_PORT", "SAGEMAKER_BIND_TO_PORT")

Origin: TypeAlias = Literal["flag", "environment", ".env", "default"]
MIB = 1 << 20
# As ``service.store.names.NAME`` has it, which is a floor above.
MODEL_NAME = r"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"


def local(path: str) -> str:
    """``path``, unless it is a URL: a store there would quietly become a directory called ``s3:``."""
    if "://" in path:
        raise ValueError("expected a directory, not a URL")
    return path


Directory: TypeAlias = Annotated[str, AfterValidator(local)]


class Settings(BaseModel):
    """What the service is started with; frozen from then on."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one and prints it.")
    store: Directory = Field("model_store", min_length=1, description="Directory of the model store.")
    seed_store: str = Field("", description="Directory whose models are copied into the store when it is empty.")
    default_model: str = Field(
        "iris", pattern=MODEL_NAME, description="The model that answers when a request names none."
    )
    train: bool = Field(default=True, description="Whether `/train` is offered (on, off).")
    train_timeout_s: float = Field(60.0, gt=0, le=86_400, description="Seconds that one training may take.")
    max_body_bytes: int = Field(8 * MIB, ge=1024, description="Largest request body, `/train` apart.")
    max_train_body_bytes: int = Field(32 * MIB, ge=1024, description="Largest body of `/train`.")
    max_rows: int = Field(10_000, ge=1, description="Most rows in one prediction request.")
    max_train_cells: int = Field(2_000_000, ge=1, description="Most cells (rows times columns) in one `/train`.")
    drain_s: int = Field(10, ge=0, le=3600, description="Seconds that requests in flight may take after SIGTERM.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    metrics: bool = Field(default=True, description="Whether `/metrics` is offered (on, off).")
    fast_lane: bool = Field(
        default=True, description="Whether predictions are answered in the HTTP parser, ahead of everything (on, off)."
    )
    root_path: str = Field(
        "", pattern=r"^(/[A-Za-z0-9._~-]+)*$", description="Path prefix that a proxy in front strips off."
    )
    trust_network: bool = Field(
        default=False, description="Allow everything without a key beyond loopback: for a network that is trusted."
    )
    api_keys_file: str = Field(
        "", description="File of API keys, made by `logitd key create`; with it a key is needed."
    )
    tls_cert: str = Field("", description="Certificate chain in PEM: HTTPS instead of HTTP.")
    tls_key: str = Field("", description="Private key of the certificate, where it is not in the same file.")

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
    values: dict[str, object] = {}
    origins: dict[str, Origin] = dict.fromkeys(Settings.model_fields, "default")
    sources: tuple[tuple[Origin, Mapping[str, object]], ...] = (
        (".env", by_field(dotenv)),
        ("environment", by_field(environment)),
        ("flag", {name: value for name, value in flags.items() if value is not None}),
    )
    for origin, source in sources:
        values |= source
        origins |= dict.fromkeys(source, origin)
    mistakes = [*unknown_variables(dotenv), *unknown_variables(environment)]
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        mistakes += [_mistake(str(entry["loc"][0]), entry["msg"]) for entry in error.errors(include_input=False)]
    if mistakes:
        raise InvalidSettings("; ".join(mistake.detail for mistake in mistakes), errors=tuple(mistakes))
    return LoadedSettings(settings, origins)


def by_field(variables: Mapping[str, str | None]) -> dict[str, object]:
    """The variables that are settings, by field; the names that platforms give to the port count as well."""
    found: dict[str, object] = {}
    for alias in reversed(PORT_ALIASES):
        if variables.get(alias):
            found["port"] = variables[alias]
    for field in Settings.model_fields:
        value = variables.get(variable(field))
        if value is not None:
            found[field] = value
    return found


def unknown_variables(variables: Mapping[str, str | None]) -> list[FieldError]:
    known = [variable(field) for field in Settings.model_fields]
    return [_unknown(name, known) for name in variables if name.startswith(PREFIX) and name not in known]


def _unknown(name: str, known: list[str]) -> FieldError:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f", did you mean {near[0]}?" if near else "; `logitd config` lists the settings"
    return FieldError(f"/{ascii(name)[1:-1]}", "unknown-setting", f"unknown setting {ascii(name)[1:65]}{hint}")


def _mistake(field: str, message: str) -> FieldError:
    return FieldError(f"/{variable(field)}", "invalid-setting", f"{variable(field)}: {message}")
