"""Reconciles an InferenceService: a Service at once, a Deployment once the Model's bytes are verified, and a status.

Each pass reads stores only, and writes what differs. While a Model is not ready (it is fetched anew, or has failed) the
Deployment that there is keeps its pods as they are, only more or fewer of them: what serves must never be taken away
by what does not yet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from llmkube.api.inference import InferenceServiceSpec
from llmkube.api.inference_status import InferenceServiceStatus
from llmkube.controllers.caches import with_kind
from llmkube.controllers.refusal import REFUSALS, refusal
from llmkube.desired.deployment import deployment, deployment_name
from llmkube.desired.endpoint import endpoint
from llmkube.desired.inference_plan import is_lasting, plan, refused, remark, taken
from llmkube.desired.inference_status import Sight, observe
from llmkube.desired.labels import selector_text
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.reading import spec_of, status_of
from llmkube.desired.replicas import REPLICAS, scale, scaled
from llmkube.desired.resources import gpus
from llmkube.desired.service import service, service_name
from llmkube.kube.apply import Lag
from llmkube.kube.kinds import DEPLOYMENT, INFERENCE_SERVICE, SERVICE, Key, key_of
from llmkube.runtime.outcome import Result

if TYPE_CHECKING:
    from llmkube.controllers.caches import Caches
    from llmkube.controllers.inference_inputs import InferenceInputs
    from llmkube.controllers.offloads import OffloadReader
    from llmkube.desired.settings import OperatorSettings
    from llmkube.kube.apply import Applier
    from llmkube.kube.events import EventRecorder, EventType
    from llmkube.kube.objects import CustomResource, Opaque
    from llmkube.runtime.clock import Clock


class _ServiceSpec(msgspec.Struct, rename="camel"):
    cluster_ip: str = msgspec.field(name="clusterIP", default="")


@dataclass(frozen=True, slots=True)
class InferenceReconciler:
    """`reconcile(key)` is what a controller calls."""

    caches: Caches
    inputs: InferenceInputs
    applier: Applier
    events: EventRecorder
    settings: OperatorSettings
    clock: Clock
    offloads: OffloadReader

    async def reconcile(self, key: Key) -> Result:
        """Bring one InferenceService a step further."""
        live = self.caches.inference_services.store.get(key)
        if live is None or live.metadata.deletion_timestamp is not None:
            self.applier.forget(key)
            self.offloads.forget(key)
            return Result()  # what it owns is collected by the owner references
        caches = self.caches
        lag = self.applier.lag(key, (caches.inference_services, caches.deployments, caches.services))
        if lag is Lag.WAIT:
            return Result(requeue=True)
        isvc = with_kind(live, INFERENCE_SERVICE)
        await self._tell(isvc, await self._advance(isvc, self._seen(key, isvc)))
        return Result(requeue_after=self.applier.again(key, lag, None))

    async def _tell(self, isvc: CustomResource, sight: Sight) -> None:
        status = observe(sight, now=self.clock.now())
        if await self.applier.apply_status(INFERENCE_SERVICE, key_of(isvc), status.manifest(), isvc):
            self._announce(isvc, sight.previous, status)

    def _seen(self, key: Key, isvc: CustomResource) -> Sight:
        """What is there, whatever is wanted; what was decided stands until something else is."""
        previous = status_of(isvc, InferenceServiceStatus)
        return Sight(
            generation=isvc.metadata.generation,
            previous=previous,
            endpoint=previous.endpoint,
            plan=previous.plan,
            deployment=self.caches.deployments.store.get(Key(key.namespace, deployment_name(key.name))),
            pods=self.caches.pods_of_service(key),
            answering=self.caches.answering(key),
            selector=selector_text(key.name, "inference"),
        )

    async def _advance(self, isvc: CustomResource, sight: Sight) -> Sight:
        spec = spec_of(isvc, InferenceServiceSpec)
        if isinstance(spec, Trouble):
            return replace(sight, refused=spec)
        sight = replace(sight, refused=refused(spec) or self._taken(isvc, sight))
        if taken("Deployment", sight.deployment, isvc):
            sight = replace(sight, deployment=None)
        autoscalers = self.caches.autoscalers_of_service(key_of(isvc))
        sight = replace(sight, scale=scale(spec.replicas, autoscalers, sight.deployment))
        if sight.refused:
            return sight
        try:
            sight = replace(sight, endpoint=await self._serve(isvc, spec))
            return await self._run(isvc, spec, sight)
        except REFUSALS as error:
            await self._tell(isvc, replace(sight, refused=refusal(error)))
            raise

    async def _serve(self, isvc: CustomResource, spec: InferenceServiceSpec) -> str | None:
        """Apply the Service; return the URL, which may wait for the Service's address."""
        live = self._service(isvc)
        await self.applier.apply(SERVICE, service(isvc, spec), live)
        return endpoint(isvc, spec, settings=self.settings, cluster_ip=_cluster_ip(live))

    async def _run(self, isvc: CustomResource, spec: InferenceServiceSpec, sight: Sight) -> Sight:
        """Apply the Deployment, when the Model can be served."""
        inputs = self.inputs.gather(isvc.metadata.namespace, spec)
        if isinstance(inputs, Trouble):
            if sight.deployment is not None:
                replicas = sight.scale.replicas
                await self.applier.scale(DEPLOYMENT, key_of(isvc), sight.deployment, replicas, without=REPLICAS)
            return replace(sight, waiting=inputs, model_failed=is_lasting(inputs))
        wanted = deployment(isvc, spec, inputs, self.settings)
        others = sight.scale.replicas if sight.scale.is_handed_over else None
        await self.applier.apply(DEPLOYMENT, scaled(wanted, sight.scale), sight.deployment, replicas=others)
        served = inputs.served
        count = gpus(spec, served.spec)
        return replace(
            sight,
            gpus=count,
            offloaded=self.offloads.of(key_of(isvc), sight.pods) if count else None,
            plan=plan(spec, served.spec, served.status),
            remark=remark(spec, served.spec, served.status),
        )

    def _taken(self, isvc: CustomResource, sight: Sight) -> Trouble | None:
        return taken("Deployment", sight.deployment, isvc) or taken("Service", self._service(isvc), isvc)

    def _service(self, isvc: CustomResource) -> Opaque | None:
        return self.caches.services.store.get(Key(isvc.metadata.namespace, service_name(isvc.metadata.name)))

    def _announce(self, isvc: CustomResource, before: InferenceServiceStatus, status: InferenceServiceStatus) -> None:
        if status.phase == before.phase or status.phase not in {"Ready", "Failed"}:
            return
        told = "Available" if status.phase == "Ready" else "Degraded"
        condition = next(each for each in status.conditions if each.type == told)
        kind: EventType = "Normal" if status.phase == "Ready" else "Warning"
        self.events.event(isvc, type=kind, reason=condition.reason, note=condition.message, action="Serve")


def _cluster_ip(live: Opaque | None) -> str:
    if live is None:
        return ""
    try:
        return msgspec.json.decode(live.spec, type=_ServiceSpec).cluster_ip
    except msgspec.MsgspecError:
        return ""
