"""The addresses that the cluster has given to a Service.

cluster_ip(live: Opaque | None) -> str      empty until there is one; None where it is headless
balancer(live: Opaque | None) -> str        host name or address of its load balancer; empty until there is one
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from llmkube.kube.errors import UNREADABLE

if TYPE_CHECKING:
    from llmkube.kube.objects import Opaque


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    cluster_ip: str = msgspec.field(name="clusterIP", default="")


class _Ingress(msgspec.Struct, frozen=True):
    ip: str = ""
    hostname: str = ""


class _Balancer(msgspec.Struct, frozen=True):
    ingress: tuple[_Ingress, ...] = ()


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    load_balancer: _Balancer = _Balancer()


def cluster_ip(live: Opaque | None) -> str:
    """Return the clusterIP as the Service says it."""
    try:
        return msgspec.json.decode(live.spec, type=_Spec).cluster_ip if live else ""
    except UNREADABLE:
        return ""


def balancer(live: Opaque | None) -> str:
    """Return the first that the Service's status names."""
    try:
        found = msgspec.json.decode(live.status, type=_Status).load_balancer.ingress if live else ()
    except UNREADABLE:
        return ""
    return next((each.hostname or each.ip for each in found), "")
