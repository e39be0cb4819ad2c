"""What an InferenceService is rendered from besides its own spec: the objects that it refers to, as they were found.

Values only; controllers/inference_inputs.py finds them. `Missing` is what it finds where some of it cannot be used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmkube.api.model import ModelSpec, ModelStatus
    from llmkube.desired.pod_trouble import Trouble
    from llmkube.desired.references import Referenced
    from llmkube.kube.objects import CustomResource


@dataclass(frozen=True, slots=True)
class Served:
    """A Model whose verified bytes are there: its status tells path and sha256."""

    model: CustomResource
    spec: ModelSpec
    status: ModelStatus


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter whose verified bytes are there, and how strongly it applies from the start."""

    name: str
    served: Served
    scale: float = 0.0


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that the pods are made of."""

    served: Served
    draft: Served | None = None
    adapters: tuple[Adapter, ...] = ()
    referenced: Referenced = field(default_factory=dict)

    @property
    def models(self) -> tuple[Served, ...]:
        """The Models whose files the pods mount, the one that is served first."""
        return (self.served, *((self.draft,) if self.draft else ()), *(each.served for each in self.adapters))


@dataclass(frozen=True, slots=True)
class Missing:
    """Why no pods can be made: a Model that cannot be served, or something else that is not as it should be."""

    waiting: Trouble | None = None
    held: Trouble | None = None
