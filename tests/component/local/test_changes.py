"""What happens to a Model that serves when its source changes: what was verified serves until what is new is, too."""

from __future__ import annotations

import hashlib
import json
import shutil
import urllib.request
from typing import TYPE_CHECKING

import pytest
from tests.component.local.conftest import running
from tests.component.local.local_mode import LocalMode, answer, condition, model, service, until
from tests.component.local.projector import write_projector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.component.local.file_servers import ModelServer
    from tests.component.local.local_mode import Object

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def local() -> Iterator[LocalMode]:
    """Local mode whose operator looks at sources every second."""
    with running({"LLMKUBE_REFRESH_INTERVAL": "1"}) as mode:
        yield mode


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def model_when(local: LocalMode, name: str, **said: object) -> Object:
    """Wait until the status of a Model's own generation says this."""

    def good(found: Object) -> bool:
        status = found.get("status", {})
        current = status.get("observedGeneration") == found["metadata"]["generation"]
        return current and all(status.get(field) == value for field, value in said.items())

    told: Object = until(lambda: local.model(name), good)
    return told


def served(local: LocalMode, name: str) -> list[str]:
    """Return the digests that the running pods of a service were made for."""
    found = [pod["metadata"]["annotations"]["inference.llmkube.dev/model-sha256"] for pod in local.pods(name)]
    return sorted(found)


def test_a_source_that_fails_leaves_what_was_verified_serving_and_a_new_replica_starts_from_it(
    local: LocalMode, models: ModelServer
) -> None:
    local.apply(model("steady", models.url("smollm2.gguf")), service("steady", "steady"))
    endpoint = local.until_ready("steady")["status"]["endpoint"]
    before = local.model("steady")["status"]
    local.apply(model("steady", models.url("absent.gguf")))
    status = model_when(local, "steady", phase="Failed")["status"]
    assert (status.get("sha256"), status.get("path")) == (None, None)
    assert [(each["sha256"], each["path"]) for each in status["retained"]] == [(before["sha256"], before["path"])]
    assert condition(status, "Degraded")["reason"] == "NotFound"
    assert "the bytes of before go on" in condition(status, "Available")["message"]
    local.llmkube("scale", "steady", "--replicas", "2")
    until(lambda: local.service("steady")["status"]["readyReplicas"], lambda ready: ready == 2)
    assert served(local, "steady") == [before["sha256"]] * 2
    assert answer(endpoint)
    local.apply(model("steady", models.url("smollm2.gguf")))
    healed = model_when(local, "steady", phase="Ready")["status"]
    assert (healed["sha256"], healed["retained"]) == (before["sha256"], [])
    local.llmkube("delete", "steady", "model/steady")


def blobs(local: LocalMode, claim: str) -> list[str]:
    """Return the digests of the blobs in a claim."""
    found = (local.home / "local").rglob(f"{claim}/v1/blobs/sha256-*")
    return sorted(each.name.removeprefix("sha256-") for each in found)


def test_a_changed_source_is_fetched_beside_what_serves_rolled_out_when_verified_and_the_old_bytes_go_last(
    local: LocalMode, models: ModelServer
) -> None:
    local.apply(model("moving", models.url("smollm2.gguf")), service("moving", "moving"))
    local.until_ready("moving")
    old, new = (digest(models.folder / name) for name in ("smollm2.gguf", "other.gguf"))
    assert blobs(local, "moving-cache") == [old]
    local.apply(model("moving", models.url("other.gguf")))
    model_when(local, "moving", phase="Ready", sha256=new)
    until(lambda: served(local, "moving"), lambda found: found == [new])
    assert answer(local.until_ready("moving")["status"]["endpoint"])
    model_when(local, "moving", phase="Ready", sha256=new, retained=[])
    assert blobs(local, "moving-cache") == [new]
    local.llmkube("delete", "moving", "model/moving")


def test_a_source_that_is_looked_at_again_is_rolled_out_when_it_changed_and_only_then(
    local: LocalMode, models: ModelServer
) -> None:
    file = models.folder / "fresh.gguf"
    shutil.copy(models.folder / "smollm2.gguf", file)
    fresh = model("fresh", models.url("fresh.gguf"), refresh="OnChange", cache={"prefetch": True})
    local.apply(fresh)
    ready = model_when(local, "fresh", phase="Ready", sha256=digest(file))
    asked = len(models.requests)
    until(lambda: len(models.requests), lambda count: count >= asked + 4)
    assert local.model("fresh")["metadata"]["resourceVersion"] == ready["metadata"]["resourceVersion"]
    shutil.copy(models.folder / "other.gguf", models.folder / "fresh.new")
    (models.folder / "fresh.new").replace(file)
    model_when(local, "fresh", phase="Ready", sha256=digest(file))
    (models.folder / "fresh.new").write_bytes(b"GGUF" + b"\0" * 100)
    (models.folder / "fresh.new").replace(file)
    status = until(
        lambda: local.model("fresh")["status"], lambda found: condition(found, "Degraded")["status"] == "True"
    )
    assert condition(status, "Degraded")["reason"] == "RefreshFailed"
    assert (status["phase"], status["sha256"]) == ("Ready", digest(models.folder / "other.gguf"))
    local.llmkube("delete", "model/fresh")


def test_an_edit_of_something_else_asks_no_source_and_keeps_the_model_ready(
    local: LocalMode, models: ModelServer
) -> None:
    local.apply(model("edited", models.url("smollm2.gguf")))
    model_when(local, "edited", phase="Ready")
    asked = len(models.requests)
    local.apply(model("edited", models.url("smollm2.gguf"), quantization="Q8_0"))
    status = model_when(local, "edited", phase="Ready")["status"]
    assert condition(status, "Degraded")["reason"] == "QuantizationDiffers"
    assert len(models.requests) == asked
    local.llmkube("delete", "model/edited")


def test_without_prefetch_nothing_is_fetched_before_a_service_asks(local: LocalMode, models: ModelServer) -> None:
    local.apply(model("lazy", models.url("smollm2.gguf"), cache={"prefetch": False}))
    status = model_when(local, "lazy", phase="Pending")["status"]
    assert condition(status, "Cached")["reason"] == "NotWanted"
    assert condition(status, "Degraded")["status"] == "False"
    assert local.items("apis/batch/v1/namespaces/default/jobs?labelSelector=app.kubernetes.io/instance=lazy") == []
    local.apply(service("lazy", "lazy"))
    local.until_ready("lazy")
    local.llmkube("delete", "lazy")
    model_when(local, "lazy", phase="Ready")
    local.llmkube("delete", "model/lazy")


def test_two_models_of_one_source_in_a_shared_claim_fetch_it_once(local: LocalMode, models: ModelServer) -> None:
    shutil.copy(models.folder / "other.gguf", models.folder / "shared.gguf")
    for name in ("one", "two"):
        local.apply(model(name, models.url("shared.gguf"), cache={"mode": "Shared"}))
    first, second = (model_when(local, name, phase="Ready")["status"] for name in ("one", "two"))
    assert first["sha256"] == second["sha256"]
    assert first["claim"] == second["claim"] == "llmkube-models"
    (blob,) = (local.home / "local").rglob(f"llmkube-models/v1/blobs/sha256-{first['sha256']}")
    assert blob.stat().st_size == first["sizeBytes"]
    assert models.sent("shared.gguf") < 1.5 * first["sizeBytes"]
    local.llmkube("delete", "model/one", "model/two")


def test_a_model_in_a_claim_has_its_facts_and_its_licence_is_checked_before_it_is_ready(
    local: LocalMode, models: ModelServer
) -> None:
    local.apply(model("weights", models.url("smollm2.gguf")))
    path = model_when(local, "weights", phase="Ready")["status"]["path"]
    source = f"pvc://weights-cache/{path}"
    local.apply(model("copied", source, cache={"size": "1Gi"}))
    status = model_when(local, "copied", phase="Ready")["status"]
    assert status["gguf"]["architecture"] == "llama"
    assert status["memory"]["weights"] > 0
    local.apply(model("refused", source, cache={"size": "1Gi"}, license={"allow": ["proprietary"]}))
    refused = model_when(local, "refused", phase="Failed")["status"]
    assert condition(refused, "Available")["reason"] == "LicenseNotAllowed"
    assert "'apache-2.0'" in condition(refused, "Available")["message"]
    assert refused.get("path") is None
    local.llmkube("delete", "model/copied", "model/refused", "model/weights")


def properties(endpoint: str) -> Object:
    """Return what the engine says of itself."""
    with urllib.request.urlopen(f"{endpoint.partition('/v1')[0]}/props", timeout=30) as response:
        found: Object = json.load(response)
    return found


def test_the_engine_loads_the_verified_projector_beside_the_model_and_without_one_it_is_rolled_out_again(
    local: LocalMode, models: ModelServer
) -> None:
    write_projector(models.folder / "mmproj.gguf", embedding=576)
    seeing = model("seeing", models.url("smollm2.gguf"), mmprojSource=models.url("mmproj.gguf"))
    local.apply(seeing, service("seeing", "seeing"))
    endpoint = local.until_ready("seeing")["status"]["endpoint"]
    status = local.model("seeing")["status"]
    assert properties(endpoint)["modalities"]["vision"] is True
    assert status["mmproj"]["sha256"] == digest(models.folder / "mmproj.gguf")
    assert status["mmproj"]["sizeBytes"] == (models.folder / "mmproj.gguf").stat().st_size
    assert status["memory"]["weights"] > status["mmproj"]["sizeBytes"] + status["sizeBytes"] - 2 * 2**20
    (pod,) = local.pods("seeing")
    assert f"/models/{status['mmproj']['path']}" in pod["spec"]["containers"][0]["args"]
    assert answer(endpoint)
    local.apply(model("seeing", models.url("smollm2.gguf")))
    until(lambda: properties(endpoint)["modalities"]["vision"], lambda sees: sees is False)
    assert local.model("seeing")["status"].get("mmproj") is None
    local.llmkube("delete", "seeing", "model/seeing")


def test_a_file_that_rots_is_found_by_the_engine_and_fetched_anew(local: LocalMode, models: ModelServer) -> None:
    local.apply(model("rotten", models.url("smollm2.gguf")), service("rotten", "rotten"))
    local.until_ready("rotten")
    status = local.model("rotten")["status"]
    (blob,) = {each.resolve() for each in (local.home / "local").rglob(status["path"])}
    blob.chmod(0o644)
    with blob.open("r+b") as file:
        file.write(bytes(4096))
    (pod,) = local.pods("rotten")
    local.kubectl("delete", "pod", pod["metadata"]["name"])
    until(lambda: digest(blob), lambda found: found == status["sha256"])
    local.until_ready("rotten")
    assert served(local, "rotten") == [status["sha256"]]
    local.llmkube("delete", "rotten", "model/rotten")
