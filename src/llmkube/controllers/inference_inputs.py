"""Finds what an InferenceService refers to, or says what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.api.model import ModelSpec, ModelStatus
from llmkube.controllers.caches import with_kind
from llmkube.desired.inference_plan import model_trouble
from llmkube.desired.inputs import Inputs, Missing, Served
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.reading import spec_of, status_of
from llmkube.desired.references import held, references
from llmkube.kube.kinds import MODEL, Key

if TYPE_CHECKING:
    from llmkube.api.inference import InferenceServiceSpec
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
        served, lacking = self._served(key.namespace, spec.model_ref), held(spec, referenced)
        if isinstance(served, Trouble):
            return Missing(waiting=served, held=lacking)
        return Missing(held=lacking) if lacking else Inputs(served, referenced)

    def forget(self, key: Key) -> None:
        """The service is gone: nothing is read for it any more."""
        self.objects.forget(key)

    def _served(self, namespace: str, name: str) -> Served | Trouble:
        """The Model, when its verified bytes can be served."""
        found = self.caches.models.store.get(Key(namespace, name))
        status = status_of(found, ModelStatus) if found else ModelStatus()
        trouble = model_trouble(name, found, status)
        if found is None or trouble is not None:
            return trouble or Trouble("ModelNotFound", name)
        spec = spec_of(found, ModelSpec)
        return spec if isinstance(spec, Trouble) else Served(with_kind(found, MODEL), spec, status)
