"""What one write asks for: of which object, with which body, on whose behalf. Values only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from llmkube.local.objects import Key, Object

if TYPE_CHECKING:
    from llmkube.local.apiserver.resources import Resource

PatchType = Literal["json", "merge", "strategic", "apply"]
OnUnknown = Callable[[list[str], Object], None]


@dataclass(frozen=True)
class Target:
    """The object a request is about. `name` is "" when an object is created."""

    resource: Resource
    namespace: str | None
    name: str = ""
    subresource: str = ""

    @property
    def key(self) -> Key:
        return Key(self.namespace or "", self.name)

    @property
    def stored_as(self) -> str:
        return self.resource.stored_as

    def main(self) -> Target:
        return replace(self, subresource="")


@dataclass(frozen=True)
class Options:
    """`on_unknown` is told the fields that a schema does not know, and the object, before they are dropped."""

    manager: str = ""
    dry_run: bool = False
    on_unknown: OnUnknown | None = None


@dataclass(frozen=True)
class Patch:
    type: PatchType
    body: Any
    force: bool = False
