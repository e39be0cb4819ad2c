"""The columns of built-in resources, as kubectl prints them (kubernetes/pkg/printers/internalversion). Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from llmkube.local.apiserver import access_columns as access
from llmkube.local.apiserver.pod_columns import pod_ready, pod_restarts, pod_status
from llmkube.local.objects import condition_is_true, parse_time, spec_of, status_of

if TYPE_CHECKING:
    from llmkube.local.objects import Object

Cell = Callable[["Object", datetime], Any]
UNKNOWN = "<unknown>"
NONE = "<none>"


@dataclass(frozen=True)
class Column:
    name: str
    cell: Cell
    kind: str = "string"
    wide: bool = False
    form: str = ""
    described: str = ""

    def definition(self) -> Object:
        return {
            "name": self.name,
            "type": self.kind,
            "format": self.form,
            "description": self.described or self.name,
            "priority": int(self.wide),
        }


def duration(seconds: float) -> str:
    """As kubectl's HumanDuration: two units where one would be coarse."""
    whole = max(int(seconds), 0)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    return _two(days // 365, "y", days % 365, "d") if days < 2920 else f"{days // 365}y"


def _two(first: int, unit: str, rest: int, small: str) -> str:
    return f"{first}{unit}{rest}{small}" if rest else f"{first}{unit}"


def age(text: object, now: datetime) -> str:
    """How long ago an RFC 3339 time is."""
    try:
        return duration((now - parse_time(str(text))).total_seconds())
    except (ValueError, TypeError):
        return UNKNOWN


def _name(obj: Object, _: datetime) -> str:
    return str(obj["metadata"].get("name", ""))


def _age(obj: Object, now: datetime) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def _spec(name: str, otherwise: object = NONE) -> Cell:
    return lambda obj, _: spec_of(obj).get(name, otherwise)


def _status(name: str, otherwise: object = NONE) -> Cell:
    return lambda obj, _: status_of(obj).get(name, otherwise)


def _containers(field: str) -> Cell:
    def cell(obj: Object, _: datetime) -> str:
        pod = (spec_of(obj).get("template") or {}).get("spec") or {}
        return ",".join(str(one.get(field, "")) for one in pod.get("containers") or ())

    return cell


def _selector(obj: Object, _: datetime) -> str:
    selector = spec_of(obj).get("selector") or {}
    labels: Object = selector.get("matchLabels") or selector
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()) if isinstance(value, str)) or NONE


def _ready_of(obj: Object, _: datetime) -> str:
    return f"{status_of(obj).get('readyReplicas', 0)}/{spec_of(obj).get('replicas', 0)}"


def _job_status(obj: Object, _: datetime) -> str:
    for kind, shown in (("Complete", "Complete"), ("Failed", "Failed"), ("Suspended", "Suspended")):
        if condition_is_true(obj, kind):
            return shown
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else "Running"


def _job_duration(obj: Object, now: datetime) -> str:
    status = status_of(obj)
    if not status.get("startTime"):
        return ""
    end = parse_time(status["completionTime"]) if status.get("completionTime") else now
    return age(status["startTime"], end)


def _ports(obj: Object, _: datetime) -> str:
    shown = []
    for port in spec_of(obj).get("ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port['port']}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(shown) or NONE


def _count(field: str) -> Cell:
    return lambda obj, _: len(obj.get(field) or {})


def _node_status(obj: Object, _: datetime) -> str:
    return "Ready" if condition_is_true(obj, "Ready") else "NotReady"


def _event_object(obj: Object, _: datetime) -> str:
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


def _event_seen(obj: Object, now: datetime) -> str:
    series = obj.get("series") or {}
    times = (series.get("lastObservedTime"), obj.get("lastTimestamp"), obj.get("deprecatedLastTimestamp"))
    last = next((one for one in (*times, obj.get("eventTime")) if one), obj["metadata"].get("creationTimestamp"))
    return age(last, now)


def _endpoints(obj: Object, _: datetime) -> str:
    found = [address for one in obj.get("endpoints") or () for address in one.get("addresses") or ()]
    return ",".join(found[:3]) or "<unset>"


def _slice_ports(obj: Object, _: datetime) -> str:
    return ",".join(str(port.get("port", "")) for port in obj.get("ports") or ()) or "<unset>"


def _capacity(obj: Object, _: datetime) -> str:
    return str((status_of(obj).get("capacity") or {}).get("storage", ""))


def _modes(obj: Object, _: datetime) -> str:
    short = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
    return ",".join(short.get(one, one) for one in spec_of(obj).get("accessModes") or ())


NAME = Column("Name", _name, form="name")
AGE = Column("Age", _age)
PLAIN = (NAME, Column("Created At", lambda obj, _: obj["metadata"].get("creationTimestamp"), kind="date"))
CONTAINERS = (Column("Containers", _containers("name"), wide=True), Column("Images", _containers("image"), wide=True))
SELECTOR = Column("Selector", _selector, wide=True)
BUILTIN: Mapping[str, tuple[Column, ...]] = {
    "pods": (
        NAME,
        Column("Ready", pod_ready),
        Column("Status", lambda obj, _: pod_status(obj)),
        Column("Restarts", pod_restarts),
        AGE,
        Column("IP", _status("podIP"), wide=True),
        Column("Node", _spec("nodeName"), wide=True),
    ),
    "deployments.apps": (
        NAME,
        Column("Ready", _ready_of),
        Column("Up-to-date", _status("updatedReplicas", 0), kind="integer"),
        Column("Available", _status("availableReplicas", 0), kind="integer"),
        AGE,
        *CONTAINERS,
        SELECTOR,
    ),
    "replicasets.apps": (
        NAME,
        Column("Desired", _spec("replicas", 0), kind="integer"),
        Column("Current", _status("replicas", 0), kind="integer"),
        Column("Ready", _status("readyReplicas", 0), kind="integer"),
        AGE,
        *CONTAINERS,
        SELECTOR,
    ),
    "jobs.batch": (
        NAME,
        Column("Status", _job_status),
        Column(
            "Completions", lambda obj, _: f"{status_of(obj).get('succeeded', 0)}/{spec_of(obj).get('completions', 1)}"
        ),
        Column("Duration", _job_duration),
        AGE,
        *CONTAINERS,
    ),
    "services": (
        NAME,
        Column("Type", _spec("type")),
        Column("Cluster-IP", _spec("clusterIP")),
        Column("External-IP", lambda obj, _: ",".join(spec_of(obj).get("externalIPs") or ()) or NONE),
        Column("Port(s)", _ports),
        AGE,
        SELECTOR,
    ),
    "persistentvolumeclaims": (
        NAME,
        Column("Status", _status("phase")),
        Column("Volume", _spec("volumeName", "")),
        Column("Capacity", _capacity),
        Column("Access Modes", _modes),
        Column("StorageClass", _spec("storageClassName", "")),
        AGE,
    ),
    "configmaps": (NAME, Column("Data", _count("data"), kind="integer"), AGE),
    "secrets": (
        NAME,
        Column("Type", lambda obj, _: obj.get("type")),
        Column("Data", _count("data"), kind="integer"),
        AGE,
    ),
    "namespaces": (NAME, Column("Status", _status("phase")), AGE),
    "nodes": (
        NAME,
        Column("Status", _node_status),
        AGE,
        Column("Version", lambda obj, _: (status_of(obj).get("nodeInfo") or {}).get("kubeletVersion", "")),
    ),
    "events": (
        Column("Last Seen", _event_seen),
        Column("Type", lambda obj, _: obj.get("type", "")),
        Column("Reason", lambda obj, _: obj.get("reason", "")),
        Column("Object", _event_object),
        Column("Message", lambda obj, _: (obj.get("message") or obj.get("note") or "").strip()),
        Column("Name", _name, wide=True),
    ),
    "endpointslices.discovery.k8s.io": (
        NAME,
        Column("AddressType", lambda obj, _: obj.get("addressType")),
        Column("Ports", _slice_ports),
        Column("Endpoints", _endpoints),
        AGE,
    ),
    "ingresses.networking.k8s.io": (
        NAME,
        Column("Class", access.ingress_class),
        Column("Hosts", access.ingress_hosts),
        Column("Address", access.ingress_address),
        Column("Ports", access.ingress_ports),
        AGE,
    ),
    "ingressclasses.networking.k8s.io": (
        NAME,
        Column("Controller", _spec("controller", "")),
        Column("Parameters", access.class_parameters),
        AGE,
    ),
    "networkpolicies.networking.k8s.io": (NAME, Column("Pod-Selector", access.policy_pods), AGE),
    "poddisruptionbudgets.policy": (
        NAME,
        Column("Min Available", access.budget_least),
        Column("Max Unavailable", access.budget_most),
        Column("Allowed Disruptions", _status("disruptionsAllowed", 0), kind="integer"),
        AGE,
    ),
    "leases.coordination.k8s.io": (NAME, Column("Holder", _spec("holderIdentity", "")), AGE),
}
