"""Reconciles a Model: source resolved, claim made, bytes fetched and verified by a Job, all told in the status.

Each pass reads stores only, and writes what differs; a converged Model is written to no more. What takes time (asking a
source, reading a pod's log) goes on elsewhere and enqueues the Model again. No fetch is started for a Model that is
being deleted, and nothing holds a deletion up: pods that mount the claim keep it themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from llmkube.api.group import GROUP
from llmkube.api.model import ModelSpec, ModelStatus
from llmkube.controllers.caches import with_kind
from llmkube.controllers.refusal import REFUSALS, refusal
from llmkube.desired.ephemeral import placed
from llmkube.desired.model_status import Sight, observe
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.reading import spec_of, status_of
from llmkube.desired.resolution import Known, Resolution, licence_trouble, remembered
from llmkube.kube.apply import Lag
from llmkube.kube.kinds import MODEL, Key
from llmkube.runtime.outcome import Result

if TYPE_CHECKING:
    from llmkube.controllers.caches import Caches
    from llmkube.controllers.model_fetch import ModelFetch
    from llmkube.controllers.model_source import SourceReader
    from llmkube.controllers.progress import ProgressReader
    from llmkube.controllers.resolver import Resolver
    from llmkube.kube.apply import Applier
    from llmkube.kube.events import EventRecorder, EventType
    from llmkube.kube.objects import CustomResource
    from llmkube.runtime.clock import Clock

FINALIZER = f"{GROUP}/model"


@dataclass(frozen=True, slots=True)
class ModelReconciler:
    """`reconcile(key)` is what a controller calls."""

    caches: Caches
    applier: Applier
    resolver: Resolver
    source: SourceReader
    progress: ProgressReader
    fetch: ModelFetch
    events: EventRecorder
    clock: Clock

    async def reconcile(self, key: Key) -> Result:
        """Bring one Model a step further."""
        live = self.caches.models.store.get(key)
        if live is None:
            self._forget(key)
            self.applier.forget(key)
            return Result()
        lag = self.applier.lag(key, (self.caches.models, self.caches.claims, self.caches.jobs))
        if lag is Lag.WAIT:
            return Result(requeue=True)
        model = with_kind(live, MODEL)
        if model.metadata.deletion_timestamp is not None:
            await self._release(key, model)
            return Result()
        await self.applier.set_finalizer(MODEL, model, FINALIZER)
        sight = await self._advance(key, model)
        await self._tell(key, model, sight)
        return Result(requeue_after=self.applier.again(key, lag, sight.retry_in))

    def _forget(self, key: Key) -> None:
        self.resolver.forget(key)
        self.progress.leave(key)

    async def _release(self, key: Key, model: CustomResource) -> None:
        """The fetch ends before the Model is let go; its claim is collected by the owner reference."""
        self._forget(key)
        await self.fetch.stop(model)
        await self.applier.remove_finalizer(MODEL, model, FINALIZER)

    async def _advance(self, key: Key, model: CustomResource) -> Sight:
        previous = status_of(model, ModelStatus)
        spec = spec_of(model, ModelSpec)
        if isinstance(spec, Trouble):
            self._forget(key)
            await self.fetch.stop(model)
            return Sight(model.metadata.generation, None, previous, refused=spec)
        sight = Sight(model.metadata.generation, spec, previous, resolution=self._resolve(key, model, spec))
        known = sight.resolution
        if not isinstance(known, Known) or licence_trouble(spec, known):
            self.progress.leave(key)
            return sight
        if spec.cache.mode == "Ephemeral":
            found = placed(key, spec, known)
            return replace(sight, held=found) if isinstance(found, Trouble) else replace(sight, fetch=found)
        try:
            return await self.fetch.advance(model, sight, spec, known)
        except REFUSALS as error:
            await self._tell(key, model, replace(sight, held=refusal(error)))
            raise

    def _resolve(self, key: Key, model: CustomResource, spec: ModelSpec) -> Resolution | None:
        """What the status says of this generation stands; the source is asked only about what it does not say."""
        generation = model.metadata.generation
        known = remembered(status_of(model, ModelStatus), generation=generation)
        if known is not None:
            return known
        state = (model.metadata.uid, generation)
        self.resolver.request(key, state, partial(self.source.read, key, spec))
        return self.resolver.result(key, state)

    async def _tell(self, key: Key, model: CustomResource, sight: Sight) -> None:
        status = observe(sight, now=self.clock.now())
        if not await self.applier.apply_status(MODEL, key, status.manifest(), model):
            return
        if status.phase != sight.previous.phase and status.phase in {"Ready", "Failed"}:
            self._announce(model, status)

    def _announce(self, model: CustomResource, status: ModelStatus) -> None:
        available = next(each for each in status.conditions if each.type == "Available")
        kind: EventType = "Normal" if status.phase == "Ready" else "Warning"
        self.events.event(model, type=kind, reason=available.reason, note=available.message, action="Fetch")
