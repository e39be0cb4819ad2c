"""Services: a cluster address, node ports where they are exposed, and EndpointSlices that say which pods answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.local.controllers.node_ports import with_node_ports
from llmkube.local.node.addresses import allocate
from llmkube.local.node.status import is_finished, ready_since
from llmkube.local.objects import (
    Change,
    Key,
    Object,
    canonical_hash,
    controller_reference,
    is_deleting,
    key_of,
    labels_of,
    spec_of,
    status_of,
    uid_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmkube.local.controllers.cluster import Cluster

RESOURCE = "services"
SLICES = "endpointslices.discovery.k8s.io"
SERVICE_LABEL = "kubernetes.io/service-name"
MANAGED_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGED_BY = "endpointslice-controller.k8s.io"
SERVICE_NETWORK = "127.96"


class Services:
    name = "endpointslice-controller"
    watched = (RESOURCE, "pods", SLICES)

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def keys(self, change: Change) -> Iterable[Key]:
        if change.resource == RESOURCE:
            return [key_of(change.object)]
        namespace = key_of(change.object).namespace
        if change.resource == SLICES:
            service = labels_of(change.object).get(SERVICE_LABEL)
            return [Key(namespace, service)] if service else []
        states = [labels_of(one) for one in (change.object, change.old) if one is not None]
        services = self._cluster.everything(RESOURCE, namespace)
        return [key_of(one) for one in services if any(selects(one, labels) for labels in states)]

    async def reconcile(self, key: Key) -> float | None:
        service = self._cluster.get(RESOURCE, key)
        if service is None or is_deleting(service) or spec_of(service).get("type") == "ExternalName":
            return None
        if not spec_of(service).get("clusterIP"):
            service = self._assign(service)
        service = self._cluster.set_spec(RESOURCE, service, ports=with_node_ports(service, used=self._node_ports(key)))
        if spec_of(service).get("selector"):
            self._sync(service)
        return None

    def _assign(self, service: Object) -> Object:
        used = {spec_of(one).get("clusterIP", "") for one in self._cluster.everything(RESOURCE)}
        ports = {port["port"] for port in tcp_ports(service)}
        address = allocate(uid_of(service), used=used, ports=ports, network=SERVICE_NETWORK)
        family = {"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}
        return self._cluster.set_spec(RESOURCE, service, clusterIP=address, clusterIPs=[address], **family)

    def _node_ports(self, but: Key) -> set[int]:
        others = (one for one in self._cluster.everything(RESOURCE) if key_of(one) != but)
        return {port["nodePort"] for one in others for port in spec_of(one).get("ports") or () if port.get("nodePort")}

    def _sync(self, service: Object) -> None:
        """One slice for each way in which the pods name their ports."""
        wanted = {one["metadata"]["name"]: one for one in slices(service, self._pods(service))}
        live = {one["metadata"]["name"]: one for one in self._slices(service)}
        for name, one in wanted.items():
            if name not in live:
                self._cluster.create(SLICES, one)
            elif _content(live[name]) != _content(one) or labels_of(live[name]) != labels_of(one):
                metadata = {**live[name]["metadata"], "labels": labels_of(one)}
                self._cluster.update(SLICES, {**live[name], **_content(one), "metadata": metadata})
        for name in live.keys() - wanted.keys():
            self._cluster.delete(SLICES, live[name])

    def _pods(self, service: Object) -> list[Object]:
        pods = self._cluster.everything("pods", key_of(service).namespace)
        chosen = [pod for pod in pods if selects(service, labels_of(pod)) and status_of(pod).get("podIP")]
        return sorted((pod for pod in chosen if not is_finished(pod)), key=lambda pod: str(pod["metadata"]["name"]))

    def _slices(self, service: Object) -> list[Object]:
        key = key_of(service)
        slices_here = self._cluster.registry.list(SLICES, key.namespace, label_selector=f"{SERVICE_LABEL}={key.name}")
        return [one for one in slices_here if labels_of(one).get(MANAGED_LABEL) == MANAGED_BY]


def selects(service: Object, labels: dict[str, str]) -> bool:
    selector = spec_of(service).get("selector") or {}
    return bool(selector) and selector.items() <= labels.items()


def tcp_ports(service: Object) -> list[Object]:
    return [port for port in spec_of(service).get("ports") or () if port.get("protocol", "TCP") == "TCP"]


def slices(service: Object, pods: Iterable[Object]) -> list[Object]:
    """The EndpointSlices of a Service. Pure."""
    groups: dict[str, tuple[list[Object], list[Object]]] = {}
    for pod in pods:
        ports = target_ports(service, pod)
        _, endpoints = groups.setdefault(canonical_hash(ports, length=5), (ports, []))
        endpoints.append(endpoint(service, pod))
    if not groups:
        groups["none0"] = ([], [])
    return [_slice(service, suffix, ports, endpoints) for suffix, (ports, endpoints) in groups.items()]


def target_ports(service: Object, pod: Object) -> list[Object]:
    """The Service's ports with the number that each has in this pod; a name that the pod lacks is left out."""
    named = {
        port["name"]: port["containerPort"]
        for container in spec_of(pod)["containers"]
        for port in container.get("ports") or ()
        if "name" in port
    }
    found = []
    for port in tcp_ports(service):
        target: Any = port.get("targetPort", port["port"])
        number = named.get(target) if isinstance(target, str) and not target.isdigit() else int(target)
        if number is not None:
            found.append({"name": port.get("name", ""), "port": number, "protocol": "TCP"})
    return found


def endpoint(service: Object, pod: Object) -> Object:
    serving = bool(ready_since(pod)) or bool(spec_of(service).get("publishNotReadyAddresses"))
    meta = pod["metadata"]
    return {
        "addresses": [status_of(pod)["podIP"]],
        "conditions": {
            "ready": serving and not is_deleting(pod),
            "serving": serving,
            "terminating": is_deleting(pod),
        },
        "nodeName": spec_of(pod).get("nodeName", ""),
        "targetRef": {"kind": "Pod", "name": meta["name"], "namespace": meta["namespace"], "uid": uid_of(pod)},
    }


def _slice(service: Object, suffix: str, ports: list[Object], endpoints: list[Object]) -> Object:
    meta = service["metadata"]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{meta['name']}-{suffix}",
            "namespace": meta["namespace"],
            "labels": {**labels_of(service), SERVICE_LABEL: meta["name"], MANAGED_LABEL: MANAGED_BY},
            "ownerReferences": [controller_reference(service)],
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": ports,
    }


def _content(endpoint_slice: Object) -> Object:
    return {name: endpoint_slice.get(name) or [] for name in ("endpoints", "ports")}
