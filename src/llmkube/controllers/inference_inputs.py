"""Finds what an InferenceService refers to, or says what is missing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmkube.api.model import ModelSpec, ModelStatus
from llmkube.controllers.caches import with_kind
from llmkube.desired import adapters
from llmkube.desired.drafts import WHERE as DRAFT
from llmkube.desired.fitting import unfit
from llmkube.desired.inference_plan import SERVED, model_trouble
from llmkube.desired.inputs import Adapter, Inputs, Missing, Served
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.reading import spec_of, status_of
from llmkube.desired.references import held, references
from llmkube.kube.kinds import MODEL, Key

if TYPE_CHECKING:
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.api.options import LoraAdapter
    from llmkube.controllers.caches import Caches
    from llmkube.controllers.referenced_objects import ReferencedObjects


@dataclass(frozen=True, slots=True)
class InferenceInputs:
    """Models from the store, Secrets and ConfigMaps from whoever reads them in the background."""

    caches: Caches
    objects: ReferencedObjects

    def gather(self, key: Key, spec: InferenceServiceSpec) -> Inputs | Missing | None:
        """Return what the pods are made of, or why they cannot be made; None while nobody has looked yet.

        Somebody looks within seconds, and then the service is reconciled again.
        """
        looked = self.objects.look(key, references(spec))
        referenced = {reference: found for reference, found in looked.items() if found is not None}
        if len(referenced) < len(looked):
            return None
        lacking = held(spec, referenced)
        models = self._models(key, spec)
        if isinstance(models, Trouble):
            return Missing(waiting=models, held=lacking or self._unfit_already(key, spec))
        lacking = lacking or unfit(models)
        return Missing(held=lacking) if lacking else replace(models, referenced=referenced)

    def forget(self, key: Key) -> None:
        """The service is gone: nothing is read for it any more."""
        self.objects.forget(key)

    def _models(self, key: Key, spec: InferenceServiceSpec) -> Inputs | Trouble:
        """The Model, its draft and its adapters, when the verified bytes of all are there."""
        served = self._served(key.namespace, spec.model_ref)
        if isinstance(served, Trouble):
            return served
        draft = self._served(key.namespace, spec.speculative.draft_model_ref, DRAFT) if spec.speculative else None
        if isinstance(draft, Trouble):
            return draft
        adapters = [self._adapter(key, each) for each in spec.lora_adapters]
        missing = next((each for each in adapters if isinstance(each, Trouble)), None)
        return missing or Inputs(served, draft, tuple(each for each in adapters if isinstance(each, Adapter)))

    def _unfit_already(self, key: Key, spec: InferenceServiceSpec) -> Trouble | None:
        """What the headers alone tell, while the bytes are still being fetched."""
        served = self._described(key.namespace, spec.model_ref)
        if served is None:
            return None
        draft = self._described(key.namespace, spec.speculative.draft_model_ref) if spec.speculative else None
        names = ((each.name, adapters.adapter_name(key.name, each.name)) for each in spec.lora_adapters)
        found = ((name, self._described(key.namespace, model)) for name, model in names)
        return unfit(Inputs(served, draft, tuple(Adapter(name, each) for name, each in found if each)))

    def _described(self, namespace: str, name: str) -> Served | None:
        """A Model whose status is about the source that its spec names, whether its bytes are there or not."""
        found = self.caches.models.store.get(Key(namespace, name))
        spec = spec_of(found, ModelSpec) if found else None
        if found is None or not isinstance(spec, ModelSpec):
            return None
        status = status_of(found, ModelStatus)
        return Served(with_kind(found, MODEL), spec, status) if status.source == spec.source else None

    def _adapter(self, key: Key, adapter: LoraAdapter) -> Adapter | Trouble:
        where, name = adapters.where(adapter.name), adapters.adapter_name(key.name, adapter.name)
        if self.caches.models.store.get(Key(key.namespace, name)) is None:
            return Trouble("ModelNotReady", f"{where}: Model {name} is not ready yet: Pending")
        found = self._served(key.namespace, name, where)
        return found if isinstance(found, Trouble) else Adapter(adapter.name, found, adapter.scale or 0.0)

    def _served(self, namespace: str, name: str, where: str = SERVED) -> Served | Trouble:
        """A Model, when its verified bytes can be used."""
        found = self.caches.models.store.get(Key(namespace, name))
        status = status_of(found, ModelStatus) if found else ModelStatus()
        trouble = model_trouble(name, found, status, where=where)
        if found is None or trouble is not None:
            return trouble or Trouble("ModelNotFound", name)
        spec = spec_of(found, ModelSpec)
        return spec if isinstance(spec, Trouble) else Served(with_kind(found, MODEL), spec, status)
