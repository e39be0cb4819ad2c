"""Claims of Models on a control plane: somebody else's, one that several nodes want, and one that grows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.component.operator.api import Api, Object
    from tests.component.operator.conftest import Until
    from tests.component.operator.plane import Plane

    Documents = Callable[..., tuple[Object, Object]]

pytestmark = [pytest.mark.usefixtures("operator", "steady")]
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def degraded(model: Object) -> Any:
    found = next(each for each in model["status"]["conditions"] if each["type"] == "Degraded")
    return found["reason"], found["message"]


def is_ready(model: Object) -> bool:
    return bool(model["status"]["phase"] == "Ready")


def test_a_claim_of_the_models_name_that_is_somebody_elses_is_named_and_left_alone(
    api: Api, here: str, documents: Documents, until: Until
) -> None:
    theirs = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "chat-cache"}, "spec": CLAIM}
    api.apply("persistentvolumeclaims", here, theirs)
    api.apply("models", here, documents()[0])
    model = until(lambda: api.get("models", here, "chat"), lambda found: degraded(found)[0] == "ClaimTaken")
    assert model["status"]["phase"] == "Pending"
    assert "PersistentVolumeClaim chat-cache" in degraded(model)[1]
    assert "ownerReferences" not in api.get("persistentvolumeclaims", here, "chat-cache")["metadata"]
    assert api.items("jobs", here) == []
    api.delete("persistentvolumeclaims", here, "chat-cache")
    until(lambda: api.get("models", here, "chat"), is_ready)


def test_pods_on_two_nodes_that_want_a_claim_of_one_are_named(
    api: Api, here: str, documents: Documents, until: Until
) -> None:
    api.apply("models", here, documents()[0])
    until(lambda: api.get("models", here, "chat"), is_ready)
    for node in ("node-a", "node-b"):
        api.apply("pods", here, pod(node))
    model = until(lambda: api.get("models", here, "chat"), lambda found: degraded(found)[0] == "ClaimOnSeveralNodes")
    assert model["status"]["phase"] == "Ready"
    assert "node-a, node-b" in degraded(model)[1]
    for node in ("node-a", "node-b"):
        api.delete("pods", here, node)
    until(lambda: api.get("models", here, "chat"), lambda found: degraded(found)[0] == "AsExpected")


def pod(node: str) -> Object:
    volume = {"name": "models", "persistentVolumeClaim": {"claimName": "chat-cache"}}
    spec = {"nodeName": node, "volumes": [volume], "containers": [{"name": "engine", "image": "engine"}]}
    labels = {"app.kubernetes.io/name": "llmkube"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": node, "labels": labels}, "spec": spec}


def test_a_claim_grows_when_the_spec_asks_for_more(
    api: Api, here: str, documents: Documents, until: Until, plane: Plane
) -> None:
    model = documents()[0]
    has_elastic_class(api, plane)
    model["spec"]["cache"] = {"storageClassName": "elastic"}
    api.apply("models", here, model)
    until(lambda: api.get("models", here, "chat"), is_ready)
    bound = {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
    api.patch("persistentvolumeclaims", here, "chat-cache", {"status": bound}, "status")
    api.patch("models", here, "chat", {"spec": {"cache": {"size": "9Gi"}}})
    claim = until(lambda: api.get("persistentvolumeclaims", here, "chat-cache"), lambda found: size(found) == "9Gi")
    assert claim["spec"]["storageClassName"] == "elastic"
    api.patch("models", here, "chat", {"spec": {"cache": {"size": "2Gi"}}})
    until(lambda: api.get("models", here, "chat"), lambda found: found["status"]["observedGeneration"] == 3)
    assert size(api.get("persistentvolumeclaims", here, "chat-cache")) == "9Gi"


def has_elastic_class(api: Api, plane: Plane) -> None:
    if plane.is_real:  # it looks the class up, to see whether claims of it may grow
        elastic = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "elastic"}}
        api.apply("storageclasses", "", elastic | {"provisioner": "llmkube.dev/none", "allowVolumeExpansion": True})


def size(claim: Object) -> str:
    found: str = claim["spec"]["resources"]["requests"]["storage"]
    return found


def test_a_claim_that_is_deleted_is_held_by_no_pod_of_ours_and_is_made_and_filled_anew(
    api: Api, here: str, documents: Documents, until: Until
) -> None:
    """On a real node the fetch's pod, which is done, would keep the claim for ever (kubernetes.io/pvc-protection)."""
    api.apply("models", here, documents()[0])
    until(lambda: api.get("models", here, "chat"), is_ready)
    before = api.get("persistentvolumeclaims", here, "chat-cache")["metadata"]
    held = {"metadata": {"finalizers": [*before.get("finalizers", []), "test.llmkube.dev/hold"]}}
    api.patch("persistentvolumeclaims", here, "chat-cache", held)
    api.delete("persistentvolumeclaims", here, "chat-cache")
    until(lambda: api.items("jobs", here), lambda jobs: jobs == [])
    assert is_ready(api.get("models", here, "chat")), "whoever serves from it goes on"
    api.patch("persistentvolumeclaims", here, "chat-cache", {"metadata": {"finalizers": None}})
    until(
        lambda: api.items("persistentvolumeclaims", here), lambda found: bool(found) and uid(found[0]) != before["uid"]
    )
    until(lambda: api.items("jobs", here), lambda jobs: len(jobs) == 1)
    until(lambda: api.get("models", here, "chat"), is_ready)


def uid(obj: Object) -> Any:
    return obj["metadata"]["uid"]


def test_models_that_share_a_claim_take_it_as_the_first_one_made_it_and_it_grows_for_who_wants_more(
    api: Api, here: str, documents: Documents, until: Until, plane: Plane
) -> None:
    has_elastic_class(api, plane)
    for name, wants in (("chat", "5Gi"), ("other", "2Gi")):
        model = documents()[0]
        model["metadata"]["name"] = name
        model["spec"]["cache"] = {"mode": "Shared", "size": wants, "storageClassName": "elastic"}
        api.apply("models", here, model)
    for name in ("chat", "other"):
        until(lambda name=name: api.get("models", here, name), is_ready)
    (claim,) = api.items("persistentvolumeclaims", here)
    assert size(claim) in ("5Gi", "2Gi")
    bound = {"phase": "Bound", "capacity": {"storage": size(claim)}, "accessModes": ["ReadWriteOnce"]}
    api.patch("persistentvolumeclaims", here, "llmkube-models", {"status": bound}, "status")
    api.patch("models", here, "other", {"spec": {"cache": {"size": "9Gi"}}})
    until(lambda: api.get("persistentvolumeclaims", here, "llmkube-models"), lambda found: size(found) == "9Gi")
