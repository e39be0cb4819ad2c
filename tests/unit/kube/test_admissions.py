"""What a webhook or a policy of the cluster makes of an apply stands, and is not asked for again at each reconcile."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from structlog.testing import CapturingLogger
from tests.unit.kube.test_apply import MANIFEST, Time

from llmkube.kube.admissions import LASTS
from llmkube.kube.applied import with_hash
from llmkube.kube.apply import Applier
from llmkube.kube.kinds import DEPLOYMENT, Key
from llmkube.kube.objects import Deployment

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[dict[str, Any]], None]


def mirrored(pod: dict[str, Any]) -> None:
    """A policy for an air-gapped cluster."""
    for container in pod["containers"]:
        container["image"] = f"mirror.example/{container['image']}"


def without_gate(pod: dict[str, Any]) -> None:
    """A server that does not know the field."""
    pod.pop("hostUsers", None)


def alone(pod: dict[str, Any]) -> None:
    """No policy."""


class Cluster:
    """One object, and who changes what is applied to it."""

    def __init__(self, admits: Change) -> None:
        self.admits = admits
        self.time = Time()
        self.applier = Applier(self, "test", self.time)  # type: ignore[arg-type]
        self.live: Deployment | None = None
        self.uid = "u-1"
        self.applies = 0

    async def apply(self, _kind: object, wanted: dict[str, Any], **_: object) -> Deployment:
        self.applies += 1
        kept = copy.deepcopy(wanted)
        kept["metadata"] |= {"uid": self.uid, "resourceVersion": str(10 + self.applies)}
        self.admits(kept["spec"]["template"]["spec"])
        return self.store(kept)

    def store(self, obj: dict[str, Any]) -> Deployment:
        self.live = msgspec.json.decode(msgspec.json.encode(obj), type=Deployment)
        return self.live

    def edit(self, **fields: object) -> None:
        """By a person: fields of the first container."""
        assert self.live is not None
        spec = msgspec.json.decode(self.live.spec)
        spec["template"]["spec"]["containers"][0].update(fields)
        self.store({**msgspec.to_builtins(self.live, builtin_types=(msgspec.Raw,)), "spec": spec})

    async def reconciled(self, manifest: dict[str, Any] = MANIFEST, times: int = 5) -> int:
        """How often it was written in so many reconciles."""
        before = self.applies
        for _ in range(times):
            await self.applier.apply(DEPLOYMENT, manifest, self.live)
        return self.applies - before


def manifest_of(**pod: object) -> dict[str, Any]:
    spec = MANIFEST["spec"]
    template = {"spec": {**spec["template"]["spec"], **pod}}
    return {**MANIFEST, "spec": {**spec, "template": template}}


@pytest.mark.parametrize(
    ("admits", "manifest"),
    [(mirrored, MANIFEST), (without_gate, manifest_of(hostUsers=False))],
    ids=["webhook", "gate"],
)
async def test_what_the_server_changes_is_asked_for_once_more_and_then_taken_as_it_is(
    admits: Change, manifest: dict[str, Any]
) -> None:
    assert await Cluster(admits).reconciled(manifest) == 2


async def test_what_the_server_does_not_change_is_written_once() -> None:
    assert await Cluster(alone).reconciled() == 1


async def test_another_intent_is_applied_though_the_answer_to_the_one_before_stands() -> None:
    cluster = Cluster(mirrored)
    await cluster.reconciled()
    assert await cluster.reconciled(manifest_of(terminationGracePeriodSeconds=7)) == 2


@pytest.mark.parametrize("field", [{"image": "y"}, {"command": ["sh"], "image": "y"}])
async def test_what_a_person_changes_is_put_back_to_what_the_server_makes_of_it(field: dict[str, Any]) -> None:
    cluster = Cluster(mirrored)
    await cluster.reconciled()
    cluster.edit(**field)
    assert await cluster.reconciled() == 1
    assert b'"mirror.example/x"' in bytes(cluster.live.spec if cluster.live else b"")


async def test_what_others_add_to_it_causes_no_write() -> None:
    cluster = Cluster(mirrored)
    await cluster.reconciled()
    cluster.edit(terminationMessagePolicy="File")
    assert await cluster.reconciled() == 0


async def test_a_policy_that_is_gone_is_found_out_within_an_hour() -> None:
    cluster = Cluster(mirrored)
    await cluster.reconciled()
    cluster.admits = alone
    assert await cluster.reconciled() == 0
    cluster.time.seconds += LASTS
    assert await cluster.reconciled() == 1
    assert b'"image":"x"' in bytes(cluster.live.spec if cluster.live else b"")


async def test_an_object_made_anew_is_asked_for_anew() -> None:
    cluster = Cluster(mirrored)
    await cluster.reconciled()
    live = msgspec.to_builtins(cluster.live, builtin_types=(msgspec.Raw,))
    cluster.store({**live, "spec": MANIFEST["spec"], "metadata": with_hash(MANIFEST)["metadata"] | {"uid": "u-2"}})
    assert await cluster.reconciled() == 0
    cluster.edit(image="mirror.example/x")
    assert await cluster.reconciled(times=1) == 1


async def test_objects_made_anew_again_and_again_leave_one_answer() -> None:
    cluster = Cluster(mirrored)
    for number in range(5):
        cluster.live, cluster.uid = None, f"u-{number}"
        assert await cluster.reconciled() == 2
    assert [len(each) for each in cluster.applier._admissions._answers.values()] == [1]


async def test_an_owner_that_is_gone_leaves_nothing_in_memory() -> None:
    cluster = Cluster(mirrored)
    await cluster.reconciled()
    cluster.applier.forget(Key("default", "m"))
    assert not cluster.applier._admissions._answers


async def test_the_log_names_the_object_and_the_field_once(monkeypatch: pytest.MonkeyPatch) -> None:
    log = CapturingLogger()
    monkeypatch.setattr("llmkube.kube.admissions.log", log)
    cluster = Cluster(mirrored)
    await cluster.reconciled()
    cluster.time.seconds += LASTS
    await cluster.reconciled()
    told = [each.kwargs for each in log.calls]
    field = '.spec.template.spec.containers[name="c"].image'
    assert told == [{"resource": "deployments.apps", "object": "default/web", "field": field}]
