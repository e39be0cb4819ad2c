"""What kube-apiserver fills in where a built-in object says nothing, so that clients read back what they expect.

Pure. Only the resources that a local machine runs or that clients read back are here; others stay as they came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.local.apiserver import events
from llmkube.local.apiserver import pod_defaults as pods
from llmkube.local.apiserver.omitted import without_omitted
from llmkube.local.apiserver.pod_defaults import each, with_defaults
from llmkube.local.apiserver.resources import DEFINITIONS
from llmkube.local.objects import Object, spec_of, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llmkube.local.apiserver.resources import Resource

RBAC_GROUP = "rbac.authorization.k8s.io"
ROLLING: Object = {"maxSurge": "25%", "maxUnavailable": "25%"}
DEPLOYMENT: Object = {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
JOB: Object = {
    "backoffLimit": 6,
    "completionMode": "NonIndexed",
    "suspend": False,
    "manualSelector": False,
    "podReplacementPolicy": "TerminatingOrFailed",
}
SERVICE: Object = {"type": "ClusterIP", "sessionAffinity": "None"}
INTERNAL: Object = {"internalTrafficPolicy": "Cluster"}
EXTERNAL: Object = {"externalTrafficPolicy": "Cluster"}
HEADLESS: Object = {"clusterIPs": ["None"], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}
HALF_BUSY: Object = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
}
ALLOCATED = {
    "services": ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"),
    "persistentvolumeclaims": ("volumeName", "storageClassName"),
}


def prepare(resource: Resource, obj: Object, old: Object | None) -> Object:
    """The object with Kubernetes' defaults; what the cluster allocated for it before is kept."""
    fill = FILLS.get(resource.name)
    said = obj if resource.name == DEFINITIONS else _said(obj)
    filled = fill(said) if fill else said
    filled = events.filled(resource, filled) if resource.stored_as == "events" else filled
    filled = _kept(filled, old, ALLOCATED.get(resource.name, ()))
    return filled if old is not None else _first_status(resource, filled)


def _said(obj: Object) -> Object:
    return {**obj, "spec": without_omitted(obj["spec"])} if isinstance(obj.get("spec"), dict) else obj


def _kept(obj: Object, old: Object | None, names: tuple[str, ...]) -> Object:
    before = spec_of(old) if old else {}
    missing = {name: before[name] for name in names if name in before and not spec_of(obj).get(name)}
    return {**obj, "spec": {**spec_of(obj), **missing}} if missing else obj


FIRST_STATUS: Mapping[str, Object] = {
    "pods": {"phase": "Pending"},
    "persistentvolumeclaims": {"phase": "Pending"},
    "namespaces": {"phase": "Active"},
    "services": {"loadBalancer": {}},
    "deployments.apps": {},
    "jobs.batch": {},
    "replicasets.apps": {"replicas": 0},
    "horizontalpodautoscalers.autoscaling": {"desiredReplicas": 0, "currentMetrics": None},
    "poddisruptionbudgets.policy": {
        "currentHealthy": 0,
        "desiredHealthy": 0,
        "disruptionsAllowed": 0,
        "expectedPods": 0,
    },
}


def _first_status(resource: Resource, obj: Object) -> Object:
    first = FIRST_STATUS.get(resource.name)
    if first is None:
        return obj
    quality = {"qosClass": pods.quality(spec_of(obj))} if resource.name == "pods" else {}
    return {**obj, "status": {**first, **quality, **status_of(obj)}}


def _pod(obj: Object) -> Object:
    return {**obj, "spec": pods.pod_spec(spec_of(obj))}


def _template(spec: Object) -> Object:
    template = spec.get("template")
    if not isinstance(template, dict) or not isinstance(template.get("spec"), dict):
        return spec
    return {**spec, "template": {"metadata": {}, **template, "spec": pods.template_spec(template["spec"])}}


def _deployment(obj: Object) -> Object:
    spec = with_defaults(_template(spec_of(obj)), {**DEPLOYMENT, "strategy": {"type": "RollingUpdate"}})
    strategy = spec["strategy"]
    if isinstance(strategy, dict) and strategy.get("type", "RollingUpdate") == "RollingUpdate":
        rolling = with_defaults(strategy.get("rollingUpdate"), ROLLING)
        spec["strategy"] = {**strategy, "type": "RollingUpdate", "rollingUpdate": rolling}
    return {**obj, "spec": spec}


def _replica_set(obj: Object) -> Object:
    return {**obj, "spec": with_defaults(_template(spec_of(obj)), {"replicas": 1})}


def _job(obj: Object) -> Object:
    spec = with_defaults(_template(spec_of(obj)), JOB)
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec |= {"completions": 1}
    return _tracked({**obj, "spec": with_defaults(spec, {"parallelism": 1})})


def _tracked(job: Object) -> Object:
    """A job finds its pods by its uid, in the labels of its template; a job without labels gets those of its pods."""
    spec, meta = spec_of(job), job["metadata"]
    if spec.get("manualSelector") or not isinstance(spec.get("template"), dict):
        return job
    told = {"job-name": meta["name"], "controller-uid": meta["uid"]}
    told |= {f"batch.kubernetes.io/{name}": value for name, value in told.items()}
    template = spec["template"]
    labels = {**((template.get("metadata") or {}).get("labels") or {}), **told}
    by_uid = {"matchLabels": {"batch.kubernetes.io/controller-uid": meta["uid"]}}
    filled = {**spec, "template": {**template, "metadata": {**(template.get("metadata") or {}), "labels": labels}}}
    return {
        **job,
        "metadata": {**meta, "labels": meta.get("labels") or labels},
        "spec": with_defaults(filled, {"selector": by_uid}),
    }


def _service(obj: Object) -> Object:
    spec = each(with_defaults(spec_of(obj), SERVICE), "ports", _service_port)
    if spec["type"] != "ExternalName":
        spec = with_defaults(spec, INTERNAL)
    if spec["type"] in {"NodePort", "LoadBalancer"}:
        spec = with_defaults(spec, EXTERNAL)
    if spec["type"] == "LoadBalancer":
        spec = with_defaults(spec, {"allocateLoadBalancerNodePorts": True})
    return {**obj, "spec": with_defaults(spec, HEADLESS) if spec.get("clusterIP") == "None" else spec}


def _service_port(port: Object) -> Object:
    return with_defaults(port, {"protocol": "TCP", **({"targetPort": port["port"]} if "port" in port else {})})


def _claim(obj: Object) -> Object:
    spec = with_defaults(spec_of(obj), {"volumeMode": "Filesystem"})
    return {**obj, "spec": pods.inside(spec, "resources", pods.amounts)}


def _secret(obj: Object) -> Object:
    return with_defaults(obj, {"type": "Opaque"})


def _autoscaler(obj: Object) -> Object:
    return {**obj, "spec": with_defaults(spec_of(obj), {"minReplicas": 1, "metrics": [HALF_BUSY]})}


def _policy(obj: Object) -> Object:
    """A NetworkPolicy: about what comes in, and about what goes out where it says anything of it."""
    spec = spec_of(obj)
    kinds = ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    for way in ("ingress", "egress"):
        spec = each(spec, way, lambda rule: each(rule, "ports", lambda port: with_defaults(port, {"protocol": "TCP"})))
    return {**obj, "spec": with_defaults(spec, {"policyTypes": kinds})}


def _binding(obj: Object) -> Object:
    return each(obj, "subjects", _subject)


def _subject(subject: Object) -> Object:
    group = RBAC_GROUP if subject.get("kind") in {"User", "Group"} else None
    return with_defaults(subject, {"apiGroup": group}) if group else subject


def _definition(obj: Object) -> Object:
    return {**obj, "spec": with_defaults(spec_of(obj), {"conversion": {"strategy": "None"}})}


FILLS: Mapping[str, Callable[[Object], Object]] = {
    "pods": _pod,
    "deployments.apps": _deployment,
    "replicasets.apps": _replica_set,
    "jobs.batch": _job,
    "services": _service,
    "persistentvolumeclaims": _claim,
    "secrets": _secret,
    "horizontalpodautoscalers.autoscaling": _autoscaler,
    "networkpolicies.networking.k8s.io": _policy,
    "rolebindings.rbac.authorization.k8s.io": _binding,
    "clusterrolebindings.rbac.authorization.k8s.io": _binding,
    "customresourcedefinitions.apiextensions.k8s.io": _definition,
}
