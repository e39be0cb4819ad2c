"""ObjectMeta as the API keeps it: what the server sets, what a client may change, when the generation moves on.

Pure: it makes new metadata from old and asked-for metadata. It never stores.
"""

from __future__ import annotations

import json
import secrets
import uuid
from typing import TYPE_CHECKING, Any

from llmkube.local.apiserver import errors
from llmkube.local.apiserver.errors import Cause
from llmkube.local.objects import Object, StatusError, bad_request

if TYPE_CHECKING:
    from llmkube.local.apiserver.resources import Resource

# The letters of Kubernetes' own suffixes: no vowels, nothing that reads like another letter.
SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5
LONGEST_GENERATED = 63

SERVER_OWNED = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
)
ENDING = ("deletionTimestamp", "deletionGracePeriodSeconds")
CLIENT_OWNED = ("generateName", "labels", "annotations", "finalizers", "ownerReferences", "managedFields")
FIELDS = frozenset({*SERVER_OWNED, *CLIENT_OWNED, "resourceVersion", "selfLink"})
COUNTED = frozenset(
    {
        "pods",
        "deployments.apps",
        "replicasets.apps",
        "jobs.batch",
        "endpointslices.discovery.k8s.io",
        "customresourcedefinitions.apiextensions.k8s.io",
        "poddisruptionbudgets.policy",
        "networkpolicies.networking.k8s.io",
        "ingresses.networking.k8s.io",
        "ingressclasses.networking.k8s.io",
    }
)


def for_create(resource: Resource, namespace: str | None, asked: Object, now: str) -> Object:
    """The metadata of a new object."""
    wanted = {name: asked[name] for name in asked if name in CLIENT_OWNED}
    if asked.get("resourceVersion"):
        raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
    return {
        "name": _name(resource, asked),
        **({"namespace": _namespace(resource, namespace, asked)} if resource.namespaced else {}),
        "uid": str(uuid.uuid4()),
        **({"generation": 1} if has_generation(resource) else {}),
        "creationTimestamp": now,
        **without_empty(wanted),
    }


def _name(resource: Resource, asked: Object) -> str:
    if name := asked.get("name"):
        return str(name)
    prefix = asked.get("generateName")
    if not prefix:
        why = [Cause("FieldValueRequired", "metadata.name", "Required value: name or generateName is required")]
        raise errors.invalid(resource.kind, resource.group, "", why)
    suffix = "".join(secrets.choice(SUFFIX_LETTERS) for _ in range(SUFFIX_LENGTH))
    return f"{prefix[: LONGEST_GENERATED - SUFFIX_LENGTH]}{suffix}"


def _namespace(resource: Resource, namespace: str | None, asked: Object) -> str:
    if not namespace:
        raise bad_request(f"an empty namespace may not be set during creation of {resource.name}")
    if asked.get("namespace") not in {None, "", namespace}:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    return namespace


def for_update(resource: Resource, old: Object, asked: Object) -> Object:
    """The metadata of an object that is replaced: what the server owns stays as it was."""
    check_identity(resource, old, asked)
    kept = {name: old[name] for name in SERVER_OWNED if name in old}
    changed = {name: value for name, value in asked.items() if name in CLIENT_OWNED}
    return {**kept, **without_empty(changed), "resourceVersion": old["resourceVersion"]}


def check_update(resource: Resource, name: str, asked: Object) -> None:
    """422 when a custom object is to be replaced and nobody says which state of it; built-in kinds allow that."""
    if resource.is_custom and not asked.get("resourceVersion"):
        why = Cause(
            "FieldValueInvalid", "metadata.resourceVersion", "Invalid value: 0: must be specified for an update"
        )
        raise errors.invalid(resource.plural, resource.group, name, [why])


def check_identity(resource: Resource, old: Object, asked: Object) -> None:
    """409 when the request was made for another state, or another object, of this name; 422 for what never changes."""
    name = old["name"]
    _check_kept(resource, old, asked, ENDING)
    if (uid := asked.get("uid")) and uid != old["uid"]:
        check_uid(resource, old, uid)
    if (version := asked.get("resourceVersion")) and version != old["resourceVersion"]:
        why = "the object has been modified; please apply your changes to the latest version and try again"
        raise errors.conflict(resource.plural, resource.group, name, why)
    if asked.get("name") not in {None, "", name}:
        raise bad_request(f"the name of the object ({asked['name']}) does not match the name on the URL ({name})")
    if asked.get("namespace") not in {None, "", old.get("namespace")}:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def check_patched(resource: Resource, old: Object, asked: Object) -> None:
    """422 when a patch, or an apply, sets another uid; 500 for a resourceVersion that is none."""
    _check_kept(resource, old, asked, ("uid",))
    version = str(asked.get("resourceVersion") or "0")
    if not (version.isascii() and version.isdigit()):
        raise StatusError(500, "", f"strconv.ParseUint: parsing {errors.quoted(version)}: invalid syntax")


def _check_kept(resource: Resource, old: Object, asked: Object, names: tuple[str, ...]) -> None:
    changed = [name for name in names if asked.get(name) and asked[name] != old.get(name)]
    if changed:
        shown = {name: f"Invalid value: {json.dumps(asked[name])}: field is immutable" for name in changed}
        causes = [Cause("FieldValueInvalid", f"metadata.{name}", shown[name]) for name in changed]
        raise errors.invalid(resource.kind, resource.group, old["name"], causes)


def check_uid(resource: Resource, old: Object, uid: str | None) -> None:
    if uid is not None and uid != old["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['uid']}"
        raise errors.conflict(resource.plural, resource.group, old["name"], why)


def check_preconditions(resource: Resource, old: Object, uid: str | None, version: str | None) -> None:
    """409 when a delete was meant for another object, or another state, of this name."""
    if uid is not None and uid != old["uid"]:
        why = _other("UID", uid, old["uid"], "The object might have been deleted and then recreated")
        raise errors.conflict(resource.kind, resource.group, old["name"], why)
    if version is not None and version != old["resourceVersion"]:
        why = _other("ResourceVersion", version, old["resourceVersion"], "The object might have been modified")
        raise errors.conflict(resource.kind, resource.group, old["name"], why)


def _other(what: str, asked: str, found: str, maybe: str) -> str:
    return f"the {what} in the precondition ({asked}) does not match the {what} in record ({found}). {maybe}"


def has_generation(resource: Resource) -> bool:
    return resource.is_custom or resource.name in COUNTED


def with_generation(new: Object, old: Object) -> Object:
    """One generation further when anything but metadata and status changed."""
    generation = old["metadata"].get("generation")
    if generation is None or desired_state(new) == desired_state(old):
        return new
    return {**new, "metadata": {**new["metadata"], "generation": generation + 1}}


def desired_state(obj: Object) -> Object:
    return {name: value for name, value in obj.items() if name not in {"metadata", "status"}}


def without_empty(meta: Object) -> Object:
    """As Kubernetes stores it: an empty list or map, or null, is no field."""
    return {name: value for name, value in meta.items() if not _is_empty(value)}


def _is_empty(value: Any) -> bool:
    return value is None or value in ({}, [], "")


def new_finalizers(old: Object, new: Object) -> list[str]:
    """Finalizers that were added although the object is being deleted."""
    if not old.get("deletionTimestamp"):
        return []
    return sorted(set(new.get("finalizers") or ()) - set(old.get("finalizers") or ()))


def check_new(resource: Resource, name: str, asked: Object) -> None:
    """409 when an apply that would create was meant for an object that existed."""
    if uid := asked.get("uid"):
        why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        raise errors.conflict(resource.plural, resource.group, name, why)
