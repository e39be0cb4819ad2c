"""The published CustomResourceDefinitions of kinds that a cluster may have besides: HTTPRoute and PodMonitor.

They are parts of Go modules, which hack/crds pins with their digests.
"""

from __future__ import annotations

import json
from pathlib import Path

from hack.gobuild import run_go

MODULE = Path(__file__).parents[1] / "hack" / "crds"
GATEWAY_API = "sigs.k8s.io/gateway-api"
PROMETHEUS_OPERATOR = "github.com/prometheus-operator/prometheus-operator"
_STANDARD = "config/crd/standard"


def definitions() -> list[Path]:
    """Return the files of HTTPRoute and PodMonitor; BuildError where they cannot be had."""
    folder = _folders(GATEWAY_API, PROMETHEUS_OPERATOR)
    monitors = "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml"
    return [
        folder[GATEWAY_API] / _STANDARD / "gateway.networking.k8s.io_httproutes.yaml",
        folder[PROMETHEUS_OPERATOR] / monitors,
    ]


def gateway_definitions() -> list[Path]:
    """Return the files of every kind of the Gateway API's standard channel; BuildError where they cannot be had."""
    found = sorted((_folders(GATEWAY_API)[GATEWAY_API] / _STANDARD).glob("*s.yaml"))
    return [each for each in found if not each.stem.endswith("_vap_safeupgrades")]  # an admission policy, no kind


def _folders(*modules: str) -> dict[str, Path]:
    told = run_go("mod", "download", "-json", *modules, folder=MODULE)
    decoder, found, rest = json.JSONDecoder(), {}, told.strip()
    while rest:
        module, end = decoder.raw_decode(rest)
        found[module["Path"]] = Path(module["Dir"])
        rest = rest[end:].strip()
    return found
