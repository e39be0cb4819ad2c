"""What the node lends to every pod, and what one pod has on this machine: two values passed down instead of globals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.local.objects import Clock, Object, Registry, StatusError, spec_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import aiohttp

    from llmkube.local.node.backoff import Backoff
    from llmkube.local.recorder import EventRecorder


@dataclass(frozen=True)
class Machine:
    """The node's registry, tools and limits. `environ` is the machine's contribution to every container."""

    registry: Registry
    recorder: EventRecorder
    session: aiohttp.ClientSession
    clock: Clock
    environ: Mapping[str, str]
    find_engine: Callable[[], Sequence[str]]
    pods: Path
    volumes: Path
    backoff: Backoff

    def lookup(self, resource: str, namespace: str, name: str) -> Object | None:
        """An object, or None when there is none."""
        try:
            return self.registry.get(resource, namespace, name)
        except StatusError as error:
            if error.code == 404:
                return None
            raise


@dataclass(frozen=True)
class Place:
    """One pod's directory, volumes and address on this machine."""

    pod: Object
    directory: Path
    address: str
    volumes: Mapping[str, Path]

    @property
    def listens_everywhere(self) -> bool:
        """A pod on the host's network means every address when it says so."""
        return bool(spec_of(self.pod).get("hostNetwork"))

    def container(self, name: str) -> Path:
        return self.directory / name


def pod_directory(pods: Path, pod: Object) -> Path:
    meta = pod["metadata"]
    return pods / f"{meta['namespace']}_{meta['name']}_{meta['uid']}"
