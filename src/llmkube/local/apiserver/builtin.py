"""What is wrong with a built-in object, in kube-apiserver's words: required fields, names, what may not change.

Pure. Not all that Kubernetes checks: what a local machine relies on, and what people get wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from llmkube.local.apiserver import events, immutable, owners
from llmkube.local.apiserver.errors import Cause
from llmkube.local.apiserver.names import (
    CONFIG_KEY,
    KEY_SAYS,
    LABEL,
    LABEL_KEY,
    LABEL_SAYS,
    LABEL_VALUE,
    NAME_SAYS,
    SEGMENT,
    STANDARD_FINALIZERS,
    SUBDOMAIN,
    SUBDOMAIN_SAYS,
)
from llmkube.local.objects import Object, matches_labels, spec_of

if TYPE_CHECKING:
    import re

    from llmkube.local.apiserver.resources import Resource

LABELLED = frozenset({"namespaces", "services"})
APIEXTENSIONS = "apiextensions.k8s.io"
RBAC_GROUP = "rbac.authorization.k8s.io"
RESTARTS = {"jobs.batch": ("OnFailure", "Never"), "pods": ("Always", "OnFailure", "Never")}
Finder = Callable[[Object], Iterator[Cause]]


def required(path: str, what: str = "") -> Cause:
    return Cause("FieldValueRequired", path, f"Required value: {what}" if what else "Required value")


def invalid(path: str, value: Any, why: str) -> Cause:
    return Cause("FieldValueInvalid", path, f"Invalid value: {json.dumps(value)}: {why}")


def problems(resource: Resource, obj: Object, old: Object | None) -> list[Cause]:
    """Every field of the object that Kubernetes would refuse."""
    found = [] if resource.group == APIEXTENSIONS else list(_finalizers(obj["metadata"]))
    found += list(metadata_problems(resource, obj)) if old is None else list(shared_problems(obj["metadata"]))
    if resource.stored_as == "events":
        found += events.problems(resource, obj, old)
    if find := FINDERS.get(resource.name):
        found += find(obj)
    return [*found, *immutable.problems(resource, obj, old)] if old is not None else found


def metadata_problems(resource: Resource, obj: Object) -> Iterator[Cause]:
    """The name and the labels; custom resources are held to them too."""
    meta = obj["metadata"]
    name = meta.get("name", "")
    pattern, says, limit = _name_rule(resource)
    if len(name) > limit:
        yield Cause("FieldValueTooLong", "metadata.name", f"Too long: may not be more than {limit} bytes")
    elif not pattern.fullmatch(name):
        yield invalid("metadata.name", name, says)
    yield from shared_problems(meta)


def shared_problems(meta: Object) -> Iterator[Cause]:
    """What is held to in the metadata of every object, whenever it is written."""
    yield from _labels(meta)
    yield from owners.problems(meta)


def _name_rule(resource: Resource) -> tuple[re.Pattern[str], str, int]:
    if resource.group == RBAC_GROUP:
        return SEGMENT, "may not contain '/' or '%'", 253
    if resource.name in LABELLED:
        return LABEL, LABEL_SAYS, 63
    return SUBDOMAIN, SUBDOMAIN_SAYS, 253


def _labels(meta: Object) -> Iterator[Cause]:
    for key, value in (meta.get("labels") or {}).items():
        if not LABEL_KEY.fullmatch(key):
            yield invalid("metadata.labels", key, NAME_SAYS)
        if not LABEL_VALUE.fullmatch(value):
            yield invalid("metadata.labels", value, "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', at most 63")  # fmt: skip # noqa: E501
    for key in meta.get("annotations") or ():
        if not LABEL_KEY.fullmatch(key.lower()):
            yield invalid("metadata.annotations", key, NAME_SAYS)
    for name in meta.get("finalizers") or ():
        if not LABEL_KEY.fullmatch(str(name)):
            yield invalid("metadata.finalizers", name, NAME_SAYS)


def _finalizers(meta: Object) -> Iterator[Cause]:
    """A finalizer of a built-in object has the domain of whom it belongs to, or is one of Kubernetes' own."""
    for at, name in enumerate(meta.get("finalizers") or ()):
        if "/" not in str(name) and name not in STANDARD_FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            yield invalid(f"metadata.finalizers[{at}]", name, why)


def _keys(obj: Object) -> Iterator[Cause]:
    for field in ("data", "binaryData"):
        for key in obj.get(field) or ():
            if not CONFIG_KEY.fullmatch(key):
                yield invalid(f"{field}[{key}]", key, KEY_SAYS)


def _list(value: Any) -> list[Object]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def pod_problems(spec: Any, path: str, restarts: tuple[str, ...]) -> Iterator[Cause]:
    if not isinstance(spec, dict) or not _list(spec.get("containers")):
        yield required(f"{path}.containers")
        return
    if (policy := spec.get("restartPolicy")) not in restarts:
        wanted = ", ".join(f'"{one}"' for one in restarts)
        message = f'Unsupported value: "{policy}": supported values: {wanted}'
        yield Cause("FieldValueNotSupported", f"{path}.restartPolicy", message)
    names: set[str] = set()
    for field in ("initContainers", "containers"):
        for at, container in enumerate(_list(spec.get(field))):
            yield from _container(container, f"{path}.{field}[{at}]", names)
    yield from _mounts(spec, path)


def _container(container: Object, path: str, names: set[str]) -> Iterator[Cause]:
    name = container.get("name")
    if not name:
        yield required(f"{path}.name")
    elif not LABEL.fullmatch(str(name)):
        yield invalid(f"{path}.name", name, LABEL_SAYS)
    elif name in names:
        yield Cause("FieldValueDuplicate", f"{path}.name", f"Duplicate value: {json.dumps(name)}")
    names.add(str(name))
    if not container.get("image"):
        yield required(f"{path}.image")
    for at, port in enumerate(_list(container.get("ports"))):
        number = port.get("containerPort")
        if not isinstance(number, int) or not 0 < number < 65536:
            yield invalid(f"{path}.ports[{at}].containerPort", number, "must be between 1 and 65535, inclusive")


def _mounts(spec: Object, path: str) -> Iterator[Cause]:
    volumes = {volume.get("name") for volume in _list(spec.get("volumes"))}
    for field in ("initContainers", "containers"):
        for at, container in enumerate(_list(spec.get(field))):
            for index, mount in enumerate(_list(container.get("volumeMounts"))):
                if (name := mount.get("name")) not in volumes:
                    where = f"{path}.{field}[{at}].volumeMounts[{index}].name"
                    yield Cause("FieldValueNotFound", where, f"Not found: {json.dumps(name)}")


def _pod(obj: Object) -> Iterator[Cause]:
    return pod_problems(obj.get("spec"), "spec", RESTARTS["pods"])


def _job(obj: Object) -> Iterator[Cause]:
    template = spec_of(obj).get("template") or {}
    return pod_problems(template.get("spec"), "spec.template.spec", RESTARTS["jobs.batch"])


def _workload(obj: Object) -> Iterator[Cause]:
    spec = spec_of(obj)
    selector, template = spec.get("selector"), spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    if not isinstance(selector, dict) or not selector:
        yield required("spec.selector")
    elif not matches_labels(selector, labels):
        yield invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    replicas = spec.get("replicas")
    if not isinstance(replicas, int) or replicas < 0:
        yield invalid("spec.replicas", replicas, "must be greater than or equal to 0")
    yield from pod_problems(template.get("spec"), "spec.template.spec", ("Always",))


def _service(obj: Object) -> Iterator[Cause]:
    spec = spec_of(obj)
    ports = _list(spec.get("ports"))
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield required("spec.ports")
    for at, port in enumerate(ports):
        number = port.get("port")
        if not isinstance(number, int) or not 0 < number < 65536:
            yield invalid(f"spec.ports[{at}].port", number, "must be between 1 and 65535, inclusive")
        if len(ports) > 1 and not port.get("name"):
            yield required(f"spec.ports[{at}].name")


def _claim(obj: Object) -> Iterator[Cause]:
    spec = spec_of(obj)
    if not spec.get("accessModes"):
        yield required("spec.accessModes", "at least 1 access mode is required")
    if not ((spec.get("resources") or {}).get("requests") or {}).get("storage"):
        yield required("spec.resources[storage]")


FINDERS: Mapping[str, Finder] = {
    "pods": _pod,
    "deployments.apps": _workload,
    "replicasets.apps": _workload,
    "jobs.batch": _job,
    "services": _service,
    "persistentvolumeclaims": _claim,
    "configmaps": _keys,
    "secrets": _keys,
}
