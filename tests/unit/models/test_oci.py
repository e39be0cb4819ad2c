"""Which manifest and which layer a source means, whose word is believed on who may read them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmkube.models import oci
from llmkube.models.credentials import Credentials
from llmkube.models.errors import SourceError
from llmkube.models.oci import layer_of, manifest_of
from llmkube.models.policy import SourcePolicy
from llmkube.models.registry import Registry
from llmkube.models.registry_login import login, with_docker_config
from llmkube.models.session import open_session
from llmkube.models.source import Source, parse
from llmkube.models.web import Web

SOURCE = parse("oci://registry.example/team/model:v1")
DIGESTS = [f"sha256:{letter * 64}" for letter in "abcdef"]


@pytest.mark.parametrize(
    ("text", "host", "revision", "path", "filename"),
    [
        ("oci://ghcr.io/team/tiny", "ghcr.io/team/tiny", "latest", "", "tiny.gguf"),
        ("oci://ghcr.io/team/tiny:Q4_K_M", "ghcr.io/team/tiny", "Q4_K_M", "", "tiny.gguf"),
        ("oci://localhost:5000/tiny:v1.0/m.gguf", "localhost:5000/tiny", "v1.0", "m.gguf", "m.gguf"),
        (f"oci://r/a.b/c@{DIGESTS[0]}/x/m.gguf", "r/a.b/c", DIGESTS[0], "x/m.gguf", "m.gguf"),
        (f"oci://r/tiny:v1@{DIGESTS[0]}", "r/tiny", DIGESTS[0], "", "tiny.gguf"),
        ("oci://[::1]:5000/tiny:v1", "[::1]:5000/tiny", "v1", "", "tiny.gguf"),
    ],
)
def test_a_reference_is_read_as_registries_write_it(
    text: str, host: str, revision: str, path: str, filename: str
) -> None:
    source = parse(text)

    assert (source.host, source.revision, source.path, source.filename) == (host, revision, path, filename)


def test_the_only_file_of_an_artifact_is_one_whatever_its_repository_is_called() -> None:
    assert len(parse("oci://r/big-00001-of-00003:v1").parts()) == 1
    assert [one.text for one in parse("oci://r/big:v1/b-00001-of-00002.gguf").parts()] == [
        "oci://r/big:v1/b-00001-of-00002.gguf",
        "oci://r/big:v1/b-00002-of-00002.gguf",
    ]


def index(*platforms: str) -> dict[str, Any]:
    entries = []
    for digest, platform in zip(DIGESTS, platforms, strict=False):
        os, _, machine = platform.partition("/")
        entries.append({"digest": digest, **({"platform": {"os": os, "architecture": machine}} if platform else {})})
    return {"manifests": entries}


@pytest.mark.parametrize(
    ("platforms", "chosen"),
    [
        (("linux/arm64",), 0),
        (("linux/arm64", "linux/amd64"), 1),
        (("unknown/unknown", "linux/arm64"), 1),
        (("linux/arm64", "", "linux/amd64"), 1),
    ],
)
def test_of_an_index_the_only_one_is_taken_or_that_of_no_platform_or_of_ours(
    platforms: tuple[str, ...], chosen: int
) -> None:
    assert manifest_of(SOURCE, index(*platforms), "linux/amd64") == DIGESTS[chosen]


@pytest.mark.parametrize("platforms", [(), ("linux/arm64", "linux/s390x"), ("linux/amd64", "linux/amd64")])
def test_an_index_without_one_answer_is_told_with_its_platforms(platforms: tuple[str, ...]) -> None:
    with pytest.raises(SourceError, match="name the manifest by its digest") as caught:
        manifest_of(SOURCE, index(*platforms), "linux/amd64")
    assert caught.value.reason == "AmbiguousArtifact"


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"layers": None},
        {"layers": [7]},
        {"layers": [{"digest": "md5:1", "size": 1}]},
        {"layers": [{"digest": "sha256:\x7f\u202e", "size": 1}]},
        {"schemaVersion": "\x7f"},
        {"layers": [{"digest": DIGESTS[0], "size": -1}]},
        {"layers": [{"digest": DIGESTS[0], "size": True}]},
        {"layers": [{"digest": DIGESTS[0] + "/../x", "size": 1}]},
        {"schemaVersion": 1, "fsLayers": []},
    ],
)
def test_a_manifest_that_is_none_is_refused(manifest: dict[str, Any]) -> None:
    with pytest.raises(SourceError) as caught:
        layer_of(SOURCE, manifest)
    assert caught.value.reason == "InvalidManifest"
    assert caught.value.message.isprintable()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from(DIGESTS),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["layers", "manifests", "digest", "size", "mediaType", "annotations", "platform", "os", *oci.NAMES]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=30,
)


@given(found=VALUES, path=st.sampled_from(["", "/m.gguf"]))
def test_no_json_does_worse_than_one_printable_line(found: object, path: str) -> None:
    source = parse(f"oci://registry.example/team/model:v1{path}")
    assert outcome(source, json.dumps(found).encode()).isprintable()


def outcome(source: Source, data: bytes) -> str:
    """What is chosen, or why nothing is."""
    try:
        document = oci.document(source, data)
        if oci.is_index(document):
            return manifest_of(source, document, "linux/amd64")
        return layer_of(source, document).sha256
    except SourceError as error:
        return error.message


def config(**auths: dict[str, str]) -> Credentials:
    return Credentials(docker_config=json.dumps({"auths": auths}))


def pair(text: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


def test_the_entry_of_the_longest_path_that_fits_is_ours() -> None:
    entries = {
        "ghcr.io": {"username": "a", "password": "1"},
        "ghcr.io/team": {"auth": base64.b64encode(b"b:2:3").decode()},
        "https://index.docker.io/v1/": {"username": "hub", "password": "4"},
        "https://quay.io/v2/": {"username": "q", "password": "5"},
    }
    credentials = Credentials(docker_config=json.dumps({"auths": entries}), username="else", password="6")

    assert login(credentials, "ghcr.io", "other/model") == pair("a:1")
    assert login(credentials, "ghcr.io", "team/model") == pair("b:2:3")
    assert login(credentials, "ghcr.io", "teams/model") == pair("a:1")
    assert login(credentials, "registry-1.docker.io", "library/model") == pair("hub:4")
    assert login(credentials, "quay.io", "x") == pair("q:5")
    assert login(credentials, "other.example", "x") == pair("else:6")
    assert login(Credentials(), "ghcr.io", "x") == {}


@pytest.mark.parametrize("text", ["[]", "{", '{"auths": 7}', '{"auths": {"ghcr.io": {"auth": "s3cret!"}}}'])
def test_a_docker_config_that_is_none_is_told_without_its_text(text: str) -> None:
    with pytest.raises(SourceError) as caught:
        login(Credentials(docker_config=text), "ghcr.io", "x")
    assert (caught.value.reason, "s3cret" in caught.value.message) == ("InvalidCredentials", False)


def test_a_person_is_who_docker_login_says(tmp_path: Any) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text('{"auths": {}}')

    assert Credentials.of(with_docker_config({"HOME": str(tmp_path)})).docker_config == '{"auths": {}}'
    assert Credentials.of(with_docker_config({"DOCKER_CONFIG": str(tmp_path)})).docker_config == ""
    assert Credentials.of(with_docker_config({"LLMKUBE_DOCKER_CONFIG_JSON": "{}"})).docker_config == "{}"


@pytest.mark.parametrize(
    ("source", "credentials", "url"),
    [
        ("oci://ghcr.io/team/m:v1", Credentials(), "https://ghcr.io/v2/team/m/blobs/sha256:"),
        ("oci://docker.io/m:v1", Credentials(), "https://registry-1.docker.io/v2/library/m/blobs/sha256:"),
        ("oci://docker.io/ai/m:v1", Credentials(), "https://registry-1.docker.io/v2/ai/m/blobs/sha256:"),
        ("oci://localhost:5000/m:v1", Credentials(), "http://localhost:5000/v2/m/blobs/sha256:"),
        ("oci://127.0.0.1:5000/m:v1", Credentials(), "http://127.0.0.1:5000/v2/m/blobs/sha256:"),
        ("oci://kind-registry:5000/m:v1", Credentials(), "https://kind-registry:5000/v2/m/blobs/sha256:"),
        ("oci://kind-registry:5000/m:v1", Credentials(plain_http=True), "http://kind-registry:5000/v2/m/blobs/sha256:"),
    ],
)
async def test_a_registry_is_spoken_to_over_tls_but_on_this_machine_or_when_it_is_said(
    source: str, credentials: Credentials, url: str
) -> None:
    async with open_session(SourcePolicy()) as session:
        registry = Registry(parse(source), Web(session, SourcePolicy()), credentials)

    assert registry.blob_url(oci.Layer("", "a" * 64, 1)) == f"{url}{'a' * 64}"
    own = registry.headers("https://cdn.example/blob", {"Range": "bytes=0-9"})
    assert own == {"Range": "bytes=0-9"}


@pytest.mark.parametrize(
    "realm", ["http://auth.example/token", "auth.example", "ftp://x/y", "https://a:b@x/", "https://", ""]
)
async def test_a_token_server_that_could_read_our_password_on_the_way_gets_none(realm: str) -> None:
    async with open_session(SourcePolicy()) as session:
        credentials = Credentials(username="ann", password="s3cret")
        registry = Registry(SOURCE, Web(session, SourcePolicy()), credentials)
        with pytest.raises(SourceError) as caught:
            await registry._bearer({"realm": realm})

    assert caught.value.reason == "SourceDenied"
    assert "s3cret" not in caught.value.message
