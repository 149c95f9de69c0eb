"""``/models…``: what is stored, where aliases point, and moving them."""

from __future__ import annotations

import asyncio
import re
from bisect import bisect_right
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from service.errors import AliasNotFound, InvalidParameter, UnknownField, VersionNotFound, WrongType, quoted
from service.serving import views
from service.store.aliases import AliasEntry
from service.store.model_store import StoredModel
from service.store.names import ModelRef, check_alias, check_name, is_version, parse_version
from service.tabular.strict_json import parse_json
from service.web import query
from service.web.audit import MAX_REASON_LENGTH, note
from service.web.body import read_body
from service.web.services import Services, check_same_site, json_response

PAGE, LARGEST_PAGE = 100, 1000
ENTITY_TAG = re.compile(r'"([0-9]{1,18})"')
LOOKS_LIKE_VERSION = re.compile(r"[-+.0-9].*")


class ModelRoutes:
    """The routes below ``/models``; whatever reads or writes files runs in a thread, since it waits for the disk."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._store = services.control_plane.store

    async def models(self, request: Request) -> Response:
        """The models by name, a page at a time; "next" is the path of the next page, or null."""
        parameters = query.query_parameters(request.scope["query_string"], ("limit", "after"))
        limit = query.whole_number(parameters, "limit", default=PAGE, largest=LARGEST_PAGE)
        lines, more = await asyncio.to_thread(self._page, parameters.get("after"), limit)
        after = f"{request.scope.get('root_path', '')}/models?limit={limit}&after={lines[-1]['name']}" if more else None
        return json_response({"models": lines, "next": after})

    async def model(self, request: Request) -> Response:
        """One model: versions, aliases, history."""
        query.query_parameters(request.scope["query_string"], ())
        return json_response(await asyncio.to_thread(views.model, self._store, self._name(request)))

    async def version(self, request: Request) -> Response:
        """One version by number or alias: the manifest, with coefficients and standard errors."""
        query.query_parameters(request.scope["query_string"], ())
        stored = await asyncio.to_thread(self._stored, request)
        body = await asyncio.to_thread(views.version, self._store, stored)
        return json_response(body, headers=model_version(stored))

    async def delete(self, request: Request) -> Response:
        """Remove a version that no alias points to."""
        query.query_parameters(request.scope["query_string"], ())
        check_same_site(request.headers)
        name, version = self._name(request), parse_version(request.path_params["version"])
        await asyncio.to_thread(self._services.control_plane.delete, name, version)
        self._services.registry.forget(name, version)
        return Response(status_code=204)

    async def summary(self, request: Request) -> Response:
        """The table that a statistician expects, as text."""
        query.query_parameters(request.scope["query_string"], ())
        stored = await asyncio.to_thread(self._stored, request)
        return PlainTextResponse(views.summary(stored), headers=model_version(stored))

    async def example(self, request: Request) -> Response:
        """A request body that works, from the live version's features."""
        query.query_parameters(request.scope["query_string"], ())
        ref = ModelRef(self._name(request))
        stored = await asyncio.to_thread(self._services.data_plane.resolve, ref)
        return json_response(views.example(stored.model), headers=model_version(stored))

    async def alias(self, request: Request) -> Response:
        """Where an alias points, and since when; its ETag guards a move."""
        query.query_parameters(request.scope["query_string"], ())
        name, alias = self._name(request), check_alias(request.path_params["alias"])
        return alias_response(name, alias, await asyncio.to_thread(self._alias, name, alias))

    async def move_alias(self, request: Request) -> Response:
        """Point an alias to a version: promotion and rollback. If-Match refuses when it moved meanwhile."""
        query.query_parameters(request.scope["query_string"], ())
        name, alias = self._name(request), check_alias(request.path_params["alias"])
        check_same_site(request.headers)
        body = await read_body(request, self._services.settings.max_body_bytes)
        version, reason = alias_move(parse_json(body))
        note(request, version=version, reason=reason[:MAX_REASON_LENGTH])
        expected = expected_serial(request)
        entry = await asyncio.to_thread(
            self._services.control_plane.promote, name, alias, version, reason=reason, expected_serial=expected
        )
        return alias_response(name, alias, entry)

    def _page(self, after: str | None, limit: int) -> tuple[list[dict[str, Any]], bool]:
        """The lines of a page, and whether there is one more page."""
        names = self._store.names()
        start = 0 if after is None else bisect_right(names, after)
        lines = [views.model_line(self._store, name) for name in names[start : start + limit]]
        return lines, start + limit < len(names)

    def _alias(self, name: str, alias: str) -> AliasEntry:
        aliases = self._store.aliases(name)
        if alias not in aliases:
            raise AliasNotFound(f"model {quoted(name)} has no alias {quoted(alias)}")
        return aliases[alias]

    @staticmethod
    def _name(request: Request) -> str:
        return check_name(request.path_params["model"])

    def _stored(self, request: Request) -> StoredModel:
        name, version = self._name(request), request.path_params["version"]
        if not is_version(version) and version in self._store.aliases(name):
            return self._services.data_plane.resolve(ModelRef(name, alias=version))
        if LOOKS_LIKE_VERSION.fullmatch(version):
            return self._services.data_plane.resolve(ModelRef(name, version=parse_version(version)))
        raise VersionNotFound(f"model {quoted(name)} has no version and no alias {quoted(check_alias(version))}")


def model_version(stored: StoredModel) -> dict[str, str]:
    return {"Model-Version": f"{stored.manifest.name}/{stored.manifest.version}"}


def alias_response(name: str, alias: str, entry: AliasEntry) -> Response:
    body = {"model": name, "alias": alias, **entry.model_dump(mode="json")}
    return json_response(body, headers={"ETag": f'"{entry.serial}"'})


def alias_move(value: object) -> tuple[int, str]:
    """The version and the reason of ``{"version": 7, "reason": "…"}``; raises WrongType or UnknownField."""
    if not isinstance(value, dict):
        raise WrongType('expected an object: {"version": 7, "reason": "…"}', pointer="")
    for key in value:
        if key not in {"version", "reason"}:
            raise UnknownField(f"{quoted(key)} is not a field here; expected version and reason", pointer="")
    version, reason = value.get("version"), value.get("reason", "")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise WrongType("version must be a whole number from 1", pointer="/version")
    if not isinstance(reason, str):
        raise WrongType("reason must be a string", pointer="/reason")
    return version, reason


def expected_serial(request: Request) -> int | None:
    """``If-Match: "5"`` is the serial that the alias must have, ``If-None-Match: *`` that there is none yet (0).

    Raises InvalidParameter for any other form of the two, and for both: a condition is not passed over.
    """
    tag, none_match = request.headers.get("if-match"), request.headers.get("if-none-match")
    if none_match is not None and (none_match.strip() != "*" or tag is not None):
        raise InvalidParameter("If-None-Match must be *, and stand without If-Match")
    if none_match is not None:
        return 0
    if tag is None:
        return None
    found = ENTITY_TAG.fullmatch(tag.strip())
    if found is None:
        raise InvalidParameter('If-Match must be the ETag of the alias, such as "5"')
    return int(found[1])
