"""What an InferenceService may say of who connects to its pods, in the terms of networking.k8s.io/v1."""

# ruff: noqa: TC001 - pydantic reads annotations at run time
from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from llmkube.api.fields import LIST_ATOMIC, Record
from llmkube.api.rules import Rule
from llmkube.api.scheduling import LabelSelector

_CIDR = Annotated[str, Field(min_length=4, max_length=64, pattern=r"^[0-9a-fA-F:.]+/[0-9]{1,3}$")]


class IPBlock(Record):
    """A network outside of the cluster, e.g. of a load balancer's clients."""

    cidr: _CIDR
    """The network, e.g. 192.0.2.0/24."""
    except_: Annotated[tuple[_CIDR, ...], Field(alias="except", max_length=16, json_schema_extra=LIST_ATOMIC)] = ()
    """Networks within it that are left out."""


class NetworkPeer(Record):
    """Who may connect: pods by their labels, in namespaces by their labels; or a network."""

    pod_selector: LabelSelector | None = None
    """Pods; all of the namespaces' when left out."""
    namespace_selector: LabelSelector | None = None
    """Namespaces; this one when left out."""
    ip_block: IPBlock | None = None
    """A network, instead of pods."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="ipBlock",
            cel="!has(self.ipBlock) || (!has(self.podSelector) && !has(self.namespaceSelector))",
            holds=lambda peer: peer.ip_block is None or not (peer.pod_selector or peer.namespace_selector),
            expected="an ipBlock alone, or selectors",
            found="both",
            fix="make two entries of it",
        ),
        Rule(
            cel="has(self.ipBlock) || has(self.podSelector) || has(self.namespaceSelector)",
            holds=lambda peer: bool(peer.ip_block or peer.pod_selector or peer.namespace_selector),
            expected="podSelector, namespaceSelector or ipBlock",
            found="none",
            fix="say who; `podSelector: {}` means every pod of this namespace",
        ),
    )


class NetworkAccess(Record):
    """Who may connect to the pods, and whether these may connect to others."""

    enabled: bool = True
    """Whether a NetworkPolicy is made. It takes a network plug-in that enforces them."""
    allow_from: Annotated[tuple[NetworkPeer, ...], Field(max_length=32, json_schema_extra=LIST_ATOMIC)] | None = None
    """Who may connect to the engine's port; pods of this namespace by default, nobody for an empty list."""
    egress: Literal["Deny", "Allow"] = "Deny"
    """Whether the pods may connect to others. The engine never needs to; pods that fetch for themselves (cache mode
    Ephemeral) always may."""
