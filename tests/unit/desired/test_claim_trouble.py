"""What keeps a claim from being used: each named, with what was expected, what was found and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from llmkube.api.model import ModelSpec, Projector
from llmkube.desired.claim_trouble import claim_trouble, several_nodes
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.resolution import Known
from llmkube.kube.objects import CustomResource, PersistentVolumeClaim

GI = 2**30
Factory = Callable[..., Any]
KNOWN = Known(GI)
OWN = [{"apiVersion": "v1", "kind": "Model", "name": "tiny", "uid": "u-1", "controller": True}]


def claim(
    *, owners: Any = OWN, phase: str = "Bound", storage: str = "2Gi", modes: Any = ("ReadWriteOnce",), **metadata: Any
) -> PersistentVolumeClaim:
    made = {
        "metadata": {"name": "tiny-cache", "namespace": "team", "ownerReferences": owners, **metadata},
        "spec": {"accessModes": list(modes), "resources": {"requests": {"storage": storage}}},
        "status": {"phase": phase},
    }
    return msgspec.json.decode(msgspec.json.encode(made), type=PersistentVolumeClaim)


@pytest.fixture
def trouble(resource: Callable[..., CustomResource], model_spec: Callable[..., ModelSpec]) -> Factory:
    def find(live: PersistentVolumeClaim | None, known: Known = KNOWN, **cache: Any) -> Trouble | None:
        return claim_trouble(resource(), model_spec(cache=cache), known, name="tiny-cache", live=live)

    return find


def test_a_claim_of_our_own_that_is_large_enough_is_no_trouble(trouble: Factory) -> None:
    assert trouble(claim()) is None
    assert trouble(claim(phase="Pending")) is None
    assert trouble(None) is None


EXISTING = {"mode": "Existing", "claimName": "tiny-cache"}


@pytest.mark.parametrize(
    ("live", "cache", "reason", "words"),
    [
        (claim(deletionTimestamp="2026-01-01T00:00:00Z"), {}, "ClaimDeleted", ["is being deleted"]),
        (claim(phase="Lost"), {}, "ClaimLost", ["lost its volume", "delete it"]),
        (claim(owners=[]), {}, "ClaimTaken", ["somebody else's", "spec.cache.mode Existing"]),
        (claim(owners=[OWN[0] | {"uid": "u-0"}]), {}, "ClaimTaken", ["somebody else's"]),
        (claim(storage="512Mi"), {}, "ClaimTooSmall", ["room for 1Gi", "found 512Mi", "spec.cache.size"]),
        (claim(storage="512Mi"), EXISTING, "ClaimTooSmall", ["found 512Mi", "spec.cache.claimName"]),
        (None, EXISTING, "ClaimNotFound", ["spec.cache.claimName", "found none", "create it"]),
    ],
)
def test_trouble_is_named_with_what_to_do(
    live: Any, cache: dict[str, Any], reason: str, words: list[str], trouble: Factory
) -> None:
    found = trouble(live, **cache)
    assert found is not None
    assert found.reason == reason
    assert [word for word in ("PersistentVolumeClaim tiny-cache", *words) if word not in found.message] == []


def test_a_claim_that_a_person_brought_may_be_anybodys(trouble: Factory) -> None:
    assert trouble(claim(owners=[]), **EXISTING) is None
    assert trouble(claim(owners=[]), mode="Shared") is None


def test_a_size_that_nobody_states_must_be_said_for_a_claim_of_its_own(trouble: Factory) -> None:
    found = trouble(None, Known(None))
    assert found is not None
    assert (found.reason, "spec.cache.size" in found.message) == ("SizeUnknown", True)
    assert trouble(None, Known(None), size="3Gi") is None
    assert trouble(None, Known(None), mode="Shared") is None


def test_the_projector_needs_room_too(trouble: Factory) -> None:
    projector = Projector(source="https://h/p.gguf", size_bytes=2 * GI)
    found = trouble(claim(), Known(GI, projector=projector))
    assert found is not None
    assert "room for 3Gi" in found.message


@pytest.mark.parametrize("mode", ["ReadWriteOnce", "ReadWriteOncePod"])
def test_a_claim_of_one_node_with_pods_on_two_is_named_with_both(mode: str) -> None:
    found = several_nodes(claim(modes=(mode,)), ("node-b", "node-a"))
    assert found is not None
    assert found.reason == "ClaimOnSeveralNodes"
    assert all(word in found.message for word in ("tiny-cache", "node-a, node-b", "ReadWriteMany"))


def test_a_claim_of_many_nodes_or_pods_on_one_are_no_trouble() -> None:
    assert several_nodes(claim(modes=("ReadWriteMany",)), ("a", "b")) is None
    assert several_nodes(claim(), ("a",)) is None
