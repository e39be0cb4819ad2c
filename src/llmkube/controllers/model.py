"""Reconciles a Model: source resolved, claim made, bytes fetched and verified by a Job, all told in the status.

Each pass reads stores only, and writes what differs; a converged Model is written to no more. What takes time (asking a
source, reading a pod's log) goes on elsewhere and enqueues the Model again. No fetch is started for a Model that is
being deleted, and nothing holds a deletion up: pods that mount the claim keep it themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmkube.api.group import GROUP
from llmkube.api.model import ModelSpec, ModelStatus
from llmkube.controllers.caches import with_kind
from llmkube.controllers.refusal import refusal
from llmkube.desired.ephemeral import placed
from llmkube.desired.fetch_result import Done
from llmkube.desired.model_status import Sight, observe
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.reading import spec_of, status_of
from llmkube.desired.resolution import Known, confirmed
from llmkube.desired.verdict import projector_trouble
from llmkube.kube.apply import Lag
from llmkube.kube.errors import ApiError
from llmkube.kube.kinds import MODEL, Key
from llmkube.runtime.outcome import Result

if TYPE_CHECKING:
    from llmkube.controllers.caches import Caches
    from llmkube.controllers.model_collection import ModelCollection
    from llmkube.controllers.model_fetch import ModelFetch
    from llmkube.controllers.model_recheck import ModelRecheck
    from llmkube.controllers.model_sources import ModelSources
    from llmkube.controllers.progress import ProgressReader
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
    sources: ModelSources
    progress: ProgressReader
    fetch: ModelFetch
    collection: ModelCollection
    recheck: ModelRecheck
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
        sight = await self.collection.advance(model, await self._advance(key, model))
        sight = await self.recheck.advance(model, sight)
        await self._tell(key, model, sight)
        return Result(requeue_after=self.applier.again(key, lag, sight.retry_in))

    def _forget(self, key: Key) -> None:
        self.sources.forget(key)
        self.fetch.forget(key)

    async def _release(self, key: Key, model: CustomResource) -> None:
        """The fetch ends before the Model is let go; its claim is collected by the owner reference."""
        self._forget(key)
        await self.fetch.stop(model)
        await self.collection.stop(model)
        await self.recheck.stop(model)
        await self.applier.remove_finalizer(MODEL, model, FINALIZER)

    async def _advance(self, key: Key, model: CustomResource) -> Sight:
        previous = status_of(model, ModelStatus)
        spec = spec_of(model, ModelSpec)
        if isinstance(spec, Trouble):
            self._forget(key)
            await self.fetch.stop(model)
            return Sight(model.metadata.generation, None, previous, refused=spec)
        sight = self.sources.look(key, model, spec, previous)
        known = sight.resolution
        if not isinstance(known, Known) or sight.verdict:
            self.progress.leave(key)
            return sight
        if spec.cache.mode == "Ephemeral":
            await self.fetch.stop(model)
            found = placed(key, spec, known)
            return replace(sight, held=found) if isinstance(found, Trouble) else replace(sight, fetch=found)
        if self._is_unwanted(model, spec, previous):
            return replace(sight, unwanted=True)
        try:
            sight = self._judged(spec, known, await self.fetch.advance(model, sight, spec, known))
        except ApiError as error:
            if trouble := refusal(error):
                await self._tell(key, model, replace(sight, held=trouble))
            raise
        return sight

    def _is_unwanted(self, model: CustomResource, spec: ModelSpec, previous: ModelStatus) -> bool:
        """What was begun is ended, and what is there stays, also when the last service goes."""
        if spec.cache.prefetch or previous.sha256 or previous.retained or self.caches.services_of_model(model):
            return False
        return not self.caches.jobs.store.by_index("owner", model.metadata.uid)

    def _judged(self, spec: ModelSpec, known: Known, sight: Sight) -> Sight:
        """What a fetch told of the very bytes that it verified counts before what was said of them earlier."""
        if not isinstance(sight.fetch, Done):
            return sight
        known, projector = confirmed(known, sight.fetch), sight.fetch.projector
        refused = self.sources.verdict(spec, known)
        if projector and projector.facts:
            refused = refused or projector_trouble(spec.mmproj_source or "", projector.facts.architecture)
        return replace(sight, resolution=known, verdict=refused)

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
