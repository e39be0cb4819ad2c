"""What kube-apiserver fills in where a built-in object says nothing, so that clients read back what they expect.

Pure. Only the resources that a local machine runs or that clients read back are here; others stay as they came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.local.objects import Object, spec_of, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llmkube.local.apiserver.resources import Resource

CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
CONTAINER: Object = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "resources": {},
}
PROBE: Object = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
POD: Object = {
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "terminationGracePeriodSeconds": 30,
    "schedulerName": "default-scheduler",
    "enableServiceLinks": True,
    "securityContext": {},
}
ROLLING: Object = {"maxSurge": "25%", "maxUnavailable": "25%"}
DEPLOYMENT: Object = {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
JOB: Object = {
    "backoffLimit": 6,
    "completionMode": "NonIndexed",
    "suspend": False,
    "manualSelector": False,
    "podReplacementPolicy": "TerminatingOrFailed",
}
SERVICE: Object = {"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"}
VOLUME_MODES: Mapping[str, Object] = {
    "configMap": {"defaultMode": 420},
    "secret": {"defaultMode": 420},
    "projected": {"defaultMode": 420},
    "downwardAPI": {"defaultMode": 420},
}
ALLOCATED = {
    "services": ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"),
    "persistentvolumeclaims": ("volumeName", "storageClassName"),
}


def prepare(resource: Resource, obj: Object, old: Object | None) -> Object:
    """The object with Kubernetes' defaults; what the cluster allocated for it before is kept."""
    fill = FILLS.get(resource.name)
    filled = fill(obj) if fill else obj
    filled = _kept(filled, old, ALLOCATED.get(resource.name, ()))
    return filled if old is not None else _first_status(resource, filled)


def _kept(obj: Object, old: Object | None, names: tuple[str, ...]) -> Object:
    before = spec_of(old) if old else {}
    missing = {name: before[name] for name in names if name in before and not spec_of(obj).get(name)}
    return {**obj, "spec": {**spec_of(obj), **missing}} if missing else obj


FIRST_PHASE = {"pods": "Pending", "persistentvolumeclaims": "Pending", "namespaces": "Active"}


def _first_status(resource: Resource, obj: Object) -> Object:
    phase = FIRST_PHASE.get(resource.name)
    if phase is None or status_of(obj).get("phase"):
        return obj
    quality = {"qosClass": "BestEffort"} if resource.name == "pods" else {}
    return {**obj, "status": {**status_of(obj), "phase": phase, **quality}}


def _with(values: Object | None, defaults: Mapping[str, Any]) -> Object:
    given = values or {}
    return {**given, **{name: value for name, value in defaults.items() if given.get(name) is None}}


def _is_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _each(spec: Object, name: str, change: Callable[[Object], Object]) -> Object:
    """The spec with every object of one list changed; anything else is left for validation to name."""
    return {**spec, name: [change(one) for one in spec[name]]} if _is_objects(spec.get(name)) else spec


def pod_spec(spec: Object) -> Object:
    filled = _with(spec, POD)
    for name in CONTAINERS:
        filled = _each(filled, name, _container)
    return _each(filled, "volumes", _volume)


def _container(container: Object) -> Object:
    filled = _each(_with(container, CONTAINER), "ports", lambda port: _with(port, {"protocol": "TCP"}))
    if "imagePullPolicy" not in filled and filled.get("image"):
        filled = {**filled, "imagePullPolicy": _pull_policy(str(filled["image"]))}
    probes = {name: _probe(filled[name]) for name in PROBES if isinstance(filled.get(name), dict)}
    return {**_each(filled, "env", _variable), **probes}


def _pull_policy(image: str) -> str:
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    return "Always" if tag in {"", "latest"} and "@" not in image else "IfNotPresent"


def _probe(probe: Object) -> Object:
    filled = _with(probe, PROBE)
    if isinstance(filled.get("httpGet"), dict):
        filled["httpGet"] = _with(filled["httpGet"], {"path": "/", "scheme": "HTTP"})
    return filled


def _variable(variable: Object) -> Object:
    source = variable.get("valueFrom")
    field = source.get("fieldRef") if isinstance(source, dict) else None
    if not isinstance(source, dict) or not isinstance(field, dict):
        return variable
    return {**variable, "valueFrom": {**source, "fieldRef": _with(field, {"apiVersion": "v1"})}}


def _volume(volume: Object) -> Object:
    modes = {
        name: _with(volume[name], VOLUME_MODES[name]) for name in VOLUME_MODES if isinstance(volume.get(name), dict)
    }
    return {**volume, **modes}


def _pod(obj: Object) -> Object:
    return {**obj, "spec": pod_spec(spec_of(obj))}


def _template(spec: Object) -> Object:
    template = spec.get("template")
    if not isinstance(template, dict) or not isinstance(template.get("spec"), dict):
        return spec
    return {**spec, "template": {"metadata": {}, **template, "spec": pod_spec(template["spec"])}}


def _deployment(obj: Object) -> Object:
    spec = _with(_template(spec_of(obj)), {**DEPLOYMENT, "strategy": {"type": "RollingUpdate"}})
    strategy = spec["strategy"]
    if isinstance(strategy, dict) and strategy.get("type", "RollingUpdate") == "RollingUpdate":
        rolling = _with(strategy.get("rollingUpdate"), ROLLING)
        spec["strategy"] = {**strategy, "type": "RollingUpdate", "rollingUpdate": rolling}
    return {**obj, "spec": spec}


def _replica_set(obj: Object) -> Object:
    return {**obj, "spec": _with(_template(spec_of(obj)), {"replicas": 1})}


def _job(obj: Object) -> Object:
    spec = _with(_template(spec_of(obj)), JOB)
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec |= {"completions": 1}
    return {**obj, "spec": _with(spec, {"parallelism": 1})}


def _service(obj: Object) -> Object:
    return {**obj, "spec": _each(_with(spec_of(obj), SERVICE), "ports", _service_port)}


def _service_port(port: Object) -> Object:
    return _with(port, {"protocol": "TCP", **({"targetPort": port["port"]} if "port" in port else {})})


def _claim(obj: Object) -> Object:
    return {**obj, "spec": _with(spec_of(obj), {"volumeMode": "Filesystem"})}


def _secret(obj: Object) -> Object:
    return _with(obj, {"type": "Opaque"})


def _definition(obj: Object) -> Object:
    return {**obj, "spec": _with(spec_of(obj), {"conversion": {"strategy": "None"}})}


FILLS: Mapping[str, Callable[[Object], Object]] = {
    "pods": _pod,
    "deployments.apps": _deployment,
    "replicasets.apps": _replica_set,
    "jobs.batch": _job,
    "services": _service,
    "persistentvolumeclaims": _claim,
    "secrets": _secret,
    "customresourcedefinitions.apiextensions.k8s.io": _definition,
}
