"""Every write: what is asked for, combined with what is stored, admitted, owned, and committed when it differs.

A write that would change nothing commits nothing. It knows nothing of HTTP and tells nobody: the registry does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from llmkube.local.apiserver import apply, configurations, deletion, errors, metadata, ownership, patches, scale, views
from llmkube.local.apiserver.admission import check_finalizers, check_shape
from llmkube.local.apiserver.requests import Options, Patch, Target
from llmkube.local.apiserver.shapes import shape_of
from llmkube.local.objects import Object, StatusError, bad_request, spec_of, time_text

if TYPE_CHECKING:
    from llmkube.local.apiserver.admission import Admission
    from llmkube.local.apiserver.deletion import Deletion
    from llmkube.local.apiserver.resources import Catalog
    from llmkube.local.apiserver.storage import ChangeType, Storage
    from llmkube.local.objects import Clock


class Commit(Protocol):
    """Stores one change; returns the object with its new resourceVersion."""

    def __call__(self, change: ChangeType, target: Target, obj: Object) -> Object: ...


class Finish(Protocol):
    """What the server itself sets in an object, before it is stored."""

    def __call__(self, target: Target, obj: Object) -> Object: ...


@dataclass(frozen=True)
class Writer:
    storage: Storage
    catalog: Catalog
    admission: Admission
    clock: Clock
    commit: Commit
    finish: Finish

    def stored(self, target: Target) -> Object:
        """The object as the target's version shows it; 404 when there is none."""
        found = self._find(target)
        if found is None:
            raise errors.not_found(target.resource.plural, target.resource.group, target.name)
        return found

    def _find(self, target: Target) -> Object | None:
        found = self.storage.get(target.stored_as, target.key)
        return None if found is None else views.shown(target.resource, found)

    def create(self, target: Target, body: object, options: Options) -> Object:
        obj = check_shape(target.resource, body)
        self._tell_unknown(target, obj, options)
        new = self._new(target, obj)
        admitted = self.admission.admitted(target.resource, new, None)
        owned = ownership.track(
            None, admitted, shape_of(target.resource), manager=options.manager, now=self._now(), subresource=""
        )
        return self._commit_new(target, owned, options)

    def _new(self, target: Target, obj: Object) -> Object:
        self._check_namespace(target, str(obj["metadata"].get("name") or ""))
        meta = metadata.for_create(target.resource, target.namespace, obj["metadata"], self._now())
        hidden = {"status"} if target.resource.has_status else set()
        return {**{name: value for name, value in obj.items() if name not in hidden}, "metadata": meta}

    def _commit_new(self, target: Target, obj: Object, options: Options) -> Object:
        obj = self.finish(target, obj)
        named = Target(target.resource, target.namespace, obj["metadata"]["name"])
        if (found := self._find(named)) is not None:
            is_going = bool(found["metadata"].get("deletionTimestamp"))
            raise errors.already_exists(target.resource.plural, target.resource.group, named.name, is_going=is_going)
        return obj if options.dry_run else self.commit("ADDED", named, obj)

    def _check_namespace(self, target: Target, name: str) -> None:
        if not target.resource.namespaced or target.namespace is None:
            return
        namespace = self.storage.all("namespaces").get(Target(target.resource, None, target.namespace).key)
        if namespace is None:
            raise errors.not_found("namespaces", "", target.namespace)
        if namespace["metadata"].get("deletionTimestamp"):
            raise errors.terminating(target.resource.plural, target.resource.group, name, target.namespace)

    def update(self, target: Target, body: object, options: Options) -> Object:
        old = self.stored(target)
        if target.subresource == "scale":
            return self._rescaled(target, old, body, options)
        obj = check_shape(target.resource, body)
        metadata.check_update(target.resource, target.name, obj["metadata"])
        self._tell_unknown(target, obj, options)
        return self._replaced(target, old, obj, options)

    def _rescaled(self, target: Target, old: Object, body: object, options: Options) -> Object:
        if not isinstance(body, dict) or body.get("kind", "Scale") != "Scale":
            raise bad_request("the body must be an autoscaling/v1 Scale")
        return self._replaced(target, old, scale.scaled(target.resource, old, body), options)

    def _replaced(self, target: Target, old: Object, asked: Object, options: Options) -> Object:
        merged = combined(target, old, asked)
        meta = metadata.for_update(target.resource, old["metadata"], merged["metadata"])
        prepared = self.admission.admitted(target.resource, {**merged, "metadata": meta}, old)
        owned = ownership.track(
            old,
            prepared,
            shape_of(target.resource),
            manager=options.manager,
            now=self._now(),
            subresource=target.subresource if target.subresource in {"status", "scale"} else "",
        )
        return self._commit_changed(target, old, owned, options)

    def _commit_changed(self, target: Target, old: Object, new: Object, options: Options) -> Object:
        resource = target.resource
        check_finalizers(resource, target.name, metadata.new_finalizers(old["metadata"], new["metadata"]))
        new = self.finish(target, metadata.with_generation(new, old))
        if new == old:
            return old
        change: ChangeType = "DELETED" if deletion.is_over(resource, new) else "MODIFIED"
        return new if options.dry_run else self.commit(change, target, new)

    def patch(self, target: Target, patch: Patch, options: Options) -> Object:
        if patch.type == "apply":
            return self._applied(target, patch, options)
        old = self.stored(target)
        if target.subresource == "scale":
            shown = scale.scale_of(target.resource, old)
            body = patches.patched(shown, patch.body, patch.type, shape_of(target.resource))
            return self._rescaled(target, old, body, options)
        changed = patches.patched(old, patch.body, patch.type, shape_of(target.resource))
        obj = check_shape(target.resource, changed)
        metadata.check_patched(target.resource, old["metadata"], obj["metadata"])
        metadata.check_update(target.resource, target.name, obj["metadata"])
        self._tell_unknown(target, obj, options)
        return self._replaced(target, old, obj, options)

    def _applied(self, target: Target, patch: Patch, options: Options) -> Object:
        if not options.manager:
            raise bad_request("fieldManager: Required value: is required for apply patch")
        if not isinstance(patch.body, dict) or not patch.body.get("apiVersion") or not patch.body.get("kind"):
            raise bad_request("the body of an apply patch must be an object with apiVersion and kind")
        body = check_shape(target.resource, self._intent(target, patch.body))
        check_name(target, body)
        self._check_declared(target, body)
        old = self._find(target)
        if old is None:
            return self._applied_new(target, body, options)
        metadata.check_patched(target.resource, old["metadata"], body["metadata"])
        merged = self._merged(target, old, body, patch, options)
        meta = metadata.for_update(target.resource, old["metadata"], merged["metadata"])
        whole = combined(target, old, {**merged, "metadata": meta})
        return self._commit_changed(target, old, self.admission.admitted(target.resource, whole, old), options)

    def _intent(self, target: Target, body: Object) -> Object:
        if target.subresource != "scale":
            return body
        self.stored(target)
        return scale.intent(target.resource, target.name, body)

    def _check_declared(self, target: Target, body: Object) -> None:
        """What a schema does not declare cannot be owned: an apply of it fails, whatever fieldValidation says."""
        if undeclared := self.admission.undeclared(target.resource, body):
            resource = target.resource
            kind = f"{target.namespace or ''}/{target.name}; {resource.api_version}, Kind={resource.kind}"
            raise StatusError(
                500, "", f"failed to create typed patch object ({kind}): {configurations.told(undeclared)}"
            )

    def _merged(self, target: Target, old: Object | None, body: Object, patch: Patch, options: Options) -> Object:
        return apply.apply(
            old,
            part(target, body),
            shape_of(target.resource),
            manager=options.manager,
            force=patch.force,
            now=self._now(),
            subresource=target.subresource,
        )

    def _applied_new(self, target: Target, body: Object, options: Options) -> Object:
        if target.subresource:
            raise errors.not_found(target.resource.plural, target.resource.group, target.name)
        metadata.check_new(target.resource, target.name, body["metadata"])
        meta = {name: value for name, value in body["metadata"].items() if name != "resourceVersion"}
        named = {**body, "metadata": {**meta, "name": target.name}}
        merged = self._merged(target, None, named, Patch("apply", named), options)
        new = self._new(target, merged)
        return self._commit_new(target, self.admission.admitted(target.resource, new, None), options)

    def delete(self, target: Target, asked: Deletion, options: Options) -> Object:
        """The object as it is after the request: marked, or its last state when it is gone."""
        old = self.stored(target)
        metadata.check_preconditions(target.resource, old["metadata"], asked.uid, asked.resource_version)
        new = deletion.marked(target.resource, old, asked, self.clock())
        if new == old or options.dry_run:
            return old
        return self.commit("DELETED", target, old) if new is None else self.commit("MODIFIED", target, new)

    def _tell_unknown(self, target: Target, obj: Object, options: Options) -> None:
        if options.on_unknown is None:
            return
        undeclared = self.admission.undeclared(target.resource, obj)
        options.on_unknown([f'unknown field "{path}"' for path in undeclared], obj)

    def _now(self) -> str:
        return time_text(self.clock())


def combined(target: Target, old: Object, asked: Object) -> Object:
    """What a request to this subresource may change, upon what is stored."""
    if target.subresource == "status":
        status = {"status": asked["status"]} if asked.get("status") is not None else {}
        kept = {name: value for name, value in old.items() if name != "status"}
        owned = asked["metadata"].get("managedFields") or old["metadata"].get("managedFields")
        checked = {name: asked["metadata"][name] for name in ("resourceVersion", "uid") if name in asked["metadata"]}
        meta = {**old["metadata"], **checked, **({"managedFields": owned} if owned else {})}
        return {**kept, "metadata": meta, **status}
    if target.subresource == "finalize":
        return {**old, "spec": spec_of(asked), "metadata": asked["metadata"]}
    if not target.resource.has_status:
        return asked
    status = {"status": old["status"]} if "status" in old else {}
    return {**{name: value for name, value in asked.items() if name != "status"}, **status}


def part(target: Target, body: Object) -> Object:
    """The part of an applied object that its subresource is about: a main apply never owns status, nor the reverse."""
    identity = {name: body["metadata"][name] for name in ("name", "namespace", "uid") if name in body["metadata"]}
    if target.subresource == "status":
        kept: Object = {name: body[name] for name in ("apiVersion", "kind", "status") if name in body}
        return {**kept, "metadata": identity}
    if not target.resource.has_status:
        return body
    return {name: value for name, value in body.items() if name != "status"}


def check_name(target: Target, body: Object) -> None:
    """The name in the body, when there is one, is that of the URL."""
    name, namespace = body["metadata"].get("name"), body["metadata"].get("namespace")
    if name not in {None, "", target.name}:
        raise StatusError(
            400, "BadRequest", f"the name of the object ({name}) does not match the name on the URL ({target.name})"
        )
    if namespace not in {None, "", target.namespace}:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
