"""Reading Kubernetes objects as the registry gives them (plain JSON values), for the controllers and the node.

Pure: it computes from objects and never writes one. Objects of the registry are shared; nobody may change them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

Object = dict[str, Any]
Clock = Callable[[], datetime]


class StatusError(Exception):
    def __init__(self, code: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


class Key(NamedTuple):
    """Namespace ("" when cluster-scoped) and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Change(Protocol):
    """One committed change: ADDED, MODIFIED or DELETED."""

    @property
    def type(self) -> str: ...
    @property
    def resource(self) -> str: ...
    @property
    def object(self) -> Object: ...
    @property
    def old(self) -> Object | None: ...


class Registry(Protocol):
    """The part of the API in process that controllers and the node use; llmkube.local.apiserver.registry has it."""

    def create(
        self, resource: str, namespace: str | None, obj: Object, *, manager: str = "", dry_run: bool = False
    ) -> Object: ...
    def get(self, resource: str, namespace: str | None, name: str) -> Object: ...
    def list(
        self, resource: str, namespace: str | None = None, *, label_selector: str = "", field_selector: str = ""
    ) -> list[Object]: ...
    def update(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        obj: Object,
        *,
        subresource: str = "",
        manager: str = "",
    ) -> Object: ...
    def delete(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        *,
        propagation: str = "Background",
        uid: str | None = None,
        grace_period: int | None = None,
    ) -> Object: ...
    def subscribe(self, callback: Callable[[Any], None]) -> Callable[[], None]: ...


def key_of(obj: Object) -> Key:
    meta = obj["metadata"]
    return Key(meta.get("namespace") or "", meta["name"])


def uid_of(obj: Object) -> str:
    return str(obj["metadata"].get("uid", ""))


def spec_of(obj: Object) -> Object:
    return obj.get("spec") or {}


def status_of(obj: Object) -> Object:
    return obj.get("status") or {}


def labels_of(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def is_deleting(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def controller_of(obj: Object) -> Object | None:
    """The owner reference of the controller, if there is one."""
    owners = obj["metadata"].get("ownerReferences") or ()
    return next((owner for owner in owners if owner.get("controller")), None)


def is_controlled_by(obj: Object, owner: Object) -> bool:
    reference = controller_of(obj)
    return reference is not None and reference.get("uid") == uid_of(owner)


def controller_reference(owner: Object) -> Object:
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def container_of(pod: Object, wanted: str) -> str:
    """The container that is meant: the only one, when none is named. StatusError 400 when there is no such one."""
    spec, name = spec_of(pod), pod["metadata"]["name"]
    names = [str(one["name"]) for kind in ("initContainers", "containers") for one in spec.get(kind) or ()]
    if not wanted and len(spec.get("containers") or ()) == 1:
        return names[-1]
    if not wanted:
        raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]")
    if wanted not in names:
        raise bad_request(f"container {wanted} is not valid for pod {name}")
    return wanted


def with_status(obj: Object, status: Object) -> Object:
    return {**obj, "status": status}


def condition(obj: Object, kind: str) -> Object | None:
    conditions = status_of(obj).get("conditions") or ()
    return next((one for one in conditions if one.get("type") == kind), None)


def condition_is_true(obj: Object, kind: str) -> bool:
    found = condition(obj, kind)
    return found is not None and found.get("status") == "True"


def time_text(moment: datetime) -> str:
    """RFC 3339 in whole seconds, as Kubernetes writes metav1.Time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def canonical_hash(value: object, *, length: int = 10) -> str:
    """The same value gives the same hash, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def matches_labels(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """A metav1.LabelSelector against labels; no selector matches nothing, an empty one everything."""
    if selector is None:
        return False
    wanted = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or ()
    return all(labels.get(name) == value for name, value in wanted.items()) and matches_expressions(expressions, labels)


def matches_expressions(expressions: Iterable[Mapping[str, Any]], labels: Mapping[str, str]) -> bool:
    return all(_matches(expression, labels) for expression in expressions)


def _matches(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value = labels.get(expression["key"])
    values = expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            return False
