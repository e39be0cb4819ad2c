"""What stands beside the Deployment and the Service of an InferenceService, where its spec asks for it.

    accessories(isvc, spec, settings, *, scale: Scale, fetches: bool) -> tuple[Accessory, ...]
    fetches(deployment: dict) -> bool        whether the pods of a Deployment fetch for themselves

At most one of each kind. What is not in the answer is not wanted any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmkube.desired.disruption_budget import disruption_budget
from llmkube.desired.network_policy import network_policy
from llmkube.desired.pod_monitor import pod_monitor
from llmkube.desired.routes import http_route, ingress
from llmkube.kube.kinds import DISRUPTION_BUDGET, HTTP_ROUTE, INGRESS, NETWORK_POLICY, POD_MONITOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.desired.replicas import Scale
    from llmkube.desired.settings import OperatorSettings
    from llmkube.kube.kinds import Kind
    from llmkube.kube.objects import CustomResource, Opaque

_FETCH = ["llmkube", "fetch"]


@dataclass(frozen=True, slots=True)
class Accessory:
    """One object that is wanted. No pod may be made while one that guards the pods is not there."""

    kind: Kind[Opaque]
    manifest: dict[str, Any]
    guards: bool = False


def accessories(
    isvc: CustomResource, spec: InferenceServiceSpec, settings: OperatorSettings, *, scale: Scale, fetches: bool
) -> tuple[Accessory, ...]:
    """Return what is wanted, in the order in which it is made."""
    wanted = (
        (NETWORK_POLICY, network_policy(isvc, spec, settings, fetches=fetches)),
        (DISRUPTION_BUDGET, disruption_budget(isvc, scale)),
        (INGRESS, ingress(isvc, spec)),
        (HTTP_ROUTE, http_route(isvc, spec)),
        (POD_MONITOR, pod_monitor(isvc, spec, settings)),
    )
    return tuple(Accessory(kind, each, guards=kind is NETWORK_POLICY) for kind, each in wanted if each is not None)


def fetches(deployment: Mapping[str, Any]) -> bool:
    """Return whether an init container of the pods fetches: from where, only its model's source says."""
    pod = deployment.get("spec", {}).get("template", {}).get("spec", {})
    return any(each.get("command", [])[:2] == _FETCH for each in pod.get("initContainers") or ())
