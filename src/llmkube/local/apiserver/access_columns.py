"""The cells of who may reach pods and how: Ingresses, NetworkPolicies and disruption budgets. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.local.objects import spec_of, status_of

if TYPE_CHECKING:
    from datetime import datetime

    from llmkube.local.objects import Object

NONE = "<none>"


def ingress_class(obj: Object, _: datetime) -> str:
    return str(spec_of(obj).get("ingressClassName") or NONE)


def ingress_hosts(obj: Object, _: datetime) -> str:
    """The first three, and how many there are besides."""
    hosts = [rule["host"] for rule in spec_of(obj).get("rules") or () if rule.get("host")]
    more = f" + {len(hosts) - 3} more..." if len(hosts) > 3 else ""
    return ",".join(hosts[:3]) + more if hosts else "*"


def ingress_address(obj: Object, _: datetime) -> str:
    found = (status_of(obj).get("loadBalancer") or {}).get("ingress") or ()
    return ",".join(str(each.get("ip") or each.get("hostname", "")) for each in found)


def ingress_ports(obj: Object, _: datetime) -> str:
    return "80, 443" if spec_of(obj).get("tls") else "80"


def class_parameters(obj: Object, _: datetime) -> str:
    found = spec_of(obj).get("parameters")
    if not found:
        return NONE
    group = f".{found['apiGroup']}" if found.get("apiGroup") else ""
    return f"{found.get('kind', '')}{group}/{found.get('name', '')}"


def policy_pods(obj: Object, _: datetime) -> str:
    labels = (spec_of(obj).get("podSelector") or {}).get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or NONE


def budget_least(obj: Object, _: datetime) -> str:
    return str(spec_of(obj).get("minAvailable", "N/A"))


def budget_most(obj: Object, _: datetime) -> str:
    return str(spec_of(obj).get("maxUnavailable", "N/A"))
