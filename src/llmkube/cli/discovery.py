"""Which path a kind has, asked of the API server itself: so that `apply` takes whatever it knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.cli.errors import InputError
from llmkube.kube import objects
from llmkube.kube.errors import NotFound
from llmkube.kube.kinds import INFERENCE_SERVICE, MODEL, Kind

if TYPE_CHECKING:
    from llmkube.kube.client import Client

_NO_CRD = "; install it with `llmkube crds | llmkube apply -f -`"


class Discovery:
    """The kinds of one API server; each group and version is asked for once."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, list[dict[str, Any]]] = {}

    async def kind(self, api_version: str, kind: str) -> Kind[objects.Opaque]:
        """Return where a kind lives; raise InputError when the API server does not know it."""
        for each in await self._resources(api_version):
            if each.get("kind") == kind and "/" not in each.get("name", ""):
                group, _, version = api_version.rpartition("/")
                return Kind(group, version, kind, each["name"], objects.Opaque, namespaced=bool(each.get("namespaced")))
        ours = api_version in {MODEL.api_version, INFERENCE_SERVICE.api_version}
        raise InputError(f"the API server does not know {api_version} {kind}" + (_NO_CRD if ours else ""))

    async def _resources(self, api_version: str) -> list[dict[str, Any]]:
        if api_version not in self._known:
            path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
            try:
                self._known[api_version] = (await self._client.raw("GET", path)).get("resources") or []
            except NotFound:
                self._known[api_version] = []
        return self._known[api_version]
