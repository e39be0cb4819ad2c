"""get, list, watch, create, update, patch and delete of objects over HTTP: request in, answer out.

It reads a request, calls the registry and words the answer; what a write does is the writer's business.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from llmkube.local.apiserver import (
    deleteoptions,
    errors,
    listoptions,
    pages,
    parameters,
    responses,
    scale,
    writeoptions,
)
from llmkube.local.apiserver.errors import Cause, StatusError
from llmkube.local.apiserver.requests import Options, Patch, Target
from llmkube.local.apiserver.watching import watch
from llmkube.local.objects import bad_request

if TYPE_CHECKING:
    from aiohttp import web

    from llmkube.local.apiserver.deletion import Deletion
    from llmkube.local.apiserver.registry import Registry
    from llmkube.local.objects import Object

LEAST_WATCH_SECONDS = 1800
MOST_WATCH_SECONDS = 86400
STATUS_SUCCESS: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}


@dataclass
class Unknown:
    """What is done with fields that a schema does not know, or that the body says twice: refused, told, or dropped
    (fieldValidation)."""

    target: Target
    policy: str
    is_patch: bool = False
    twice: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def told(self, fields: list[str], obj: Object) -> None:
        found = [*(f'duplicate field "{path}"' for path in self.twice), *fields]
        if found and self.policy == "Strict":
            raise self._refused(f"strict decoding error: {', '.join(found)}", obj)
        self.warnings += found

    def _refused(self, why: str, obj: Object) -> StatusError:
        if self.is_patch:
            shown = errors.quoted(responses.encoded(obj).decode())
            return errors.invalid("", "", "", [Cause("FieldValueInvalid", "patch", f"Invalid value: {shown}: {why}")])
        resource = self.target.resource
        handled = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}'
        return bad_request(f"{handled}: {why}")


async def read(registry: Registry, request: web.Request, target: Target) -> web.StreamResponse:
    if not target.name:
        return await _collection(registry, request, target)
    obj = registry.writer.stored(target)
    if target.subresource == "scale":
        return responses.answer(scale.scale_of(target.resource, obj))
    return responses.one(request, target.resource, obj)


async def _collection(registry: Registry, request: web.Request, target: Target) -> web.StreamResponse:
    asked = listoptions.options(request.query)
    if asked.watch:
        return await _watch(registry, request, target, asked)
    page = pages.page(registry.storage, target.resource, parameters.query(request.query, target.namespace, asked))
    return responses.answer(responses.shown(request, target.resource, page.items, page.meta()))


async def _watch(
    registry: Registry, request: web.Request, target: Target, asked: listoptions.ListOptions
) -> web.StreamResponse:
    query = parameters.query(request.query, target.namespace, replace(asked, token=""))
    spread = LEAST_WATCH_SECONDS * (1 + random.random())  # noqa: S311 - spreads reconnections
    seconds = min(asked.seconds or spread, MOST_WATCH_SECONDS)
    events = watch(registry, target.resource, query, replace(parameters.start(asked), seconds=seconds))
    return await responses.stream(request, target.resource, events, seconds)


def _options(
    request: web.Request, target: Target, twice: list[str], *, applies: bool = False
) -> tuple[Options, Unknown]:
    writeoptions.check(request.method, request.query, applies=applies)
    policy = request.query.get("fieldValidation") or "Warn"
    unknown = Unknown(target, policy, request.method == "PATCH", twice)
    manager = parameters.manager(request.query, request.headers.get("User-Agent", ""))
    told = None if unknown.policy == "Ignore" else unknown.told
    return Options(manager, parameters.dry_run(request.query), told), unknown


async def _document(request: web.Request) -> tuple[Object, list[str]]:
    """The body, and the fields that it says twice."""
    twice: list[str] = []
    return parameters.document(await request.read(), twice), twice


async def create(registry: Registry, request: web.Request, target: Target) -> web.StreamResponse:
    parameters.check_json(request.content_type)
    body, twice = await _document(request)
    options, unknown = _options(request, target, twice)
    if target.subresource == "binding":
        return _bind(registry, target, body, options)
    if target.name:
        raise errors.plain(405)
    obj = registry.writer.create(target, body, options)
    return responses.answer(obj, 201, warnings=unknown.warnings)


def _bind(registry: Registry, target: Target, body: Object, options: Options) -> web.Response:
    pod = registry.writer.stored(target.main())
    node = (body.get("target") or {}).get("name")
    if not node:
        raise bad_request("Binding: target.name is required")
    registry.writer.update(target.main(), {**pod, "spec": {**pod["spec"], "nodeName": node}}, options)
    return responses.answer(STATUS_SUCCESS, 201)


async def update(registry: Registry, request: web.Request, target: Target) -> web.StreamResponse:
    parameters.check_json(request.content_type)
    body, twice = await _document(request)
    options, unknown = _options(request, target, twice)
    obj = registry.writer.update(target, body, options)
    return _written(target, obj, 200, unknown)


async def patch(registry: Registry, request: web.Request, target: Target) -> web.StreamResponse:
    kind = parameters.patch_type(request.content_type)
    twice: list[str] = []
    body = parameters.value(await request.read(), twice)
    asked = Patch(kind, body, listoptions.flag(request.query, "force"))
    options, unknown = _options(request, target, twice, applies=kind == "apply")
    is_new = kind == "apply" and registry.storage.get(target.stored_as, target.key) is None
    obj = registry.writer.patch(target, asked, options)
    return _written(target, obj, 201 if is_new else 200, unknown)


def _written(target: Target, obj: Object, status: int, unknown: Unknown) -> web.Response:
    shown = scale.scale_of(target.resource, obj) if target.subresource == "scale" else obj
    return responses.answer(shown, status, warnings=unknown.warnings)


async def delete(registry: Registry, request: web.Request, target: Target) -> web.StreamResponse:
    body = await request.read()
    asked = deleteoptions.read(request.query, parameters.document(body) if body.strip() else None)
    options = Options("", asked.dry_run)
    if not target.name:
        return _delete_all(registry, request, target, asked.deletion, options)
    obj = registry.writer.delete(target, asked.deletion, options)
    if registry.storage.get(target.stored_as, target.key) is not None:
        return responses.answer(obj)
    return responses.answer({**STATUS_SUCCESS, "details": _details(target, obj)})


def _details(target: Target, obj: Object) -> Object:
    group = {"group": target.resource.group} if target.resource.group else {}
    return {"name": target.name, **group, "kind": target.resource.plural, "uid": obj["metadata"]["uid"]}


def _delete_all(
    registry: Registry, request: web.Request, target: Target, asked: Deletion, options: Options
) -> web.Response:
    query = parameters.query(request.query, target.namespace, listoptions.options(request.query))
    page = pages.page(registry.storage, target.resource, query)
    for obj in page.items:
        meta = obj["metadata"]
        registry.writer.delete(Target(target.resource, meta.get("namespace"), meta["name"]), asked, options)
    return responses.answer(responses.shown(request, target.resource, page.items, page.meta()))
