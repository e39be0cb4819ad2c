"""The part of an InferenceService's reconcile that makes a Model for each LoRA adapter, and takes it away with it.

A Model of that name that is somebody else's is left alone, and said. Nothing is made while the Model that is served is
not there: its cache says where an adapter's bytes go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.api.model import ModelSpec
from llmkube.desired.adapters import adapter_model, adapter_name
from llmkube.desired.inference_plan import taken
from llmkube.desired.reading import spec_of
from llmkube.kube.kinds import MODEL, Key

if TYPE_CHECKING:
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.api.options import LoraAdapter
    from llmkube.controllers.caches import Caches
    from llmkube.desired.pod_trouble import Trouble
    from llmkube.kube.apply import Applier
    from llmkube.kube.objects import CustomResource


@dataclass(frozen=True, slots=True)
class AdapterModels:
    """Models of adapters."""

    caches: Caches
    applier: Applier

    async def advance(self, isvc: CustomResource, spec: InferenceServiceSpec) -> Trouble | None:
        """Make those that there are to be, and delete the service's others; return why one cannot be made."""
        await self._prune(isvc, spec)
        served = self.caches.models.store.get(Key(isvc.metadata.namespace, spec.model_ref))
        served_spec = spec_of(served, ModelSpec) if served else None
        if not isinstance(served_spec, ModelSpec):
            return None  # that is said of the Model itself
        for adapter in spec.lora_adapters:
            if trouble := await self._make(isvc, adapter, spec.model_ref, served_spec):
                return trouble
        return None

    async def _make(
        self, isvc: CustomResource, adapter: LoraAdapter, served_name: str, served: ModelSpec
    ) -> Trouble | None:
        name = adapter_name(isvc.metadata.name, adapter.name)
        live = self.caches.models.store.get(Key(isvc.metadata.namespace, name))
        if trouble := taken("Model", live, isvc):
            return trouble
        await self.applier.apply(MODEL, adapter_model(isvc, adapter, served_name, served), live)
        return None

    async def _prune(self, isvc: CustomResource, spec: InferenceServiceSpec) -> None:
        wanted = {adapter_name(isvc.metadata.name, each.name) for each in spec.lora_adapters}
        for each in self.caches.models.store.by_index("owner", isvc.metadata.uid):
            if each.metadata.name not in wanted:
                await self.applier.delete(MODEL, each)
