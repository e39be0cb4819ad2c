"""What Gateways say of a service's HTTPRoute.

    not_served(route: Opaque | None) -> Trouble | None      that no Gateway has it yet, or that one will not serve it

A condition of before the route's last change says nothing of it (RouteStatus of gateway.networking.k8s.io/v1). An
Ingress has no conditions: whether it is served cannot be read from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from llmkube.desired.pod_trouble import Trouble
from llmkube.kube.errors import UNREADABLE

if TYPE_CHECKING:
    from llmkube.kube.objects import Opaque

_NEEDED = frozenset({"Accepted", "ResolvedRefs"})
_LONGEST = 300
"""Characters of another controller's words that are passed on."""


class _Condition(msgspec.Struct, frozen=True, rename="camel"):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    observed_generation: int = 0


class _Reference(msgspec.Struct, frozen=True):
    name: str = ""


class _Parent(msgspec.Struct, frozen=True, rename="camel"):
    parent_ref: _Reference = _Reference()
    conditions: tuple[_Condition, ...] = ()


class _Status(msgspec.Struct, frozen=True):
    parents: tuple[_Parent, ...] = ()


def not_served(route: Opaque | None) -> Trouble | None:
    """Return what keeps the route from being served, in the words of the first Gateway that has any."""
    if route is None:
        return None
    told = [
        (parent.parent_ref.name, each)
        for parent in _status(route).parents
        for each in parent.conditions
        if each.type in _NEEDED and each.observed_generation >= route.metadata.generation
    ]
    name = route.metadata.name
    if not told:
        line = f"HTTPRoute {name}: no controller has taken it for the Gateway of spec.endpoint.route.parentRef"
        return Trouble("NoGateway", f"{line}; check that this Gateway exists and that its controller runs")
    for gateway, each in told:
        if each.status != "True":
            words = f"{each.reason}: {each.message[:_LONGEST]}" if each.message else each.reason
            line = f"HTTPRoute {name}: Gateway {gateway} does not serve it ({each.type}={each.status}, {words})"
            return Trouble("RouteNotServed", f"{line}; change spec.endpoint.route, or the Gateway")
    return None


def _status(route: Opaque) -> _Status:
    """What cannot be read says nothing."""
    try:
        return msgspec.json.decode(route.status, type=_Status) if route.status else _Status()
    except UNREADABLE:
        return _Status()
