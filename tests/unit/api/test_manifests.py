"""What is installed in a cluster: the operator's rights are few, and its pod passes Pod Security "restricted"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

MANIFESTS = Path(__file__).parents[3] / "manifests"


def documents(path: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((MANIFESTS / path).read_text()))


def rights() -> dict[str, set[str]]:
    """Return the verbs of the operator per resource, over all of its roles."""
    granted: dict[str, set[str]] = {}
    for role in documents("rbac/operator.yaml"):
        for rule in role.get("rules", ()):
            for resource in rule["resources"]:
                granted.setdefault(resource, set()).update(rule["verbs"])
    return granted


def test_the_operator_reads_secrets_and_config_maps_only_by_name() -> None:
    assert rights()["secrets"] == rights()["configmaps"] == {"get"}


def test_no_right_of_the_operator_is_a_wildcard() -> None:
    assert not any("*" in resource or "*" in verbs for resource, verbs in rights().items())


def test_the_operator_makes_no_pods_itself() -> None:
    assert rights()["pods"] == {"list", "watch"}
    assert rights()["pods/log"] == {"get"}


def test_the_operators_pod_is_restricted() -> None:
    pod = documents("base/operator.yaml")[0]["spec"]["template"]["spec"]
    container = pod["containers"][0]["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["allowPrivilegeEscalation"] is False
    assert container["capabilities"] == {"drop": ["ALL"]}


def test_every_kustomization_names_files_that_are_there() -> None:
    for path in MANIFESTS.rglob("kustomization.yaml"):
        for resource in yaml.safe_load(path.read_text())["resources"]:
            assert (path.parent / resource).exists(), f"{path}: {resource}"
