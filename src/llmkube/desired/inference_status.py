"""The status of an InferenceService, from all that was seen of it: one pure function.

    observe(sight: Sight, *, now: datetime) -> InferenceServiceStatus

A status that would say the same is the same, to the byte. Nothing here may raise for what a cluster says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmkube.api.inference_status import InferencePhase, InferenceServiceStatus, Plan
from llmkube.desired.conditions import merged
from llmkube.desired.inference_conditions import LATE, Stand, findings
from llmkube.desired.offload import observed_offload, offload_trouble
from llmkube.desired.pod_trouble import UNSCHEDULABLE, Trouble, first_trouble, is_running
from llmkube.desired.replicas import ONE, Scale

if TYPE_CHECKING:
    from datetime import datetime

    from llmkube.api.inference_status import Offload
    from llmkube.kube.objects import Deployment, Pod

_IN_PLACE = "; the old pods serve; spec.strategy with maxSurge 0 replaces them in place"
_OLD_PODS = "; the old pods serve until the spec is corrected, or the one before is applied again"


@dataclass(frozen=True, slots=True)
class Sight:
    """All that was seen. `refused` says why the spec is not honoured, `waiting` why the Model cannot be served yet,
    `held` what else that the spec refers to is missing or does not fit.

    `deployment` and `pods` are what is there now, of whatever generation, `answering` how many pods the Service sends
    requests to, `offloaded` the layers that pods say they have on GPUs; `remark` is told and stops nothing.
    """

    generation: int
    previous: InferenceServiceStatus
    scale: Scale = ONE
    gpus: int = 0
    refused: Trouble | None = None
    waiting: Trouble | None = None
    model_failed: bool = False
    held: Trouble | None = None
    remark: Trouble | None = None
    deployment: Deployment | None = None
    pods: tuple[Pod, ...] = ()
    answering: int = 0
    offloaded: int | None = None
    endpoint: str | None = None
    external_endpoint: str | None = None
    selector: str | None = None
    plan: Plan | None = None
    retry_in: float | None = None


def observe(sight: Sight, *, now: datetime) -> InferenceServiceStatus:
    """Return the whole status; `now` is used only for what has changed."""
    offload = observed_offload(sight.plan, sight.offloaded, sight.previous.offload)
    stand, seen = _stand(sight, offload), sight.deployment.status if sight.deployment else None
    status = InferenceServiceStatus(
        phase=stand.phase,
        ready_replicas=_ready(sight),
        desired_replicas=sight.scale.replicas,
        endpoint=sight.endpoint,
        external_endpoint=sight.external_endpoint,
        model_ready=sight.waiting is None and sight.refused is None,
        last_updated=sight.previous.last_updated,
        replicas=seen.replicas if seen else 0,
        selector=sight.selector,
        observed_generation=sight.generation,
        plan=sight.plan,
        offload=offload,
        conditions=merged(sight.previous.conditions, findings(stand), now=now, generation=sight.generation),
    )
    return dated(status, sight.previous, now=now)


def dated(status: InferenceServiceStatus, previous: InferenceServiceStatus, *, now: datetime) -> InferenceServiceStatus:
    """Return the status with the time of its last change, which is now when it differs from the previous one."""
    if previous.last_updated is not None and status == previous:
        return previous
    return status.model_copy(update={"last_updated": now.replace(microsecond=0)})


def is_complete(deployment: Deployment, *, replicas: int) -> bool:
    """Whether every pod is there, of the latest template, and ready, and no older one is left."""
    seen = deployment.status
    return (
        seen.observed_generation >= deployment.metadata.generation
        and seen.replicas == seen.updated_replicas == replicas
        and seen.ready_replicas >= replicas
    )


def _ready(sight: Sight) -> int:
    """Pods that answer and that are asked: a Deployment says the one, the Service's endpoints the other."""
    return min(sight.deployment.status.ready_replicas, sight.answering) if sight.deployment else 0


def _stand(sight: Sight, offload: Offload | None) -> Stand:
    found = _trouble(sight)
    return Stand(
        phase=_phase(sight, found),
        available=_ready(sight) > 0,
        unreachable=sight.deployment is not None and sight.deployment.status.ready_replicas > 0,
        late=sight.deployment is not None and _is_late(sight.deployment),
        refused=sight.refused,
        waiting=sight.waiting,
        model_failed=sight.model_failed,
        held=sight.held,
        trouble=found,
        remark=offload_trouble(offload) or sight.remark,
        pods=len(sight.pods),
        scale=sight.scale,
    )


def _trouble(sight: Sight) -> Trouble | None:
    """What a Deployment that is complete had to go through does not count any more."""
    deployment = sight.deployment
    if deployment is None or sight.scale.replicas == 0 or is_complete(deployment, replicas=sight.scale.replicas):
        return None
    found = first_trouble(sight.pods) or _of_deployment(deployment)
    if found is None or not deployment.status.ready_replicas:
        return found
    if found.reason == UNSCHEDULABLE:
        return replace(found, message=f"{found.message}{_IN_PLACE}")
    has_old = deployment.status.updated_replicas < deployment.status.replicas
    return replace(found, message=f"{found.message}{_OLD_PODS}") if has_old else found


def _of_deployment(deployment: Deployment) -> Trouble | None:
    """Pods that could not even be made (a quota, an admission), or a roll-out that took too long."""
    for each in deployment.status.conditions:
        refused = each.type == "ReplicaFailure" and each.status == "True"
        late = each.type == "Progressing" and each.status == "False"
        if refused or late:
            return Trouble(each.reason or each.type, f"Deployment {deployment.metadata.name}: {each.message}")
    return None


def _phase(sight: Sight, found: Trouble | None) -> InferencePhase:
    if sight.refused:
        return "Failed"
    if sight.scale.replicas == 0:
        return "Progressing" if sight.deployment and sight.deployment.status.replicas else "Stopped"
    if sight.deployment is None:
        return "WaitingForModel" if sight.waiting else "Pending" if sight.held else "Creating"
    if is_complete(sight.deployment, replicas=sight.scale.replicas):
        is_whole = not (sight.waiting or sight.held) and sight.answering >= sight.scale.replicas
        return "Ready" if is_whole else "Progressing"
    return _rolling_out(sight, sight.deployment, found)


def _rolling_out(sight: Sight, deployment: Deployment, found: Trouble | None) -> InferencePhase:
    if _is_late(deployment) or (found and found.lasting and _is_seen(deployment)):
        return "Failed"
    if found and found.reason == UNSCHEDULABLE and not deployment.status.ready_replicas:
        return "WaitingForGPU" if sight.gpus else "Pending"
    running = any(is_running(each) for each in sight.pods)
    return "Progressing" if running or found else "Creating"


def _is_seen(deployment: Deployment) -> bool:
    """Whether pods and conditions may be of the latest template: before, what fails is what was corrected."""
    return deployment.status.observed_generation >= deployment.metadata.generation


def _is_late(deployment: Deployment) -> bool:
    return _is_seen(deployment) and any(
        each.type == "Progressing" and each.status == "False" and each.reason == LATE
        for each in deployment.status.conditions
    )
