"""A Model from an object store and one from a registry, with their Secrets: the operator resolves, a Job fetches."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests import tiny
from tests.component.local.local_mode import LocalMode, Object, model, until
from tests.real_servers import PASSWORD, USER, ObjectStore, RegistryServer, object_store, password_registry
from tests.wire.models.web_servers import serving

pytestmark = pytest.mark.timeout(1200)  # the first one may have to build the servers


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with object_store(tmp_path_factory.mktemp("store")) as running:
        running.client.create_bucket(Bucket="models")
        yield running


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with password_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


def secret(name: str, data: dict[str, str], kind: str = "Opaque") -> Object:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "stringData": data}


def ready(local: LocalMode, name: str) -> Object:
    found: Object = until(lambda: local.model(name), lambda each: each["status"]["phase"] in {"Ready", "Failed"})
    assert found["status"]["phase"] == "Ready", yaml.safe_dump(found["status"])
    return found


def blob(local: LocalMode, found: Object) -> Path:
    """The verified file that the Job left."""
    return next(local.home.rglob(f"sha256-{found['status']['sha256']}"))


def test_an_object_and_an_artifact_are_fetched_with_the_keys_of_their_secrets(
    local: LocalMode, store: ObjectStore, registry: RegistryServer
) -> None:
    data = tiny.model()
    registry.push("team/model", "v1", [registry.blob("team/model", data, name="m.gguf")])
    auth = {"auths": {registry.host: {"username": USER, "password": PASSWORD}}}
    local.apply(
        secret("keys", store.environment),
        secret("login", {".dockerconfigjson": json.dumps(auth)}, "kubernetes.io/dockerconfigjson"),
        model("object", store.put("models", "a/m.gguf", data), sourceSecretRef={"name": "keys"}),
        model("artifact", f"oci://{registry.host}/team/model:v1", sourceSecretRef={"name": "login"}),
    )

    for name in ("object", "artifact"):
        found = ready(local, name)
        assert found["status"]["sha256"] == hashlib.sha256(data).hexdigest()
        assert blob(local, found).read_bytes() == data


@pytest.mark.parametrize(
    ("name", "changed", "words"),
    [
        ("wrong-key", {"AWS_SECRET_ACCESS_KEY": "wrong"}, ("Unauthorized", "SignatureDoesNotMatch")),
        ("no-bucket", {}, ("NotFound", "NoSuchBucket")),
    ],
)
def test_what_the_object_store_refuses_is_a_condition(
    local: LocalMode, store: ObjectStore, name: str, changed: dict[str, Any], words: tuple[str, ...]
) -> None:
    bucket = "nothere" if name == "no-bucket" else "models"
    local.apply(
        secret(name, {**store.environment, **changed}),
        model(name, f"s3://{bucket}/a/m.gguf", sourceSecretRef={"name": name}),
    )

    found = until(
        lambda: local.model(name),
        lambda each: all(word in yaml.safe_dump(each["status"]["conditions"]) for word in words),
    )
    assert found["status"]["phase"] == "Failed"
    assert base64.b64encode(b"wrong").decode() not in yaml.safe_dump(found["status"])


def test_a_split_model_of_a_claim_is_all_of_its_files(local: LocalMode) -> None:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    metadata = {"name": "weights", "namespace": "default"}
    local.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": claim})
    folder = local.home / "local" / "volumes" / "default" / "weights" / "q4"
    folder.mkdir(parents=True)
    for name, data in tiny.parts(3).items():
        (folder / name).write_bytes(data)

    local.apply(model("claimed", "pvc://weights/q4/big-00001-of-00003.gguf", cache={"size": "1Mi"}))

    ready(local, "claimed")
    files = sorted((local.home / "local" / "volumes").rglob("v1/models/default/claimed/*/*.gguf"))
    assert [file.name for file in files] == list(tiny.parts(3))
    assert [file.read_bytes() for file in files] == list(tiny.parts(3).values())


def test_a_redirect_into_a_private_network_is_a_condition(local: LocalMode) -> None:
    """Local mode allows loopback, and nothing else that is private."""

    class Redirects(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/latest/meta-data/m.gguf")
            self.end_headers()

    with serving(Redirects) as url:
        local.apply(model("astray", f"{url}/m.gguf"))
        found = until(lambda: local.model("astray"), lambda each: "SourceDenied" in yaml.safe_dump(each["status"]))

    assert "169.254.169.254" in yaml.safe_dump(found["status"])
    assert found["status"]["phase"] == "Failed"
