"""What one feature adds to the engine's pod: its arguments, its volumes, its containers.

    PodPart(args, env, volumes, mounts, init_containers, annotations, container, pod)
    combined(parts: Iterable[PodPart]) -> PodPart

The Deployment is the sum of its parts, each in a module of its own; their order is the order of the arguments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Manifest = dict[str, Any]
CONTAINER = "llama-server"
"""The engine's container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodPart:
    """Manifests in core/v1 terms. `mounts` are the engine's; `container` and `pod` are further fields of theirs."""

    args: tuple[str, ...] = ()
    env: tuple[Manifest, ...] = ()
    volumes: tuple[Manifest, ...] = ()
    mounts: tuple[Manifest, ...] = ()
    init_containers: tuple[Manifest, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    container: Mapping[str, Any] = field(default_factory=dict)
    pod: Mapping[str, Any] = field(default_factory=dict)


def combined(parts: Iterable[PodPart]) -> PodPart:
    """Return the sum; of two that say the same field or annotation the later one counts."""
    found = tuple(parts)
    return PodPart(
        args=tuple(each for part in found for each in part.args),
        env=tuple(each for part in found for each in part.env),
        volumes=tuple(each for part in found for each in part.volumes),
        mounts=tuple(each for part in found for each in part.mounts),
        init_containers=tuple(each for part in found for each in part.init_containers),
        annotations={name: value for part in found for name, value in part.annotations.items()},
        container={name: value for part in found for name, value in part.container.items()},
        pod={name: value for part in found for name, value in part.pod.items()},
    )
