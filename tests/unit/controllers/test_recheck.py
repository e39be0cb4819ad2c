"""Verified bytes are read again once for each cause: an engine that could not read them, or a person's annotation."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.controllers.test_collection import DONE, MODEL, NEW, Applier, named, sight

from llmkube.controllers.caches import Caches, caches
from llmkube.controllers.model_recheck import VERIFY, ModelRecheck
from llmkube.desired.damage import could_not_read
from llmkube.desired.model_status import Sight
from llmkube.desired.model_volume import MODEL_DIGEST
from llmkube.desired.settings import OperatorSettings
from llmkube.kube.objects import CustomResource, Job, OwnerReference, Pod

UNREAD = "gguf_init_from_reader: invalid magic characters: '????', expected 'GGUF'"


@pytest.fixture
def known() -> Caches:
    return caches(None)  # type: ignore[arg-type]


@pytest.fixture
def applier() -> Applier:
    return Applier()


def crashed(words: str = UNREAD) -> Pod:
    ended = {"terminated": {"exitCode": 1, "message": words}}
    made = {
        "metadata": {"name": "p", "uid": "p-1", "namespace": "team", "annotations": {MODEL_DIGEST: NEW}},
        "spec": {"volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": "tiny-cache"}}]},
        "status": {"containerStatuses": [{"name": "llama-server", "lastState": ended}]},
    }
    return msgspec.convert(made, Pod)


def annotated(value: str) -> CustomResource:
    return msgspec.structs.replace(MODEL, metadata=msgspec.structs.replace(MODEL.metadata, annotations={VERIFY: value}))


async def recheck(known: Caches, applier: Applier, model: CustomResource = MODEL, seen: Sight | None = None) -> Sight:
    acted: Any = applier
    return await ModelRecheck(known, acted, OperatorSettings()).advance(model, seen or sight())


def ended(applied: dict[str, Any], kind: str) -> Job:
    """The Job that was applied, as a cluster tells of it later."""
    metadata = applied["metadata"]
    owner = OwnerReference(api_version="v1", kind="Model", name="tiny", uid="u-1", controller=True)
    meta = named(metadata["name"], labels=metadata["labels"], owner_references=(owner,))
    status = {"conditions": [{"type": kind, "status": "True"}]}
    return msgspec.structs.replace(msgspec.convert({"status": status}, Job), metadata=meta)


async def test_nothing_is_read_again_without_a_cause(known: Caches, applier: Applier) -> None:
    seen = await recheck(known, applier)
    assert (applier.applied, seen.remark) == ([], None)


async def test_an_engine_that_could_not_read_its_file_has_it_read_again_once(known: Caches, applier: Applier) -> None:
    known.pods.store.apply(crashed())
    assert could_not_read(crashed())
    seen = await recheck(known, applier)
    (job,) = applier.applied
    words = job["spec"]["template"]["spec"]["containers"][0]["command"]
    assert (words[-1], NEW in words, DONE.sha256) == ("--recheck", True, NEW)
    assert seen.remark is not None
    assert (seen.remark.reason, "pod p" in seen.remark.message) == ("Rechecking", True)
    known.jobs.store.apply(ended(job, "Complete"))
    again = await recheck(known, applier)
    assert (len(applier.applied), applier.deleted) == (1, [])
    assert again.remark is not None
    assert again.remark.reason == "FileIsSound"


async def test_a_person_has_it_read_again_by_a_new_value_of_the_annotation(known: Caches, applier: Applier) -> None:
    await recheck(known, applier, annotated("1"))
    known.jobs.store.apply(ended(applier.applied[0], "Complete"))
    seen = await recheck(known, applier, annotated("1"))
    assert (len(applier.applied), seen.remark) == (1, None)
    await recheck(known, applier, annotated("2"))
    assert len({each["metadata"]["name"] for each in applier.applied}) == 2
    assert applier.deleted == [applier.applied[0]["metadata"]["name"]]


async def test_a_recheck_that_failed_is_told_with_what_to_do(known: Caches, applier: Applier) -> None:
    await recheck(known, applier, annotated("1"))
    known.jobs.store.apply(ended(applier.applied[0], "Failed"))
    seen = await recheck(known, applier, annotated("1"))
    assert seen.remark is not None
    assert (seen.remark.reason, "another value" in seen.remark.message) == ("RecheckFailed", True)


async def test_a_quota_in_the_way_is_told_and_tried_again(known: Caches, applier: Applier) -> None:
    applier.refuses = True
    seen = await recheck(known, applier, annotated("1"))
    assert seen.remark is not None
    assert (seen.remark.reason, seen.retry_in is not None) == ("RecheckFailed", True)


async def test_a_job_goes_with_its_cause(known: Caches, applier: Applier) -> None:
    await recheck(known, applier, annotated("1"))
    known.jobs.store.apply(ended(applier.applied[0], "Complete"))
    await recheck(known, applier)
    assert applier.deleted == [applier.applied[0]["metadata"]["name"]]
