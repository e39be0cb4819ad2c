"""What kube-apiserver fills in where a pod, or the template of one, says nothing. Pure.

What is no object is left as it came: validation names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.local.apiserver import quantities

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llmkube.local.objects import Object

CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
CONTAINER: Object = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "resources": {},
}
PROBE: Object = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
HTTP: Object = {"path": "/", "scheme": "HTTP"}
POD: Object = {
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "terminationGracePeriodSeconds": 30,
    "schedulerName": "default-scheduler",
    "securityContext": {},
}
FILES: Object = {"defaultMode": 420}
VOLUMES: Mapping[str, Object] = {
    "configMap": FILES,
    "secret": FILES,
    "projected": FILES,
    "downwardAPI": FILES,
    "hostPath": {"type": ""},
}
TOKEN_SECONDS = 3600


def with_defaults(values: Object | None, defaults: Mapping[str, Any]) -> Object:
    given = values or {}
    return {**given, **{name: value for name, value in defaults.items() if given.get(name) is None}}


def each(spec: Object, name: str, change: Callable[[Object], Object]) -> Object:
    """The spec with every object of one list changed."""
    return {**spec, name: [change(one) for one in spec[name]]} if _is_objects(spec.get(name)) else spec


def inside(spec: Object, name: str, change: Callable[[Object], Object]) -> Object:
    """The spec with one object in it changed."""
    return {**spec, name: change(spec[name])} if isinstance(spec.get(name), dict) else spec


def _is_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def template_spec(spec: Object) -> Object:
    filled = with_defaults(spec, POD)
    if account := filled.get("serviceAccountName") or filled.get("serviceAccount"):
        filled |= {"serviceAccountName": account, "serviceAccount": account}
    for name in CONTAINERS:
        filled = each(filled, name, _container)
    return each(filled, "volumes", _volume)


def pod_spec(spec: Object) -> Object:
    """A pod has a little more than the template of one: what is limited is also requested."""
    filled = with_defaults(template_spec(spec), {"enableServiceLinks": True})
    for name in CONTAINERS[:2]:
        filled = each(filled, name, lambda one: inside(one, "resources", _requests))
    return filled


def _requests(resources: Object) -> Object:
    limits = resources.get("limits")
    if not isinstance(limits, dict) or not limits:
        return resources
    return {**resources, "requests": with_defaults(resources.get("requests"), limits)}


def amounts(resources: Object) -> Object:
    """Requests and limits as quantities are written."""
    for name in ("requests", "limits"):
        resources = inside(resources, name, lambda named: {one: quantities.canonical(named[one]) for one in named})
    return resources


def _container(container: Object) -> Object:
    filled = each(with_defaults(container, CONTAINER), "ports", lambda port: with_defaults(port, {"protocol": "TCP"}))
    if "imagePullPolicy" not in filled and filled.get("image"):
        filled = {**filled, "imagePullPolicy": _pull_policy(str(filled["image"]))}
    for name in PROBES:
        filled = inside(filled, name, lambda probe: _action(with_defaults(probe, PROBE)))
    filled = inside(filled, "lifecycle", _lifecycle)
    return inside(each(filled, "env", _variable), "resources", amounts)


def _pull_policy(image: str) -> str:
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    return "Always" if tag in {"", "latest"} and "@" not in image else "IfNotPresent"


def _action(handler: Object) -> Object:
    filled = inside(handler, "httpGet", lambda get: with_defaults(get, HTTP))
    return inside(filled, "grpc", lambda grpc: with_defaults(grpc, {"service": ""}))


def _lifecycle(lifecycle: Object) -> Object:
    return inside(inside(lifecycle, "preStop", _action), "postStart", _action)


def _variable(variable: Object) -> Object:
    return inside(variable, "valueFrom", lambda source: inside(_field(source), "resourceFieldRef", _divided))


def _field(source: Object) -> Object:
    return inside(source, "fieldRef", lambda field: with_defaults(field, {"apiVersion": "v1"}))


def _divided(reference: Object) -> Object:
    filled = with_defaults(reference, {"divisor": "0"})
    return {**filled, "divisor": quantities.canonical(filled["divisor"])}


def _volume(volume: Object) -> Object:
    if set(volume) <= {"name"}:
        return {**volume, "emptyDir": {}}
    for name, defaults in VOLUMES.items():
        volume = inside(volume, name, lambda source, filled=defaults: with_defaults(source, filled))  # type: ignore[misc]
    volume = inside(volume, "downwardAPI", lambda source: each(source, "items", _field))
    volume = inside(volume, "projected", lambda source: each(source, "sources", _projection))
    return inside(volume, "emptyDir", _directory)


def _projection(source: Object) -> Object:
    filled = inside(source, "downwardAPI", lambda items: each(items, "items", _field))
    token = {"expirationSeconds": TOKEN_SECONDS}
    return inside(filled, "serviceAccountToken", lambda given: with_defaults(given, token))


def _directory(source: Object) -> Object:
    limit = source.get("sizeLimit")
    return source if limit is None else {**source, "sizeLimit": quantities.canonical(limit)}


def quality(spec: Object) -> str:
    """status.qosClass: what a node gives up first."""
    containers = [one for name in CONTAINERS[:2] for one in spec.get(name) or () if isinstance(one, dict)]
    asked = [one.get("resources") or {} for one in containers]
    if not any(_counted(one.get(kind)) for one in asked for kind in ("requests", "limits")):
        return "BestEffort"
    same = (
        _counted(one.get("requests")) == (limits := _counted(one.get("limits"))) and len(limits) == 2 for one in asked
    )
    return "Guaranteed" if all(same) else "Burstable"


def _counted(amounts_of: Any) -> dict[str, Any]:
    named = amounts_of if isinstance(amounts_of, dict) else {}
    return {name: named[name] for name in ("cpu", "memory") if quantities.value(named.get(name))}
