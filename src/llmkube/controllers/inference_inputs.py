"""Finds what an InferenceService refers to, or says what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.api.model import ModelSpec, ModelStatus
from llmkube.controllers.caches import with_kind
from llmkube.desired.inference_plan import model_trouble
from llmkube.desired.inputs import Inputs, Served
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.reading import spec_of, status_of
from llmkube.kube.kinds import MODEL, Key

if TYPE_CHECKING:
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.controllers.caches import Caches


@dataclass(frozen=True, slots=True)
class InferenceInputs:
    """Reads stores only."""

    caches: Caches

    def gather(self, namespace: str, spec: InferenceServiceSpec) -> Inputs | Trouble:
        """Return what the pods are made of, or why they cannot be made yet."""
        served = self._served(namespace, spec.model_ref)
        return Inputs(served) if isinstance(served, Served) else served

    def _served(self, namespace: str, name: str) -> Served | Trouble:
        """The Model, when its verified bytes can be served."""
        found = self.caches.models.store.get(Key(namespace, name))
        status = status_of(found, ModelStatus) if found else ModelStatus()
        trouble = model_trouble(name, found, status)
        if found is None or trouble is not None:
            return trouble or Trouble("ModelNotFound", name)
        spec = spec_of(found, ModelSpec)
        return spec if isinstance(spec, Trouble) else Served(with_kind(found, MODEL), spec, status)
