"""When bytes of before are collected: never while a pod or a Deployment may use them, and told what to keep."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.controllers.conftest import HeldClock

from llmkube.api.model import ModelSpec, ModelStatus, Projector, Retained
from llmkube.controllers.caches import Caches, caches
from llmkube.controllers.model_collection import ModelCollection
from llmkube.desired.fetch_job import Target
from llmkube.desired.fetch_result import Done
from llmkube.desired.labels import model_labels, service_labels
from llmkube.desired.model_status import Sight
from llmkube.desired.model_volume import FURTHER_DIGESTS, MODEL_DIGEST
from llmkube.desired.retained import Place
from llmkube.desired.settings import OperatorSettings
from llmkube.kube.errors import Forbidden
from llmkube.kube.kinds import Kind
from llmkube.kube.objects import (
    CustomResource,
    Deployment,
    DeploymentStatus,
    Job,
    ObjectMeta,
    PersistentVolumeClaim,
    Pod,
)

OLD, NEW, OLDER = "ab" * 32, "cd" * 32, "ef" * 32
MODEL = CustomResource(metadata=ObjectMeta(name="tiny", namespace="team", uid="u-1"))
DONE = Done(NEW, 1000, f"v1/models/team/tiny/{NEW[:12]}/tiny.gguf")
TARGET = Target(claim_name="tiny-cache", claim_uid="c-1", etag="e")


class Applier:
    """What was applied and deleted."""

    def __init__(self) -> None:
        self.applied: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.refuses = False

    async def apply(self, _kind: object, desired: dict[str, Any], _live: object) -> bool:
        self.applied.append(desired)
        if self.refuses:
            raise Forbidden(403, "Forbidden", "exceeded quota: jobs")
        return True

    async def delete(self, _kind: object, live: Job) -> bool:
        self.deleted.append(live.metadata.name)
        return True


class Client:
    """What the API server itself says of pods and Deployments."""

    def __init__(self, *there: Pod | Deployment) -> None:
        self._there = there

    async def list(self, kind: Kind[Any], _namespace: str, *, label_selector: str) -> list[Any]:
        assert label_selector
        return [each for each in self._there if isinstance(each, kind.type)]


@pytest.fixture
def known() -> Caches:
    found = caches(None)  # type: ignore[arg-type]
    found.claims.store.apply(PersistentVolumeClaim(metadata=named("tiny-cache")))
    return found


@pytest.fixture
def applier() -> Applier:
    return Applier()


def named(name: str, **fields: Any) -> ObjectMeta:
    return ObjectMeta(name=name, namespace="team", uid=name, **fields)


def entry(sha256: str, claim: str = "tiny-cache", **fields: Any) -> Retained:
    return Retained(sha256=sha256, path=f"v1/models/team/tiny/{sha256[:12]}/tiny.gguf", claim=claim, **fields)


def sight(*kept: Retained, **fields: Any) -> Sight:
    spec = ModelSpec(source="https://h/tiny.gguf")
    given = {"fetch": DONE, "claim": "tiny-cache", "target": TARGET, **fields}
    told = given.pop("told", NEW)
    return Sight(1, spec, ModelStatus(retained=kept, sha256=told), **given)


async def collect(known: Caches, applier: Applier, seen: Sight, *live: Pod | Deployment) -> Sight:
    acted: Any = applier
    client: Any = Client(*live)
    return await ModelCollection(known, client, acted, OperatorSettings(), HeldClock()).advance(MODEL, seen)


def pod(sha256: str, claim: str = "tiny-cache", phase: str = "Running") -> Pod:
    made = {
        "metadata": {"name": "p", "namespace": "team", "annotations": {MODEL_DIGEST: sha256}},
        "spec": {"volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": claim}}]},
        "status": {"phase": phase},
    }
    return msgspec.convert(made, Pod)


def drafted(draft: str, adapter: str = OLDER) -> Pod:
    """A pod that serves a model out of one claim, with a draft and an adapter out of another."""
    made = {
        "metadata": {
            "name": "d",
            "namespace": "team",
            "annotations": {MODEL_DIGEST: "99" * 32, FURTHER_DIGESTS: f"models-1={draft},models-1={adapter}"},
        },
        "spec": {
            "volumes": [
                {"name": "models", "persistentVolumeClaim": {"claimName": "large-cache"}},
                {"name": "models-1", "persistentVolumeClaim": {"claimName": "tiny-cache"}},
            ]
        },
        "status": {"phase": "Running"},
    }
    return msgspec.convert(made, Pod)


def large(sha256: str) -> Pod:
    """A pod that serves the very bytes out of another claim, with a draft out of this one."""
    found = drafted(NEW)
    annotations = {MODEL_DIGEST: sha256, FURTHER_DIGESTS: f"models-1={NEW}"}
    return msgspec.structs.replace(found, metadata=msgspec.structs.replace(found.metadata, annotations=annotations))


def deployment(sha256: str, template: Pod | None = None) -> Deployment:
    made = msgspec.to_builtins(template or pod(sha256))
    spec = msgspec.json.encode({"replicas": 0, "template": made})
    return Deployment(metadata=named("chat", labels=service_labels("chat")), spec=msgspec.Raw(spec))


def kept_words(job: dict[str, Any]) -> list[str]:
    words = job["spec"]["template"]["spec"]["containers"][0]["command"]
    assert "--collect" in words
    return [words[index + 1] for index, word in enumerate(words) if word == "--keep"]


async def test_what_nobody_uses_is_collected_by_a_job_that_keeps_what_serves(known: Caches, applier: Applier) -> None:
    await collect(known, applier, sight(entry(OLD)))
    (job,) = applier.applied
    assert job["metadata"]["labels"]["app.kubernetes.io/component"] == "collect"
    assert job["metadata"]["ownerReferences"][0]["uid"] == "u-1"
    assert kept_words(job) == [NEW[:12]]


async def test_projectors_go_and_stay_with_their_models(known: Caches, applier: Applier) -> None:
    known.pods.store.apply(pod(OLD))
    done = msgspec.structs.replace(DONE, projector=Done("12" * 32, 5, "v1/p"))
    kept = (entry(OLD, mmproj_sha256="34" * 32), entry(OLDER, mmproj_sha256="56" * 32))
    await collect(known, applier, sight(*kept, fetch=done))
    assert kept_words(applier.applied[0]) == sorted(each[:12] for each in (NEW, OLD, "12" * 32, "34" * 32))


@pytest.mark.parametrize(
    "user",
    [pod(OLD), deployment(OLD), drafted(OLD), drafted(OLDER, OLD), deployment("", drafted(OLD))],
    ids=["a pod", "a Deployment without pods", "a pod's draft", "a pod's adapter", "a Deployment's draft"],
)
async def test_what_is_used_stays(known: Caches, applier: Applier, user: Any) -> None:
    (known.pods if isinstance(user, Pod) else known.deployments).store.apply(user)
    seen = await collect(known, applier, sight(entry(OLD)))
    assert (applier.applied, seen.gone) == ([], frozenset())


@pytest.mark.parametrize(
    ("observed", "updated", "collects"),
    [(1, 2, 0), (2, 1, 0), (2, 2, 1)],
    ids=["not begun", "under way", "over"],
)
async def test_pods_of_before_that_were_not_seen_yet_are_known_by_their_deployments_roll_out(
    known: Caches, applier: Applier, observed: int, updated: int, collects: int
) -> None:
    """Seed 1798 of the simulation: the cache of pods was behind that of Deployments."""
    rolling = deployment(NEW)
    status = DeploymentStatus(observed_generation=observed, replicas=2, updated_replicas=updated)
    metadata = msgspec.structs.replace(rolling.metadata, generation=2)
    live = msgspec.structs.replace(rolling, metadata=metadata, status=status)
    seen = await collect(known, applier, sight(entry(OLD)), live)
    assert (len(applier.applied), seen.retry_in is not None) == (collects, not collects)


@pytest.mark.parametrize(
    ("live", "collects"),
    [
        (pod(OLD), 0),
        (drafted(OLD), 0),
        (pod(OLD, phase="Failed"), 1),
        (pod(NEW), 1),
        (deployment(OLD), 0),
        (deployment(NEW), 1),
    ],
)
async def test_users_that_only_the_api_server_knows_of_are_asked_for_before_the_job(
    known: Caches, applier: Applier, live: Pod | Deployment, collects: int
) -> None:
    """Pods of a Deployment that was deleted a moment ago; a Deployment without pods (seed 7364 of the simulation)."""
    seen = await collect(known, applier, sight(entry(OLD)), live)
    assert (len(applier.applied), seen.retry_in is not None) == (collects, not collects)


@pytest.mark.parametrize(
    "other", [pod(NEW), pod(OLD, "other-cache"), pod(OLD, phase="Succeeded"), deployment(NEW), drafted(NEW), large(OLD)]
)
async def test_others_are_no_users(known: Caches, applier: Applier, other: Any) -> None:
    (known.pods if isinstance(other, Pod) else known.deployments).store.apply(other)
    await collect(known, applier, sight(entry(OLD)))
    assert len(applier.applied) == 1


async def test_nothing_is_collected_before_the_status_says_what_is_served_instead(
    known: Caches, applier: Applier
) -> None:
    seen = await collect(known, applier, sight(entry(OLD), told=None))
    assert (applier.applied, seen.retry_in, seen.gone) == ([], 2.0, frozenset())


@pytest.mark.parametrize("fields", [{"fetch": None}, {"target": None, "claim": None}], ids=["not verified", "no claim"])
async def test_nothing_is_collected_while_nothing_else_is_verified(
    known: Caches, applier: Applier, fields: dict[str, Any]
) -> None:
    await collect(known, applier, sight(entry(OLD), **fields))
    assert applier.applied == []


async def test_what_went_with_its_claim_is_gone(known: Caches, applier: Applier) -> None:
    seen = await collect(known, applier, sight(entry(OLD, "gone-cache")))
    assert (seen.gone, applier.applied) == (frozenset({Place("gone-cache", OLD)}), [])


async def test_what_a_claim_of_before_holds_stays_there(known: Caches, applier: Applier) -> None:
    known.claims.store.apply(PersistentVolumeClaim(metadata=named("llmkube-models")))
    seen = await collect(known, applier, sight(entry(OLD, "llmkube-models")))
    assert (seen.gone, applier.applied) == (frozenset(), [])


def ended(applier: Applier, kind: str, reason: str = "") -> Job:
    name = applier.applied[0]["metadata"]["name"]
    owner = {"apiVersion": "v1", "kind": "Model", "name": "tiny", "uid": "u-1", "controller": True}
    labels = model_labels("tiny", "collect")
    metadata = {"name": name, "namespace": "team", "uid": "j", "labels": labels, "ownerReferences": [owner]}
    condition = {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": "2026-01-01T00:00:00Z"}
    return msgspec.convert({"metadata": metadata, "status": {"conditions": [condition]}}, Job)


async def test_a_collection_that_is_done_is_told_and_its_job_goes_afterwards(known: Caches, applier: Applier) -> None:
    await collect(known, applier, sight(entry(OLD)))
    known.jobs.store.apply(ended(applier, "Complete"))
    seen = await collect(known, applier, sight(entry(OLD)))
    assert (seen.gone, applier.deleted, seen.retry_in) == (frozenset({Place("tiny-cache", OLD)}), [], 2.0)
    await collect(known, applier, sight())
    assert applier.deleted == [applier.applied[0]["metadata"]["name"]]


@pytest.mark.parametrize(
    ("reason", "pause", "when"),
    [("BackoffLimitExceeded", 600.0, "00:10:00Z"), ("PodFailurePolicy", 3600.0, "01:00:00Z")],
)
async def test_a_collection_that_fails_is_told_and_tried_again_and_harms_nothing(
    reason: str, pause: float, when: str, known: Caches, applier: Applier
) -> None:
    await collect(known, applier, sight(entry(OLD)))
    known.jobs.store.apply(ended(applier, "Failed", reason))
    seen = await collect(known, applier, sight(entry(OLD)))
    assert seen.remark is not None
    assert (seen.remark.reason, seen.fetch, seen.retry_in) == ("CollectionFailed", DONE, pause)
    assert f"again at about {when}" in seen.remark.message


async def test_a_collection_that_is_not_allowed_is_told_and_holds_nothing_up(known: Caches, applier: Applier) -> None:
    applier.refuses = True
    seen = await collect(known, applier, sight(entry(OLD)))
    assert seen.remark is not None
    assert (seen.remark.reason, seen.fetch, seen.retry_in) == ("CollectionFailed", DONE, 600.0)
    assert "exceeded quota" in seen.remark.message


async def test_a_users_coming_changes_what_is_kept_and_so_the_job(known: Caches, applier: Applier) -> None:
    await collect(known, applier, sight(entry(OLD), entry(OLDER)))
    known.pods.store.apply(pod(OLD))
    await collect(known, applier, sight(entry(OLD), entry(OLDER)))
    first, second = (each["metadata"]["name"] for each in applier.applied)
    assert first != second


def test_projectors_are_part_of_what_is_retained() -> None:
    status = ModelStatus(
        sha256=OLD,
        path="v1/p",
        claim="tiny-cache",
        mmproj=Projector(source="https://h/p.gguf", sha256="34" * 32, path="v1/q"),
    )
    from llmkube.desired.retained import retained

    (kept,) = retained(status, current=None)
    assert kept.mmproj_sha256 == "34" * 32
