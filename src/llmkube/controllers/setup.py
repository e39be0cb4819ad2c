"""Puts the controllers together: which informers there are, what enqueues what, and what runs in the background.

    controllers(client, settings, clock) -> Wiring(informers, controllers, background)

Nothing runs yet, and nothing is asked of the cluster: a Manager runs what is returned. It must be called once per
process, before the informers run.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from llmkube.controllers.adapter_models import AdapterModels
from llmkube.controllers.caches import Caches, caches
from llmkube.controllers.claim_growth import ClaimGrowth
from llmkube.controllers.indexes import answering_for, mount_of, use_of
from llmkube.controllers.inference import InferenceReconciler
from llmkube.controllers.inference_accessories import InferenceAccessories
from llmkube.controllers.inference_inputs import InferenceInputs
from llmkube.controllers.measures import Measures
from llmkube.controllers.model import ModelReconciler
from llmkube.controllers.model_collection import ModelCollection
from llmkube.controllers.model_fetch import ModelFetch
from llmkube.controllers.model_recheck import ModelRecheck
from llmkube.controllers.model_source import SourceReader
from llmkube.controllers.model_sources import ModelSources
from llmkube.controllers.offloads import OffloadReader
from llmkube.controllers.progress import ProgressReader
from llmkube.controllers.referenced_objects import ReferencedObjects
from llmkube.controllers.resolver import Resolver
from llmkube.desired.reading import is_observed
from llmkube.kube.apply import Applier
from llmkube.kube.events import EventRecorder
from llmkube.kube.kinds import INFERENCE_SERVICE, MODEL, Key
from llmkube.runtime.controller import Controller
from llmkube.runtime.queue import WorkQueue
from llmkube.runtime.watches import mapped, owned, primary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmkube.desired.settings import OperatorSettings
    from llmkube.kube.client import Client
    from llmkube.kube.informer import Informer
    from llmkube.runtime.clock import Clock

MODEL_MANAGER = "llmkube-model"
INFERENCE_MANAGER = "llmkube-inference"

SETTLE = 0.1
"""Seconds: what a write of ours, the Deployment controller and a kubelet set off comes in bursts; one pass answers."""

DEPLOYMENT_SETTLE = 0.25
"""Seconds: the Deployment controller writes several times for one change. Who answers is known from EndpointSlices."""

WHOSE = attrgetter("metadata.uid", "metadata.owner_references")
"""All of an object that somebody waits for who needs its name."""


Background = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a Manager runs, and what it tells of it. `appliers` count the writes, by field manager."""

    informers: tuple[Informer[Any], ...]
    controllers: tuple[Controller, ...]
    background: Sequence[Background]
    appliers: dict[str, Applier]
    measures: Measures


@dataclass(slots=True)
class _Target:
    """The controller that is told of what the background found; it is made after what tells it."""

    controller: Controller | None = None

    def enqueue(self, key: Key) -> None:
        if self.controller is not None:
            self.controller.enqueue(key)


def controllers(
    client: Client, settings: OperatorSettings, clock: Clock, *, source: SourceReader | None = None
) -> Wiring:
    """Return the operator's parts, wired to each other; `source` is who asks where models come from."""
    shared = _Shared(client, caches(client, settings.namespaces), _events(client, clock), settings, clock)
    appliers = {name: Applier(client, name, clock) for name in (MODEL_MANAGER, INFERENCE_MANAGER)}
    models, of_models = _models(shared, appliers[MODEL_MANAGER], source or SourceReader(client, settings))
    services, of_services = _services(shared, appliers[INFERENCE_MANAGER])
    known, events = shared.known, shared.events
    background = (events.run, *of_models, *of_services)
    return Wiring(known.all(), (models, services), background, appliers, Measures(known, appliers, events))


@dataclass(frozen=True, slots=True)
class _Shared:
    """What both reconcilers have."""

    client: Client
    known: Caches
    events: EventRecorder
    settings: OperatorSettings
    clock: Clock


def _events(client: Client, clock: Clock) -> EventRecorder:
    return EventRecorder(client, controller="llmkube", instance=socket.gethostname(), clock=clock)


def _models(shared: _Shared, writer: Applier, source: SourceReader) -> tuple[Controller, Sequence[Background]]:
    """The controller of Models, and what goes on beside it."""
    client, known, settings, clock = shared.client, shared.known, shared.settings, shared.clock
    target = _Target()
    resolver = Resolver(clock=clock, notify=target.enqueue)
    progress = ProgressReader(client, clock=clock, notify=target.enqueue)
    models = ModelReconciler(
        caches=known,
        applier=writer,
        sources=ModelSources(resolver, source, settings),
        progress=progress,
        fetch=ModelFetch(known, writer, progress, ClaimGrowth(writer, clock), settings, clock),
        collection=ModelCollection(known, client, writer, settings, clock),
        recheck=ModelRecheck(known, writer, settings),
        events=shared.events,
        clock=clock,
    )
    controller = target.controller = Controller("model", reconcile=models.reconcile, queue=WorkQueue(clock))
    _watch_models(controller, known, writer)
    return controller, (resolver.run, progress.logs.run)


def _services(shared: _Shared, writer: Applier) -> tuple[Controller, Sequence[Background]]:
    """The controller of InferenceServices, and what goes on beside it."""
    client, known, settings, clock = shared.client, shared.known, shared.settings, shared.clock
    target = _Target()
    referenced = ReferencedObjects(client, clock=clock, notify=target.enqueue, every=settings.reference_seconds)
    offloads = OffloadReader(client, notify=target.enqueue)
    services = InferenceReconciler(
        caches=known,
        inputs=InferenceInputs(known, referenced),
        accessories=InferenceAccessories(known, client, writer),
        adapters=AdapterModels(known, writer),
        applier=writer,
        events=shared.events,
        settings=settings,
        clock=clock,
        offloads=offloads,
    )
    controller = target.controller = Controller(
        "inferenceservice", reconcile=services.reconcile, queue=WorkQueue(clock)
    )
    _watch_services(controller, known, writer)
    return controller, (referenced.run, offloads.logs.run)


def _watch_models(controller: Controller, known: Caches, applier: Applier) -> None:
    primary(controller, known.models, is_ours=partial(applier.wrote, MODEL), is_observed=is_observed)
    owned(controller, known.jobs, MODEL)
    owned(controller, known.claims, MODEL)
    mapped(controller, known.claims, known.models_of_claim)
    mapped(controller, known.pods, known.models_of_pod)
    mapped(controller, known.pods, known.models_mounted, part=mount_of)
    mapped(controller, known.pods, known.models_retaining, part=use_of)
    mapped(controller, known.pods, known.models_unread)
    mapped(controller, known.deployments, known.models_retaining, part=attrgetter("spec"))
    mapped(controller, known.inference_services, known.models_of_service, part=attrgetter("spec"))


def _watch_services(controller: Controller, known: Caches, applier: Applier) -> None:
    ours = partial(applier.wrote, INFERENCE_SERVICE)
    primary(controller, known.inference_services, is_ours=ours, is_observed=is_observed, settle=SETTLE)
    owned(controller, known.deployments, INFERENCE_SERVICE, settle=DEPLOYMENT_SETTLE)
    what_else_it_owns: tuple[Informer[Any], ...] = (known.services, *known.accessories())
    for each in what_else_it_owns:
        owned(controller, each, INFERENCE_SERVICE, settle=SETTLE)
    owned(controller, known.models, INFERENCE_SERVICE)
    mapped(controller, known.deployments, known.kept_from_deployment, part=WHOSE)
    mapped(controller, known.services, known.kept_from_service, part=WHOSE)
    mapped(controller, known.models, known.services_of_model)
    mapped(controller, known.pods, known.inference_services_labelled, settle=SETTLE)
    mapped(controller, known.endpoints, known.inference_services_labelled, part=answering_for, settle=SETTLE)
    mapped(controller, known.autoscalers, known.inference_services_of_autoscaler, part=attrgetter("spec"))
