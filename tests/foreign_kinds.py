"""The published CustomResourceDefinitions of kinds that a cluster may have besides: HTTPRoute and PodMonitor.

They are parts of Go modules, which hack/crds pins with their digests.
"""

from __future__ import annotations

import json
from pathlib import Path

from hack.gobuild import run_go

MODULE = Path(__file__).parents[1] / "hack" / "crds"
FILES = {
    "sigs.k8s.io/gateway-api": "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
    "github.com/prometheus-operator/prometheus-operator": (
        "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml"
    ),
}


def definitions() -> list[Path]:
    """Return the files; BuildError where they cannot be had."""
    told = run_go("mod", "download", "-json", *FILES, folder=MODULE)
    decoder, modules, rest = json.JSONDecoder(), [], told.strip()
    while rest:
        module, end = decoder.raw_decode(rest)
        modules.append(module)
        rest = rest[end:].strip()
    return [Path(each["Dir"], FILES[each["Path"]]) for each in modules]
