"""The part of a Model's reconcile that knows its source: what it has, whether that is accepted, and whether it changed.

The source is asked by the resolver, in the background. What the status says of a source stands; with refresh OnChange
the question is asked again now and then, and another answer replaces it, unless it is one that could not serve.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from llmkube.desired.model_status import Sight
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.resolution import Known, Resolution, remembered
from llmkube.desired.verdict import verdict

if TYPE_CHECKING:
    from llmkube.api.model import ModelSpec, ModelStatus
    from llmkube.controllers.model_source import SourceReader
    from llmkube.controllers.resolver import Resolver
    from llmkube.desired.settings import OperatorSettings
    from llmkube.kube.kinds import Key
    from llmkube.kube.objects import CustomResource


@dataclass(frozen=True, slots=True)
class ModelSources:
    """Sources of Models."""

    resolver: Resolver
    source: SourceReader
    settings: OperatorSettings

    def look(self, key: Key, model: CustomResource, spec: ModelSpec, previous: ModelStatus) -> Sight:
        """Return what is known of the source and what comes of it, after asking for what is not."""
        sight = Sight(model.metadata.generation, spec, previous)
        known = remembered(previous, spec, generation=model.metadata.generation)
        if known is None:
            found = self._ask(key, (model.metadata.uid, model.metadata.generation), spec)
            return replace(sight, resolution=found, verdict=self._judged(spec, found))
        if spec.refresh == "OnChange":
            return self._refreshed(key, model, replace(sight, resolution=known), spec, known)
        self.resolver.forget(key)
        return replace(sight, resolution=known, verdict=self.verdict(spec, known))

    def verdict(self, spec: ModelSpec, known: Known) -> Trouble | None:
        """Return why a model is not accepted."""
        return verdict(spec, known, architectures=self.settings.architectures)

    def forget(self, key: Key) -> None:
        """Ask nothing for a Model any more."""
        self.resolver.forget(key)

    def _refreshed(self, key: Key, model: CustomResource, sight: Sight, spec: ModelSpec, known: Known) -> Sight:
        state = (model.metadata.uid, spec.source, spec.mmproj_source, spec.source_secret_ref, spec.ca_bundle_ref)
        found = self._ask(key, state, spec, every=self.settings.refresh_seconds)
        trouble = None if isinstance(found, Known | None) else found.told
        if isinstance(found, Known) and found.facts is not None:
            trouble = self.verdict(spec, found)
            known = known if trouble else found
        line = trouble and f"spec.refresh: {trouble.message}; what was verified before stays"
        remark = Trouble("RefreshFailed", line) if line else None
        return replace(sight, resolution=known, verdict=self.verdict(spec, known), remark=remark)

    def _ask(
        self, key: Key, state: tuple[object, ...], spec: ModelSpec, every: float | None = None
    ) -> Resolution | None:
        self.resolver.request(key, state, partial(self.source.read, key, spec), every=every)
        return self.resolver.result(key, state)

    def _judged(self, spec: ModelSpec, found: Resolution | None) -> Trouble | None:
        return self.verdict(spec, found) if isinstance(found, Known) else None
