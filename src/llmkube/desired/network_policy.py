"""The NetworkPolicy of an InferenceService's pods.

    network_policy(isvc, spec: InferenceServiceSpec, settings: OperatorSettings, *, fetches: bool) -> dict | None
    shut_out(spec: InferenceServiceSpec) -> Trouble | None      whom the spec invites and does not let in

The engine has one port, for requests and for /metrics. A kubelet is never shut out: what comes from a pod's own node is
always let in (KEP-2079, NetworkPolicy of networking.k8s.io/v1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.desired.labels import selector, service_metadata
from llmkube.desired.naming import child_name
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.service import PORT_NAME

if TYPE_CHECKING:
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.api.network import NetworkAccess
    from llmkube.desired.settings import OperatorSettings
    from llmkube.kube.objects import CustomResource

Manifest = dict[str, Any]
_THIS_NAMESPACE: Manifest = {"podSelector": {}}
_NAMESPACE_NAME = "kubernetes.io/metadata.name"


def network_policy(
    isvc: CustomResource, spec: InferenceServiceSpec, settings: OperatorSettings, *, fetches: bool
) -> Manifest | None:
    """Return the policy. Pods that fetch for themselves may connect to others, and to DNS."""
    said = spec.network_policy
    if said is None or not said.enabled:
        return None
    name = isvc.metadata.name
    is_closed = said.egress == "Deny" and not fetches
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": service_metadata(isvc, name=child_name(name)),
        "spec": {
            "podSelector": {"matchLabels": selector(name, "inference")},
            "policyTypes": ["Ingress", "Egress"] if is_closed else ["Ingress"],
            "ingress": _ingress(said, settings),
            # Said, though it is nothing: another's rules would be others' fields, and stay.
            **({"egress": []} if is_closed else {}),
        },
    }


def shut_out(spec: InferenceServiceSpec) -> Trouble | None:
    """Return that clients from outside have a way in and are not let in at its end."""
    said, way = spec.network_policy, spec.endpoint
    if said is None or not said.enabled or said.allow_from is not None:
        return None
    by = "route" if way.route else "type" if way.type in {"NodePort", "LoadBalancer"} else ""
    if not by:
        return None
    line = f"spec.endpoint.{by}: it leads in from outside, and spec.networkPolicy lets in pods of this namespace only"
    return Trouble("ShutOut", f"{line}; name who comes that way in spec.networkPolicy.allowFrom")


def _ingress(said: NetworkAccess, settings: OperatorSettings) -> list[Manifest]:
    """One rule: an entry without `from` would let everybody in, so that nobody is no entry at all."""
    peers = [each.manifest() for each in said.allow_from] if said.allow_from is not None else [_THIS_NAMESPACE]
    peers += [{"namespaceSelector": {"matchLabels": {_NAMESPACE_NAME: each}}} for each in settings.scrape_from]
    return [{"from": peers, "ports": [{"port": PORT_NAME, "protocol": "TCP"}]}] if peers else []
