"""The Models of a service's adapters: made with the service, gone with the adapter, and nobody else's touched."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from llmkube.api.inference import InferenceServiceSpec
from llmkube.controllers.adapter_models import AdapterModels
from llmkube.controllers.caches import Caches, caches
from llmkube.desired.adapters import adapter_name
from llmkube.kube.kinds import Key
from llmkube.kube.objects import CustomResource

PIRATE, HAIKU = adapter_name("chat", "pirate"), adapter_name("chat", "haiku")


class Applier:
    def __init__(self) -> None:
        self.applied: list[str] = []
        self.deleted: list[str] = []

    async def apply(self, _kind: object, manifest: dict[str, Any], _live: object) -> bool:
        self.applied.append(manifest["metadata"]["name"])
        return True

    async def delete(self, _kind: object, live: CustomResource) -> bool:
        self.deleted.append(live.metadata.name)
        return True


def resource(name: str, *, owner: str | None = None, **spec: Any) -> CustomResource:
    owners = [{"apiVersion": "x/v1", "kind": "K", "name": "o", "uid": owner, "controller": True}] if owner else []
    metadata = {"name": name, "namespace": "team", "uid": f"u-{name}", "ownerReferences": owners}
    obj = {"metadata": metadata, "spec": {"source": "https://h/m.gguf", **spec}}
    return msgspec.json.decode(msgspec.json.encode(obj), type=CustomResource)


CHAT = resource("chat")


def spec(*adapters: str) -> InferenceServiceSpec:
    said = [{"name": each, "source": f"https://h/{each}.gguf"} for each in adapters]
    return InferenceServiceSpec.model_validate({"modelRef": "tiny", "loraAdapters": said})


@pytest.fixture
def known() -> Caches:
    found = caches(None)  # type: ignore[arg-type]
    found.models.store.apply(resource("tiny"))
    return found


@pytest.fixture
def applier() -> Applier:
    return Applier()


def models(known: Caches, applier: Any) -> AdapterModels:
    return AdapterModels(known, applier)


async def test_there_is_one_for_each_adapter(known: Caches, applier: Applier) -> None:
    assert await models(known, applier).advance(CHAT, spec("pirate", "haiku")) is None
    assert (applier.applied, applier.deleted) == ([PIRATE, HAIKU], [])


async def test_that_of_an_adapter_that_is_no_longer_named_goes(known: Caches, applier: Applier) -> None:
    for name in (PIRATE, HAIKU):
        known.models.store.apply(resource(name, owner="u-chat"))
    await models(known, applier).advance(CHAT, spec("haiku"))
    assert applier.deleted == [PIRATE]


async def test_a_model_of_that_name_that_is_somebody_elses_is_left_alone_and_said(
    known: Caches, applier: Applier
) -> None:
    known.models.store.apply(resource(PIRATE, owner="u-other"))
    told = await models(known, applier).advance(CHAT, spec("pirate"))
    assert told is not None
    assert (told.reason, PIRATE in told.message) == ("NameTaken", True)
    assert (applier.applied, applier.deleted) == ([], [])


async def test_none_is_made_before_the_model_says_where_its_bytes_go(known: Caches, applier: Applier) -> None:
    known.models.store.delete(Key("team", "tiny"))
    assert await models(known, applier).advance(CHAT, spec("pirate")) is None
    assert applier.applied == []


def test_a_service_is_reconciled_for_its_model_its_draft_and_each_of_its_adapters(known: Caches) -> None:
    references = {"modelRef": "tiny", "speculative": {"draftModelRef": "small"}}
    adapters = {"loraAdapters": [{"name": "pirate", "source": "s"}]}
    known.inference_services.store.apply(resource("chat", **references, **adapters))
    for name in ("tiny", "small", PIRATE):
        assert known.services_of_model(resource(name)) == [Key("team", "chat")]
    assert known.services_of_model(resource("other")) == []
    (service,) = known.inference_services.store.list()
    assert sorted(each.name for each in known.models_of_service(service)) == sorted(["tiny", "small", PIRATE])
