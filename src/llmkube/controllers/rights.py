"""What the operator may ask of the cluster, and why: manifests/rbac/operator.yaml is generated from it (hack/generate).

Nothing more: no list of Secrets or ConfigMaps, no pods of its own making, no nodes. That it asks for nothing else, and
uses all of it, is shown on a real control plane by tests/component/operator/test_rights.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmkube.kube.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    ENDPOINT_SLICE,
    EVENT,
    HPA,
    HTTP_ROUTE,
    INFERENCE_SERVICE,
    INGRESS,
    JOB,
    LEASE,
    MODEL,
    NETWORK_POLICY,
    POD,
    POD_MONITOR,
    PVC,
    SECRET,
    SERVICE,
)

if TYPE_CHECKING:
    from llmkube.kube.kinds import Kind

WATCHED = ("list", "watch")
APPLIED = (*WATCHED, "create", "patch")
MADE_IF_ASKED = (*APPLIED, "get", "delete")
_IF_ASKED = "made where a service asks for it, once nobody else is found to have the name; deleted when it asks no more"


@dataclass(frozen=True, slots=True)
class Right:
    """Verbs on kinds of one group, or on a subresource of theirs."""

    kinds: tuple[Kind[Any], ...]
    verbs: tuple[str, ...]
    subresource: str = ""
    why: str = ""

    def rule(self) -> dict[str, Any]:
        """Return the PolicyRule (rbac.authorization.k8s.io/v1)."""
        suffix = f"/{self.subresource}" if self.subresource else ""
        return {
            "apiGroups": sorted({each.group for each in self.kinds}),
            "resources": [f"{each.plural}{suffix}" for each in self.kinds],
            "verbs": list(self.verbs),
        }


OURS = (MODEL, INFERENCE_SERVICE)
IN_THE_CLUSTER = (
    Right((MODEL,), (*APPLIED, "delete"), why="the finalizer; a Model of its own for each LoRA adapter of a service"),
    Right((INFERENCE_SERVICE,), WATCHED),
    Right(OURS, ("patch",), "status"),
    Right(OURS, ("update",), "finalizers", "what is owned may block deletion, where the cluster asks for this right"),
    Right((DEPLOYMENT,), APPLIED, why="server-side apply of what is not there yet needs create beside patch"),
    Right((HPA,), WATCHED, why="whether somebody else says how many replicas there are"),
    Right((JOB,), (*APPLIED, "delete"), why="a fetch of other bytes replaces the one that there is"),
    Right((SERVICE, PVC), APPLIED),
    Right((POD,), WATCHED),
    Right((POD,), ("get",), "log", "how far a fetch is, and where an engine has put its layers"),
    Right((ENDPOINT_SLICE,), WATCHED, why="whether requests reach a pod"),
    Right((SECRET,), ("get",), why="by the name that a spec gives: a gated model's credentials, a service's API keys"),
    Right((CONFIG_MAP,), ("get",), why="by the name that a spec gives: a source's certificates, a chat template"),
    Right((NETWORK_POLICY, INGRESS), MADE_IF_ASKED, why=_IF_ASKED),
    Right((DISRUPTION_BUDGET,), MADE_IF_ASKED, why=_IF_ASKED),
    Right((HTTP_ROUTE,), MADE_IF_ASKED, why=_IF_ASKED),
    Right((POD_MONITOR,), MADE_IF_ASKED, why=_IF_ASKED),
    Right((EVENT,), ("create", "patch")),
)
IN_ITS_OWN_NAMESPACE = (Right((LEASE,), ("get", "create", "update"), why="leader election"),)
