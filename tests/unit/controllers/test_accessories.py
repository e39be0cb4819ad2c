"""What stands beside a service is made once, deleted when nobody wants it, and never anybody else's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from llmkube.controllers.caches import Caches, caches
from llmkube.controllers.inference_accessories import InferenceAccessories
from llmkube.desired.accessories import Accessory
from llmkube.desired.labels import service_metadata
from llmkube.kube.errors import ApiError, Conflict, Forbidden, NotFound
from llmkube.kube.kinds import HTTP_ROUTE, NETWORK_POLICY, Key, Kind
from llmkube.kube.objects import CustomResource, ObjectMeta, Opaque

ISVC = CustomResource(metadata=ObjectMeta(name="chat", namespace="team", uid="u"), kind="InferenceService")


@dataclass
class Cluster:
    """A client and an applier: `there` is what the API server has, `asked` what it was asked."""

    there: dict[Key, Opaque] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    refuses: Exception | None = None

    async def get(self, kind: Kind[Any], key: Key) -> Opaque:
        self.asked.append(f"get {kind.kind} {key.name}")
        if key not in self.there:
            raise NotFound(404, "NotFound", "none")
        return self.there[key]

    async def apply(self, kind: Kind[Any], _desired: object, live: Opaque | None) -> bool:
        self.asked.append(f"apply {kind.kind} over {live.metadata.name if live else 'nothing'}")
        if self.refuses:
            raise self.refuses
        return True

    async def delete(self, kind: Kind[Any], live: Opaque) -> bool:
        self.asked.append(f"delete {kind.kind} {live.metadata.name}")
        return True


@pytest.fixture
def known() -> Caches:
    return caches(None)  # type: ignore[arg-type]


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def beside(known: Caches, cluster: Cluster) -> InferenceAccessories:
    acting: Any = cluster
    return InferenceAccessories(known, acting, acting)


def wanted(kind: Kind[Opaque] = NETWORK_POLICY, *, guards: bool = False) -> Accessory:
    return Accessory(kind, {"metadata": service_metadata(ISVC, name="chat"), "spec": {}}, guards=guards)


def live(*, uid: str = "u", name: str = "chat") -> Opaque:
    owner = {"apiVersion": "inference.llmkube.dev/v1alpha1", "kind": "InferenceService", "name": "chat", "uid": uid}
    metadata = {"name": name, "namespace": "team", "uid": name, "ownerReferences": [{**owner, "controller": True}]}
    return msgspec.json.decode(msgspec.json.encode({"metadata": metadata}), type=Opaque)


async def test_what_is_wanted_is_made_after_a_look_at_who_has_its_name(
    beside: InferenceAccessories, cluster: Cluster
) -> None:
    assert await beside.advance(ISVC, [wanted()]) is None
    assert cluster.asked == ["get NetworkPolicy chat", "apply NetworkPolicy over nothing"]


async def test_what_is_known_is_not_asked_for(beside: InferenceAccessories, known: Caches, cluster: Cluster) -> None:
    known.network_policies.store.apply(live())
    assert await beside.advance(ISVC, [wanted()]) is None
    assert cluster.asked == ["apply NetworkPolicy over chat"]


async def test_where_nothing_is_wanted_nothing_is_asked(beside: InferenceAccessories, cluster: Cluster) -> None:
    assert await beside.advance(ISVC, []) is None
    assert cluster.asked == []


async def test_only_what_is_the_services_own_is_deleted_when_it_is_wanted_no_more(
    beside: InferenceAccessories, known: Caches, cluster: Cluster
) -> None:
    for each in (live(), live(uid="other", name="theirs")):
        known.ingresses.store.apply(each)
    await beside.advance(ISVC, [])
    assert cluster.asked == ["delete Ingress chat"]


async def test_what_a_policy_refuses_is_told_whatever_its_code(beside: InferenceAccessories, cluster: Cluster) -> None:
    cluster.refuses = ApiError(400, "", 'admission webhook "policies.example" denied the request: no policies here')
    setback = await beside.advance(ISVC, [wanted()])
    assert setback is not None
    assert "policies.example" in setback.trouble.message


async def test_a_failure_that_is_no_refusal_is_the_services_to_retry(
    beside: InferenceAccessories, cluster: Cluster
) -> None:
    cluster.refuses = Conflict(409, "Conflict", "it has changed")
    with pytest.raises(Conflict):
        await beside.advance(ISVC, [wanted()])


@pytest.mark.parametrize("guards", [True, False])
async def test_a_name_that_is_somebody_elses_is_told_and_left_alone(
    beside: InferenceAccessories, cluster: Cluster, guards: bool
) -> None:
    cluster.there[Key("team", "chat")] = live(uid="other")
    setback = await beside.advance(ISVC, [wanted(guards=guards)])
    assert setback is not None
    assert (setback.trouble.reason, setback.guards) == ("NameTaken", guards)
    assert cluster.asked == ["get NetworkPolicy chat"]


async def test_what_lost_our_label_is_found_by_its_name_and_taken_back(
    beside: InferenceAccessories, cluster: Cluster
) -> None:
    cluster.there[Key("team", "chat")] = live()
    assert await beside.advance(ISVC, [wanted()]) is None
    assert cluster.asked[-1] == "apply NetworkPolicy over chat"


async def test_a_refusal_is_told_in_the_servers_words_and_the_rest_is_made(
    beside: InferenceAccessories, known: Caches, cluster: Cluster
) -> None:
    cluster.refuses = Forbidden(403, "Forbidden", "exceeded quota")
    known.ingresses.store.apply(live())
    setback = await beside.advance(ISVC, [wanted(guards=True)])
    assert setback is not None
    assert "exceeded quota" in setback.trouble.message
    assert cluster.asked[-1] == "delete Ingress chat"


async def test_a_kind_that_is_not_served_is_told_and_never_asked_for(
    beside: InferenceAccessories, known: Caches, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(known.http_routes), "is_absent", True)
    setback = await beside.advance(ISVC, [wanted(HTTP_ROUTE)])
    assert setback is not None
    assert setback.trouble.reason == "KindNotServed"
    assert "HTTPRoute" in setback.trouble.message
    assert cluster.asked == []
    assert beside.informers() == ()
