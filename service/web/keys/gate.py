"""``Gate``: who may come in by which route."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from service.errors import ServiceError
from service.settings import Settings
from service.web.call import joined
from service.web.errors import KeyMissing, KeyUnknown, PredictionsOnly, ScopeMissing
from service.web.keys.key_file import Key, Scope
from service.web.keys.key_ring import KeyRing, Keys
from service.web.keys.quotas import Allowance, Quotas

BEARER = "bearer "
# The first goes before the second, which a proxy in front may need for itself.
KEY_HEADERS = ("x-api-key", "authorization")


class Access(StrEnum):
    """What a route needs: nothing, any key (READ), or a key that is for this."""

    PUBLIC = "public"
    READ = "read"
    PREDICT = "predict"
    TRAIN = "train"
    ADMIN = "admin"


# Nobody is given more than they need: who trains does not predict, and the other way round.
GRANTS: Mapping[Scope, frozenset[Access]] = MappingProxyType(
    {
        Scope.PREDICT: frozenset({Access.PUBLIC, Access.READ, Access.PREDICT}),
        Scope.TRAIN: frozenset({Access.PUBLIC, Access.READ, Access.TRAIN}),
        Scope.ADMIN: frozenset(Access),
    }
)


class Pass(NamedTuple):
    """A request that was let in: what its key has left, None without quotas, and how to take it back."""

    allowance: Allowance | None
    give_back: Callable[[], None]


NO_QUOTA = Pass(None, lambda: None)


class Gate:
    """Asks for keys where there is a key file; without one it lets all in (``is_open``), or only predictions."""

    def __init__(self, keys: KeyRing | None, *, is_open: bool, quotas: Quotas | None = None) -> None:
        self._keys = keys
        self._is_open = is_open
        self._quotas = quotas
        self.has_keys = keys is not None
        self.has_quotas = quotas is not None

    @classmethod
    def of(cls, settings: Settings, run_directory: Path | None = None) -> Gate:
        """The gate that the settings ask for; raises InvalidSettings for a key file that cannot be used.

        run_directory: what the workers of one service share; None when this process is the service.
        """
        if not settings.api_keys_file:
            return cls(None, is_open=settings.may_write)
        quotas = Quotas(settings.rate_limit, run_directory) if settings.rate_limit else None
        return cls(KeyRing(Path(settings.api_keys_file)), is_open=settings.may_write, quotas=quotas)

    def enter(self, access: Access, headers: Mapping[str, str]) -> Pass:
        """Count a request, and say what its key has left; ``headers`` by lower-case name.

        Raises what ``check`` raises, and QuotaExceeded.
        """
        key = self.check(access, headers)
        if key is None or self._quotas is None:
            return NO_QUOTA
        return Pass(self._quotas.take(key.digest), partial(self._quotas.give_back, key.digest))

    def check(self, access: Access, headers: Mapping[str, str]) -> Key | None:
        """The key that opens, None where none is needed; counts nothing.

        Raises KeyMissing, KeyUnknown, ScopeMissing or PredictionsOnly; ``headers`` by lower-case name.
        """
        if access is Access.PUBLIC:
            return None
        if self._keys is not None:
            return _key_for(self._keys.current(), access, headers)
        if access is not Access.PREDICT and not self._is_open:
            raise PredictionsOnly(
                "this service listens beyond this machine without keys, so it only predicts",
                hint="name a key file (LOGITD_API_KEYS_FILE), bind it to 127.0.0.1, "
                "or set LOGITD_TRUST_NETWORK=on where everyone on the network may write",
            )
        return None

    def key_of(self, headers: Mapping[str, str]) -> Key | None:
        """The key that is presented, whatever it is for; None when there is none, or none that is known."""
        presented = None if self._keys is None else presented_key(headers)
        return None if self._keys is None or presented is None else self._keys.current().find(presented)

    def welcomes(self, access: Access, headers: Mapping[str, str]) -> bool:
        """Whether ``check`` raises nothing."""
        try:
            self.check(access, headers)
        except ServiceError:
            return False
        return True


def _key_for(keys: Keys, access: Access, headers: Mapping[str, str]) -> Key:
    api_key, authorization = headers.get("x-api-key"), headers.get("authorization")
    # The lane has a dict.  Elsewhere a header may come twice, and there is time to look.
    is_quick = type(headers) is dict
    known = keys.welcome.get((api_key, authorization, access)) if is_quick else None
    if known is not None:
        return known
    presented = presented_key(headers)
    if presented is None:
        raise KeyMissing("this needs a key", hint="send it as Authorization: Bearer KEY, or as X-API-Key: KEY")
    key = keys.find(presented)
    if key is None:
        raise KeyUnknown("this key is not known here", hint="it may have been revoked, or cut off on its way")
    if access not in GRANTS[key.scope]:
        raise ScopeMissing(
            f"this key is for the scope {key.scope}, which does not include this",
            hint=f"use a key of the scope {access}, or of admin",
        )
    if is_quick:
        keys.remember(api_key, authorization, access, key)
    return key


def presented_key(headers: Mapping[str, str]) -> str | None:
    """The text of X-API-Key, else of a bearer's Authorization, else None; a query string is no place for a key."""
    api_key, authorization = (joined(headers, name) for name in KEY_HEADERS)
    if api_key is not None or authorization is None:
        return api_key
    is_bearer = authorization[: len(BEARER)].lower() == BEARER
    return authorization[len(BEARER) :].strip(" ") if is_bearer else None
