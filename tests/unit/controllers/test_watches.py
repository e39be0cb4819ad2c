"""Who hears of a change of something else: by an index, and nobody but whom it concerns."""

from __future__ import annotations

import msgspec
import pytest

from llmkube.controllers.caches import Caches, caches
from llmkube.controllers.setup import _watch_models, _watch_services
from llmkube.desired.deployment import deployment_name
from llmkube.desired.fetch_job import CACHE_VOLUME
from llmkube.desired.labels import MODEL as MODEL_LABEL
from llmkube.desired.labels import SERVICE as SERVICE_LABEL
from llmkube.desired.model_volume import MODEL_DIGEST
from llmkube.desired.service import service_name
from llmkube.kube.kinds import Key
from llmkube.kube.objects import (
    CustomResource,
    Deployment,
    EndpointSlice,
    HorizontalPodAutoscaler,
    HorizontalPodAutoscalerSpec,
    ObjectMeta,
    Opaque,
    OwnerReference,
    PersistentVolumeClaim,
    Pod,
    ScaleTarget,
)
from llmkube.runtime.watches import MADE_SETTLE

CHAT = Key("team", "chat")


class Told:
    """A controller that notes what it is told."""

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.waits: list[float | None] = []

    def enqueue(self, key: Key, *, after: float | None = None, priority: int = 0) -> None:
        self.keys.append(key)
        self.waits.append(after)


class Applier:
    def wrote(self, *_: object) -> bool:
        return False


@pytest.fixture
def known() -> Caches:
    return caches(None)  # type: ignore[arg-type]


@pytest.fixture
def told(known: Caches) -> Told:
    controller = Told()
    _watch_services(controller, known, Applier())  # type: ignore[arg-type]
    known.inference_services.tell(known.inference_services.store.apply(CustomResource(metadata=named("chat"))))
    for informer in known.all():
        informer.synced.set()
    controller.keys.clear()
    controller.waits.clear()
    return controller


def named(name: str, version: int = 1) -> ObjectMeta:
    return ObjectMeta(name=name, namespace="team", uid=name, resource_version=str(version))


def see(known: Caches, target: str, version: int, *, group: str = "apps/v1", kind: str = "Deployment") -> None:
    spec = HorizontalPodAutoscalerSpec(ScaleTarget(group, kind, target))
    seen = HorizontalPodAutoscaler(metadata=named("load", version), spec=spec)
    known.autoscalers.tell(known.autoscalers.store.apply(seen))


def test_a_service_hears_of_an_autoscaler_that_comes_to_its_deployment_turns_away_and_goes(
    known: Caches, told: Told
) -> None:
    see(known, "chat", 1)
    assert (told.keys, known.autoscalers_of_service(CHAT)) == ([CHAT], ("load",))
    see(known, "another", 2)
    assert (told.keys, known.autoscalers_of_service(CHAT)) == ([CHAT] * 2, ())
    see(known, "chat", 3)
    known.autoscalers.tell(known.autoscalers.store.delete(Key("team", "load")))
    assert (told.keys, known.autoscalers_of_service(CHAT)) == ([CHAT] * 4, ())


def test_what_an_autoscaler_says_of_itself_wakes_nobody(known: Caches, told: Told) -> None:
    see(known, "chat", 1)
    see(known, "chat", 2)
    assert told.keys == [CHAT]


@pytest.mark.parametrize(
    ("group", "kind"),
    [("apps/v1", "StatefulSet"), ("", "Deployment"), ("inference.llmkube.dev/v1alpha1", "InferenceService")],
)
def test_an_autoscaler_of_anything_else_of_that_name_is_none_of_the_deployment(
    known: Caches, told: Told, group: str, kind: str
) -> None:
    see(known, "chat", 1, group=group, kind=kind)
    assert (told.keys, known.autoscalers_of_service(CHAT)) == ([], ())


def owned_by(service: str) -> tuple[OwnerReference, ...]:
    group = "inference.llmkube.dev/v1alpha1"
    return (OwnerReference(group, "InferenceService", service, uid=service, controller=True),) if service else ()


@pytest.mark.parametrize(("kind", "informer"), [(Deployment, "deployments"), (Opaque, "services")])
@pytest.mark.parametrize("owner", ["", "another"])
def test_a_service_hears_at_once_when_a_name_that_it_needs_is_somebody_elses_and_is_free_again(
    known: Caches, told: Told, kind: type[Deployment | Opaque], informer: str, owner: str
) -> None:
    of_kind = getattr(known, informer)
    heard = []
    for version in (1, 2):
        metadata = msgspec.structs.replace(named("chat", version), owner_references=owned_by(owner))
        of_kind.tell(of_kind.store.apply(kind(metadata=metadata)))
        heard.append(told.keys.count(CHAT))
    told.waits.clear()
    of_kind.tell(of_kind.store.delete(CHAT))
    assert [*heard, told.keys.count(CHAT)] == [1, 1, 2], "it comes, it says something of itself, it goes"
    assert set(told.waits) == {None}


@pytest.mark.parametrize(("kind", "informer"), [(Deployment, "deployments"), (Opaque, "services")])
def test_of_its_own_a_service_hears_as_of_what_it_owns_and_not_twice(
    known: Caches, told: Told, kind: type[Deployment | Opaque], informer: str
) -> None:
    metadata = msgspec.structs.replace(named("chat"), owner_references=owned_by("chat"))
    of_kind = getattr(known, informer)
    of_kind.tell(of_kind.store.apply(kind(metadata=metadata)))
    assert (told.keys, told.waits) == ([CHAT], [MADE_SETTLE])


def test_a_name_that_is_no_label_is_found_by_the_name_that_its_service_has(known: Caches, told: Told) -> None:
    known.inference_services.store.apply(CustomResource(metadata=named("llama3.1")))
    known.services.tell(known.services.store.apply(Opaque(metadata=named(service_name("llama3.1")))))
    known.deployments.tell(known.deployments.store.apply(Deployment(metadata=named(deployment_name("llama3.1")))))
    assert told.keys == [Key("team", "llama3.1")] * 2


def by_spec(spec: dict[str, object], name: str) -> CustomResource:
    return CustomResource(metadata=named(name), spec=msgspec.Raw(msgspec.json.encode(spec)))


def test_a_service_hears_of_the_model_that_it_refers_to(known: Caches, told: Told) -> None:
    for name, refers in (("one", "tiny"), ("two", "tiny"), ("three", "large")):
        known.inference_services.store.apply(by_spec({"modelRef": refers}, name))
    known.models.tell(known.models.store.apply(CustomResource(metadata=named("tiny"))))
    assert sorted(told.keys) == [Key("team", "one"), Key("team", "two")]
    assert not known.inference_services.store.by_index("model", "team/none")


@pytest.mark.parametrize(("label", "who"), [(MODEL_LABEL, "tiny"), (SERVICE_LABEL, "chat")])
def test_a_pod_tells_the_one_whom_its_label_names(known: Caches, label: str, who: str) -> None:
    models, services = Told(), Told()
    _watch_models(models, known, Applier())  # type: ignore[arg-type]
    _watch_services(services, known, Applier())  # type: ignore[arg-type]
    for store, name in ((known.models.store, "tiny"), (known.inference_services.store, "chat")):
        store.apply(CustomResource(metadata=named(name)))
    metadata = msgspec.structs.replace(named("pod"), labels={label: who})
    known.pods.tell(known.pods.store.apply(Pod(metadata=metadata)))
    assert [*models.keys, *services.keys] == [Key("team", who)]


def test_a_model_hears_of_the_claim_that_its_bytes_are_in_whoever_owns_it(known: Caches) -> None:
    models = Told()
    _watch_models(models, known, Applier())  # type: ignore[arg-type]
    for name, cache in (("mine", {"mode": "Existing", "claimName": "weights"}), ("other", {"mode": "Ephemeral"})):
        known.models.store.apply(by_spec({"source": "https://models.example/m.gguf", "cache": cache}, name))
    known.claims.tell(known.claims.store.apply(PersistentVolumeClaim(metadata=named("weights"))))
    assert models.keys == [Key("team", "mine")]


def test_a_service_counts_each_ready_pod_behind_its_own_endpoints_once_and_hears_of_them(known: Caches) -> None:
    services, heard = Told(), {}
    _watch_services(services, known, Applier())  # type: ignore[arg-type]
    known.inference_services.store.apply(CustomResource(metadata=named("chat")))

    def pod(uid: str, *, ready: bool | None = True) -> dict[str, object]:
        return {"addresses": ["10.0.0.1"], "conditions": {"ready": ready}, "targetRef": {"name": uid, "uid": uid}}

    for name, endpoints in (("v4", [pod("a"), pod("b"), pod("c", ready=False)]), ("v6", [pod("a")]), ("none", None)):
        metadata = {"name": name, "namespace": "team", "labels": {SERVICE_LABEL: "chat"}}
        one = msgspec.convert({"metadata": metadata, "endpoints": endpoints}, EndpointSlice)
        known.endpoints.tell(known.endpoints.store.apply(one))
        heard[name] = len(services.keys)
    assert heard == {"v4": 1, "v6": 2, "none": 2}, "one without endpoints says nothing"
    assert known.answering(Key("team", "chat")) == 2
    assert known.answering(Key("team", "other")) == 0
    assert set(services.keys) == {Key("team", "chat")}


def test_a_model_that_keeps_bytes_of_before_hears_of_a_pod_that_serves_them_when_that_may_end_and_not_between(
    known: Caches,
) -> None:
    models = Told()
    _watch_models(models, known, Applier())  # type: ignore[arg-type]
    kept = {"retained": [{"sha256": "5d" * 32, "claim": "weights"}]}
    keeper = CustomResource(metadata=named("keeper"), status=msgspec.Raw(msgspec.json.encode(kept)))
    known.models.store.apply(keeper)
    volume = {"name": CACHE_VOLUME, "persistentVolumeClaim": {"claimName": "weights"}}
    heard = []
    for version, digest, phase in (
        (1, "5d", "Pending"),
        (2, "5d", "Running"),
        (3, "5d", "Failed"),
        (4, "6e", "Failed"),
    ):
        metadata = {**msgspec.to_builtins(named("pod", version)), "annotations": {MODEL_DIGEST: digest * 32}}
        said = {"metadata": metadata, "spec": {"volumes": [volume]}, "status": {"phase": phase}}
        known.pods.tell(known.pods.store.apply(msgspec.convert(said, Pod)))
        heard.append(len(models.keys))
    assert heard == [1, 1, 2, 3], "it comes, it runs, it has ended, it serves others"
    assert set(models.keys) == {Key("team", "keeper")}


def test_a_model_hears_of_a_pod_that_mounts_its_claim_when_it_comes_to_a_node_and_when_it_has_ended(
    known: Caches,
) -> None:
    """A pod that was evicted keeps its spec, and no longer has the claim on its node."""
    models, heard, nodes = Told(), [], []
    _watch_models(models, known, Applier())  # type: ignore[arg-type]
    existing = {"source": "https://models.example/m.gguf", "cache": {"mode": "Existing", "claimName": "weights"}}
    known.models.store.apply(by_spec(existing, "tiny"))
    claim = PersistentVolumeClaim(metadata=named("weights"))
    volume = {"name": "models", "persistentVolumeClaim": {"claimName": "weights"}}
    for version, node, phase in ((1, "", "Pending"), (2, "a", "Pending"), (3, "a", "Running"), (4, "a", "Failed")):
        spec = {"nodeName": node, "volumes": [volume]}
        said = {"metadata": msgspec.to_builtins(named("pod", version)), "spec": spec, "status": {"phase": phase}}
        known.pods.tell(known.pods.store.apply(msgspec.convert(said, Pod)))
        heard.append(len(models.keys))
        nodes.append(known.nodes_of_claim(claim))
    assert heard == [1, 2, 2, 3], "it comes, it has a node, it runs, it has ended"
    assert nodes == [(), ("a",), ("a",), ()]
    assert set(models.keys) == {Key("team", "tiny")}
