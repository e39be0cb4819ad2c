"""Every kind of bad input is one clear line in a condition, found before the download where that can be, and mended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.component.local.bad_sources import BadSources
from tests.component.local.conftest import running
from tests.component.local.local_mode import LocalMode, condition, model, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.component.local.local_mode import Object

pytestmark = [pytest.mark.timeout(300)]
# Name of the file, reason of the condition, and words of its message.
CASES = [
    ("truncated.gguf", "Truncated", ["4194", "found"]),
    ("empty.gguf", "Truncated", ["empty"]),
    ("magic.gguf", "NotGGUF", ["expected GGUF magic", "found"]),
    ("page.gguf", "NotGGUF", ["an HTML page", "download link"]),
    ("version.gguf", "UnsupportedVersion", ["version 2 or 3, found 1"]),
    ("endian.gguf", "BigEndian", ["little-endian"]),
    ("counts.gguf", "TooLarge", ["1152921504606846976"]),
    ("nested.gguf", "TooLarge", ["nest"]),
    ("twice.gguf", "Malformed", ["general.architecture"]),
    ("lonely-00001-of-00003.gguf", "NotFound", ["lonely-00002-of-00003.gguf", "HTTP 404"]),
    ("many.gguf", "Malformed", ["3 files", "NAME-00001-of-00003.gguf"]),
    ("unknown.gguf", "ArchitectureUnknown", ["hal9000", "b11669"]),
    ("projector.gguf", "NotAModel", ["spec.mmprojSource"]),
    ("401.gguf", "Unauthorized", ["HTTP 401", "sourceSecretRef"]),
    ("403.gguf", "Forbidden", ["HTTP 403"]),
    ("404.gguf", "NotFound", ["HTTP 404"]),
    ("416.gguf", "Truncated", ["empty"]),
    ("429.gguf", "TooManyRequests", ["HTTP 429", "asked once, again at about"]),
    ("500.gguf", "ServerError", ["HTTP 500", "asked once, again at about"]),
    ("503.gguf", "ServerError", ["HTTP 503", "asked once, again at about"]),
    ("metadata.gguf", "SourceDenied", ["169.254.169.254", "--source-allow"]),
    ("private.gguf", "SourceDenied", ["10.0.0.1", "--source-allow"]),
]
RETRIED = {"TooManyRequests", "ServerError"}


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BadSources]:
    with BadSources(tmp_path_factory.mktemp("bad")) as server:
        yield server


@pytest.fixture(scope="module")
def local() -> Iterator[LocalMode]:
    with running() as mode:
        yield mode


@pytest.fixture(scope="module", autouse=True)
def neighbour(local: LocalMode, bad: BadSources) -> Iterator[None]:
    """A Model that gets ready beside all of them, and stays so."""
    local.apply(model("good", bad.url("whole.gguf")))
    until(lambda: local.model("good")["status"]["phase"], lambda phase: phase == "Ready")
    before = local.model("good")["metadata"]["resourceVersion"]
    yield
    assert local.model("good")["metadata"]["resourceVersion"] == before


def told(local: LocalMode, name: str, reason: str, kind: str = "Degraded") -> Object:
    """Wait for a condition of this reason; return it."""
    return condition(
        until(lambda: local.model(name)["status"], lambda status: condition(status, kind).get("reason") == reason), kind
    )


def is_one_clear_line(message: str) -> bool:
    return "\n" not in message and len(message) < 1024 and any(word in message for word in ("expected", "not trusted"))


@pytest.mark.parametrize(("file", "reason", "words"), CASES, ids=[file for file, _, _ in CASES])
def test_a_bad_file_is_one_clear_line_before_anything_is_downloaded_and_a_mended_spec_heals(
    file: str, reason: str, words: list[str], local: LocalMode, bad: BadSources
) -> None:
    name = f"bad-{file.partition('.')[0]}"
    local.apply(model(name, bad.url(file)))
    found = told(local, name, reason)
    status = local.model(name)["status"]
    assert status["phase"] == ("Resolving" if reason in RETRIED else "Failed")
    assert status["observedGeneration"] == 1
    assert condition(status, "Available")["reason"] == reason
    assert [word for word in words if word not in found["message"]] == [], found["message"]
    assert any(word in found["message"] for word in (f"/{file}", "lonely-", "spec.source", "source host"))
    assert is_one_clear_line(found["message"]), found["message"]
    assert local.items(f"apis/batch/v1/namespaces/default/jobs?labelSelector=app.kubernetes.io/instance={name}") == []
    local.apply(model(name, bad.url("whole.gguf")))
    until(lambda: local.model(name)["status"]["phase"], lambda phase: phase == "Ready")
    local.llmkube("delete", f"model/{name}")


def secret(name: str, data: dict[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default"}, "data": data}


def config_map(name: str, data: dict[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


def kubectl_apply(local: LocalMode, document: Object) -> None:
    local.kubectl("apply", "-f", "-", stdin=json.dumps(document))


def test_a_server_whose_certificate_nobody_trusts_is_named_and_a_bundle_in_a_config_map_heals(
    local: LocalMode, bad: BadSources
) -> None:
    url = bad.url("whole.gguf", scheme="https")
    local.apply(model("tls", url))
    found = told(local, "tls", "CertificateNotTrusted")
    assert all(word in found["message"] for word in ("127.0.0.1", "caBundleRef"))
    bundle = {"name": "corp"}
    local.apply(model("tls", url, caBundleRef=bundle))
    found = told(local, "tls", "CABundleNotFound")
    assert all(word in found["message"] for word in ("ConfigMap corp", "spec.caBundleRef", "asked once"))
    kubectl_apply(local, config_map("corp", {"root.pem": bad.trust.ca_pem}))
    local.apply(model("tls", url, caBundleRef=bundle, quantization="Q4_1"))
    found = told(local, "tls", "CABundleInvalid")
    assert all(word in found["message"] for word in ("ca.crt", "root.pem"))
    local.apply(model("tls", url, caBundleRef={"name": "corp", "key": "root.pem"}))
    status = until(lambda: local.model("tls")["status"], lambda status: status["phase"] == "Ready")
    assert status["gguf"]["architecture"] == "llama"


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (None, "SecretNotFound", ["Secret token-none"]),
        ({"HF_TOKEN": "/////w=="}, "SecretInvalid", ["Secret token-bytes", "text"]),
    ],
    ids=["none", "bytes"],
)
def test_a_secret_that_cannot_be_used_is_named_and_a_mended_one_heals_with_the_next_question(
    data: Any, reason: str, words: list[str], local: LocalMode, bad: BadSources, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.id
    if data:
        kubectl_apply(local, secret(f"token-{name}", data))
    local.apply(model(f"secret-{name}", bad.url("whole.gguf"), sourceSecretRef={"name": f"token-{name}"}))
    found = told(local, f"secret-{name}", reason)
    assert all(word in found["message"] for word in [*words, "spec.sourceSecretRef", "asked once"])
    kubectl_apply(local, secret(f"token-{name}", {"LLMKUBE_SOURCE_TOKEN": "dG9rZW4=", "HF_TOKEN": "dG9rZW4="}))
    until(lambda: local.model(f"secret-{name}")["status"]["phase"], lambda phase: phase == "Ready")


def test_a_full_disk_is_told_with_what_is_missing_and_tried_again(local: LocalMode, bad: BadSources) -> None:
    local.apply(model("full", bad.url("huge.gguf")))
    found = told(local, "full", "NoSpace")
    assert all(word in found["message"] for word in ("free space", "MiB", "it is tried again"))
    local.llmkube("delete", "model/full")


def test_a_cache_that_cannot_be_written_is_named(local: LocalMode, bad: BadSources) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "broken", "namespace": "default"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    kubectl_apply(local, claim)
    (folder,) = until(lambda: list((local.home / "local").rglob("default/broken")), bool)
    (folder / "v1").write_text("a file where the cache has a directory, as on a volume that is somebody else's")
    local.apply(model("unwritable", bad.url("whole.gguf"), cache={"mode": "Existing", "claimName": "broken"}))
    found = told(local, "unwritable", "CacheNotWritable")
    assert "expected a directory to write to" in found["message"], found["message"]
    (folder / "v1").unlink()
    local.llmkube("delete", "model/unwritable")


def test_a_file_that_is_none_or_not_below_an_allowed_root_is_refused(local: LocalMode, bad: BadSources) -> None:
    folder = local.home / "models.gguf"
    folder.mkdir()
    (local.home / "climbing.gguf").symlink_to("/etc/passwd")
    cases = {
        "folder": (f"file://{folder}", "NotAFile", "directory"),
        "dots": (f"file://{local.home}/../../etc/x.gguf", "InvalidSource", "without . and .."),
        "outside": ("file:///etc/hostname", "SourceDenied", "below an allowed root"),
        "link": (f"file://{local.home}/climbing.gguf", "SourceDenied", "below an allowed root"),
    }
    for name, (source, reason, words) in cases.items():
        local.apply(model(f"file-{name}", source))
        found = told(local, f"file-{name}", reason)
        assert words in found["message"], found["message"]
        assert is_one_clear_line(found["message"]), found["message"]


def test_a_projector_that_is_none_is_refused_and_one_that_is_one_is_verified_beside_the_model(
    local: LocalMode, bad: BadSources
) -> None:
    local.apply(model("seeing", bad.url("whole.gguf"), mmprojSource=bad.url("truncated.gguf")))
    told(local, "seeing", "Truncated")
    local.apply(model("seeing", bad.url("whole.gguf"), mmprojSource=bad.url("many.gguf")))
    told(local, "seeing", "Malformed")
    local.apply(model("seeing", bad.url("whole.gguf"), mmprojSource=bad.url("unknown.gguf")))
    found = told(local, "seeing", "NotAProjector")
    assert all(word in found["message"] for word in ("unknown.gguf", "'hal9000'", "spec.mmprojSource"))
    local.apply(model("seeing", bad.url("whole.gguf"), mmprojSource=bad.url("projector.gguf")))
    status = until(lambda: local.model("seeing")["status"], lambda status: status["phase"] == "Ready")
    assert status["mmproj"]["path"].endswith("/projector.gguf")
    assert status["mmproj"]["sha256"] != status["sha256"]
    assert condition(status, "Resolved")["message"].count("projector of") == 1
