"""The part of an InferenceService's reconcile that keeps what stands beside its Deployment and Service as it is wanted.

It makes what is wanted, deletes what is the service's own and not wanted any more, and touches nothing of anybody else.
While nothing changes it asks nothing. What cannot be made is told, and holds nothing else up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from llmkube.controllers.refusal import refusal
from llmkube.desired.inference_plan import taken
from llmkube.desired.pod_trouble import Trouble
from llmkube.kube.errors import ApiError, NotFound
from llmkube.kube.kinds import HTTP_ROUTE, Key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmkube.controllers.caches import Caches
    from llmkube.desired.accessories import Accessory
    from llmkube.kube.apply import Applier
    from llmkube.kube.client import Client
    from llmkube.kube.informer import Informer
    from llmkube.kube.kinds import Kind
    from llmkube.kube.objects import CustomResource, Opaque

LOOK_AGAIN = 60.0
"""Seconds until what could not be made is tried again: nobody tells when its name is free or its kind served."""


class Setback(NamedTuple):
    """What could not be made, and why; without one that guards the pods none may be made either."""

    trouble: Trouble
    guards: bool = False


@dataclass(frozen=True, slots=True)
class InferenceAccessories:
    """`advance(isvc, wanted)` is one pass."""

    caches: Caches
    client: Client
    applier: Applier

    def informers(self) -> tuple[Informer[Opaque], ...]:
        """Return those whose kind is served: no write to another one can come back."""
        return tuple(each for each in self.caches.accessories() if not each.is_absent)

    async def advance(self, isvc: CustomResource, wanted: Iterable[Accessory]) -> Setback | None:
        """Make and delete; return the first that could not be made."""
        by_kind = {each.kind.resource: each for each in wanted}
        found = [await self._advance(isvc, each, by_kind.get(each.kind.resource)) for each in self.caches.accessories()]
        return next((each for each in found if each is not None), None)

    def http_route(self, isvc: CustomResource, wanted: Iterable[Accessory]) -> Opaque | None:
        """Return the service's HTTPRoute as it is, where one is wanted."""
        if all(each.kind.resource != HTTP_ROUTE.resource for each in wanted):
            return None
        return next(iter(self.caches.http_routes.store.by_index("owner", isvc.metadata.uid)), None)

    async def _advance(
        self, isvc: CustomResource, informer: Informer[Opaque], wanted: Accessory | None
    ) -> Setback | None:
        if informer.is_absent:
            return Setback(_absent(informer.kind)) if wanted else None
        try:
            await self._prune(isvc, informer, keep=wanted.manifest["metadata"]["name"] if wanted else "")
            trouble = await self._make(isvc, informer, wanted) if wanted else None
        except ApiError as error:
            if (trouble := refusal(error)) is None:
                raise
        return Setback(trouble, guards=bool(wanted and wanted.guards)) if trouble else None

    async def _prune(self, isvc: CustomResource, informer: Informer[Opaque], *, keep: str) -> None:
        for live in informer.store.by_index("owner", isvc.metadata.uid):
            if live.metadata.name != keep:
                await self.applier.delete(informer.kind, live)

    async def _make(self, isvc: CustomResource, informer: Informer[Opaque], wanted: Accessory) -> Trouble | None:
        metadata = wanted.manifest["metadata"]
        key = Key(metadata["namespace"], metadata["name"])
        live = informer.store.get(key) or await self._of_anybody(wanted.kind, key)
        if trouble := taken(wanted.kind.kind, live, isvc):
            return trouble
        await self.applier.apply(wanted.kind, wanted.manifest, live)
        return None

    async def _of_anybody(self, kind: Kind[Opaque], key: Key) -> Opaque | None:
        """What is not in memory may have no label of ours: whoever made it, it must be seen before it is written to."""
        try:
            return await self.client.get(kind, key)
        except NotFound:
            return None


def _absent(kind: Kind[Opaque]) -> Trouble:
    said = f"expected the API server to serve {kind.kind} ({kind.api_version}), found that it does not"
    return Trouble("KindNotServed", f"{said}; install its CustomResourceDefinitions; the service goes on without it")
