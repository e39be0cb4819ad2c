"""Reconciles an InferenceService: a Service at once, a Deployment once the Model's bytes are verified, and a status.

Each pass reads stores only, and writes what differs. While a Model is not ready (it is fetched anew, or has failed) the
Deployment that there is keeps its pods as they are, only more or fewer of them: what serves must never be taken away
by what does not yet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from llmkube.api.inference import InferenceServiceSpec
from llmkube.api.inference_status import InferenceServiceStatus
from llmkube.controllers.caches import with_kind
from llmkube.controllers.inference_accessories import LOOK_AGAIN
from llmkube.controllers.refusal import refusal
from llmkube.desired.accessories import accessories, fetches
from llmkube.desired.deployment import deployment, deployment_name
from llmkube.desired.endpoint import endpoint, external_endpoint
from llmkube.desired.inference_plan import decided, is_lasting, published, refused, remark, taken
from llmkube.desired.inference_status import Sight, observe
from llmkube.desired.inputs import Missing
from llmkube.desired.labels import selector_text
from llmkube.desired.network_policy import shut_out
from llmkube.desired.pod_monitor import unscrapable
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.reading import spec_of, status_of
from llmkube.desired.replicas import REPLICAS, scale, scaled
from llmkube.desired.route_status import not_served
from llmkube.desired.service import service, service_name
from llmkube.desired.service_addresses import balancer, cluster_ip
from llmkube.kube.apply import Lag
from llmkube.kube.errors import ApiError
from llmkube.kube.kinds import DEPLOYMENT, INFERENCE_SERVICE, SERVICE, Key, key_of
from llmkube.runtime.outcome import Result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmkube.controllers.adapter_models import AdapterModels
    from llmkube.controllers.caches import Caches
    from llmkube.controllers.inference_accessories import InferenceAccessories
    from llmkube.controllers.inference_inputs import InferenceInputs
    from llmkube.controllers.offloads import OffloadReader
    from llmkube.desired.settings import OperatorSettings
    from llmkube.kube.apply import Applier
    from llmkube.kube.events import EventRecorder, EventType
    from llmkube.kube.objects import CustomResource, Opaque
    from llmkube.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class InferenceReconciler:
    """`reconcile(key)` is what a controller calls."""

    caches: Caches
    inputs: InferenceInputs
    accessories: InferenceAccessories
    adapters: AdapterModels
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
            self.inputs.forget(key)
            self.offloads.forget(key)
            return Result()  # what it owns is collected by the owner references
        caches = self.caches
        made = (caches.inference_services, caches.models, caches.deployments, caches.services)
        lag = self.applier.lag(key, (*made, *self.accessories.informers()))
        if lag is Lag.WAIT:
            return Result(requeue=True)
        isvc = with_kind(live, INFERENCE_SERVICE)
        sight = await self._advance(isvc, self._seen(key, isvc))
        if sight is None:
            return Result()
        await self._tell(isvc, sight)
        return Result(requeue_after=self.applier.again(key, lag, sight.retry_in))

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
            external_endpoint=previous.external_endpoint,
            plan=previous.plan,
            deployment=self.caches.deployments.store.get(Key(key.namespace, deployment_name(key.name))),
            pods=self.caches.pods_of_service(key),
            answering=self.caches.answering(key),
            selector=selector_text(key.name, "inference"),
        )

    async def _advance(self, isvc: CustomResource, sight: Sight) -> Sight | None:
        """None while something has not been looked at yet: what the status says stands until it has."""
        spec = spec_of(isvc, InferenceServiceSpec)
        if isinstance(spec, Trouble):
            return replace(sight, refused=spec)
        ours = None if taken("Deployment", sight.deployment, isvc) else sight.deployment
        sight = replace(
            sight,
            refused=refused(spec) or self._taken(isvc, sight),
            deployment=ours,
            scale=scale(spec.replicas, self.caches.autoscalers_of_service(key_of(isvc)), ours),
        )
        if sight.refused:
            return sight
        try:
            inside, outside = await self._serve(isvc, spec)
            sight = replace(sight, endpoint=inside, external_endpoint=outside)
            if trouble := await self.adapters.advance(isvc, spec):
                return replace(sight, held=trouble)
            return await self._run(isvc, spec, sight)
        except ApiError as error:
            if trouble := refusal(error):
                await self._tell(isvc, replace(sight, refused=trouble))
            raise

    async def _serve(self, isvc: CustomResource, spec: InferenceServiceSpec) -> tuple[str | None, str | None]:
        """Apply the Service; return the URLs inside and outside, which may wait for the Service's addresses."""
        live = self._service(isvc)
        live = await self.applier.apply(SERVICE, service(isvc, spec), live) or live
        inside = endpoint(isvc, spec, settings=self.settings, cluster_ip=cluster_ip(live))
        return inside, external_endpoint(spec, balancer=balancer(live))

    async def _run(self, isvc: CustomResource, spec: InferenceServiceSpec, sight: Sight) -> Sight | None:
        """Apply the Deployment, when everything that it is made of is there; first what stands beside it."""
        inputs = self.inputs.gather(key_of(isvc), spec)
        if inputs is None:
            return None
        if isinstance(inputs, Missing):
            sight = await self._accompany(isvc, spec, sight, _of_before(sight))
            return sight if sight.refused else await self._wait(isvc, sight, inputs)
        engine = decided(spec, inputs, self.settings)
        if isinstance(engine, Trouble):
            sight = await self._accompany(isvc, spec, sight, _of_before(sight))
            return replace(sight, refused=sight.refused or engine)
        wanted = deployment(isvc, spec, inputs, self.settings, engine)
        sight = await self._accompany(isvc, spec, sight, wanted)
        if sight.refused:
            return sight
        others = sight.scale.replicas if sight.scale.is_handed_over else None
        written = await self.applier.apply(DEPLOYMENT, scaled(wanted, sight.scale), sight.deployment, replicas=others)
        return replace(
            sight,
            deployment=sight.deployment and (written or sight.deployment),  # its pods are of before until it is seen
            gpus=engine.gpus,
            offloaded=self.offloads.of(key_of(isvc), sight.pods) if engine.gpus else None,
            plan=published(spec, inputs.served.spec, engine),
            remark=sight.remark
            or remark(spec, inputs.served, engine)
            or unscrapable(spec, self.settings, inputs.referenced),
        )

    async def _wait(self, isvc: CustomResource, sight: Sight, missing: Missing) -> Sight:
        """Leave the Deployment that there is as it is, only more or fewer of its pods."""
        if sight.deployment is not None:
            replicas = sight.scale.replicas
            await self.applier.scale(DEPLOYMENT, key_of(isvc), sight.deployment, replicas, without=REPLICAS)
        waiting = missing.waiting
        return replace(sight, waiting=waiting, model_failed=is_lasting(waiting), held=missing.held)

    async def _accompany(
        self, isvc: CustomResource, spec: InferenceServiceSpec, sight: Sight, pods: Mapping[str, Any]
    ) -> Sight:
        """Keep what stands beside the Deployment that has these pods."""
        wanted = accessories(isvc, spec, self.settings, scale=sight.scale, fetches=fetches(pods))
        setback = await self.accessories.advance(isvc, wanted)
        if setback is None:
            return replace(sight, remark=shut_out(spec) or not_served(self.accessories.http_route(isvc, wanted)))
        retry = replace(sight, retry_in=LOOK_AGAIN)
        return replace(retry, refused=setback.trouble) if setback.guards else replace(retry, remark=setback.trouble)

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


def _of_before(sight: Sight) -> Mapping[str, Any]:
    """The Deployment that there is, as far as what stands beside it depends on it."""
    return {"spec": msgspec.json.decode(sight.deployment.spec)} if sight.deployment else {}
