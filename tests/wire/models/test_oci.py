"""oci:// against real registries (distribution, hack/servers): an open one, and one with passwords."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from tests import tiny
from tests.real_servers import (
    INDEX,
    PASSWORD,
    USER,
    RegistryServer,
    oras,
    password_registry,
    registry,
)
from tests.wire.models.registries import DIGEST, LOOPBACK, MODEL, NOBODY, docker_config, fetched, refused, resolved
from tests.wire.models.web_servers import scripted

from llmkube.models.credentials import Credentials
from llmkube.models.policy import SourcePolicy
from llmkube.models.remote import Remote
from llmkube.models.session import open_session
from llmkube.models.source import parse

pytestmark = pytest.mark.timeout(1200)  # the first one may have to build the server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with registry(tmp_path_factory.mktemp("open"), {}) as running:
        yield running


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with password_registry(tmp_path_factory.mktemp("closed")) as running:
        running.push("team/model", "v1", [running.blob("team/model", MODEL, name="m.gguf")])
        yield running


KINDS = [
    ("application/vnd.oci.image.layer.v1.tar", "weights/m.gguf"),  # oras push
    ("application/vnd.docker.ai.gguf.v3", ""),  # docker model package
    ("application/vnd.docker.ai.model.file.v1+gguf", ""),
    ("application/vnd.ollama.image.model", ""),
    ("application/vnd.cncf.model.weight.v1.gguf", ""),
    ("application/gguf", ""),
]


@pytest.mark.parametrize(("media_type", "title"), KINDS)
async def test_the_model_of_an_artifact_of_any_maker_is_found_and_its_digest_is_the_layers(
    server: RegistryServer, tmp_path: Path, media_type: str, title: str
) -> None:
    layers = [
        server.blob("team/kinds", MODEL, media_type, title),
        server.blob("team/kinds", b"Apache-2.0", "application/vnd.ollama.image.license", "LICENSE"),
        server.blob("team/kinds", b"a projector", "application/vnd.ollama.image.projector"),
    ]
    manifest = server.push("team/kinds", "v1", layers)

    found = await resolved(f"oci://{server.host}/team/kinds:v1")
    done = await fetched(f"oci://{server.host}/team/kinds:v1", tmp_path)

    assert found.facts is not None
    assert (found.sha256, found.size_bytes, found.revision) == (DIGEST, len(MODEL), manifest)
    assert (done.sha256, Path(done.path).name) == (DIGEST, "kinds.gguf")


async def test_what_oras_pushes_is_read_as_it_was_pushed(server: RegistryServer, tmp_path: Path) -> None:
    files = tiny.parts(2)
    for name, data in {"m.gguf": MODEL, **files}.items():
        (tmp_path / name).write_bytes(data)
    oras(tmp_path, "push", "--plain-http", f"{server.host}/oras/one:v1", "m.gguf")
    oras(tmp_path, "push", "--plain-http", f"{server.host}/oras/typed:v1", "m.gguf:application/gguf")
    oras(tmp_path, "push", "--plain-http", f"{server.host}/oras/split:v1", *files)
    for platform in ("linux/amd64", "linux/arm64"):
        tag = f"{server.host}/oras/index:{platform[6:]}"
        oras(tmp_path, "push", "--plain-http", "--artifact-platform", platform, tag, "m.gguf")
    oras(tmp_path, "manifest", "index", "create", "--plain-http", f"{server.host}/oras/index:v1", "amd64", "arm64")

    for reference in ("one:v1", "typed:v1", "one:v1/m.gguf", "index:v1"):
        assert (await resolved(f"oci://{server.host}/oras/{reference}")).sha256 == DIGEST
    assert (await resolved(f"oci://{server.host}/oras/split:v1/{next(iter(files))}")).files == 2


async def test_a_folder_that_oras_packed_is_refused_with_what_to_do(server: RegistryServer, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").mkdir()
    (tmp_path / "m.gguf" / "weights").write_bytes(MODEL)
    oras(tmp_path, "push", "--plain-http", f"{server.host}/oras/folder:v1", "m.gguf")

    error = await refused(f"oci://{server.host}/oras/folder:v1")

    assert (error.reason, "push it unpacked" in error.message) == ("PackedLayer", True)


async def test_a_modelpack_names_its_files_by_their_path(server: RegistryServer) -> None:
    layer = server.blob("pack", MODEL, "application/vnd.cncf.model.weight.v1.raw")
    named = {**layer, "annotations": {"org.cncf.model.filepath": "q4/m.gguf"}}
    server.push("pack", "latest", [named])

    assert (await resolved(f"oci://{server.host}/pack:latest/q4/m.gguf")).sha256 == DIGEST


async def test_a_digest_names_the_very_manifest(server: RegistryServer) -> None:
    first = server.push("moving", "v1", [server.blob("moving", MODEL, name="m.gguf")])
    other = tiny.model(tokens=11)
    server.push("moving", "v1", [server.blob("moving", other, name="m.gguf")])

    assert (await resolved(f"oci://{server.host}/moving@{first}")).sha256 == DIGEST
    assert (await resolved(f"oci://{server.host}/moving:v1@{first}/m.gguf")).sha256 == DIGEST
    assert (await resolved(f"oci://{server.host}/moving:v1")).sha256 == hashlib.sha256(other).hexdigest()


async def test_one_file_of_several_is_named_behind_the_tag(server: RegistryServer) -> None:
    small = tiny.model(tokens=12)
    layers = [server.blob("several", MODEL, name="big.gguf"), server.blob("several", small, name="small.gguf")]
    server.push("several", "v1", layers)

    error = await refused(f"oci://{server.host}/several:v1")
    found = await resolved(f"oci://{server.host}/several:v1/small.gguf")

    assert error.reason == "AmbiguousArtifact"
    assert "found 2: big.gguf, small.gguf; name one after the tag or digest" in error.message
    assert found.sha256 == hashlib.sha256(small).hexdigest()


async def test_a_split_model_is_named_by_its_first_file(server: RegistryServer, tmp_path: Path) -> None:
    files = tiny.parts()
    server.push("split", "v1", [server.blob("split", data, name=name) for name, data in files.items()])
    source = f"oci://{server.host}/split:v1/{next(iter(files))}"

    assert (await resolved(source)).size_bytes == sum(map(len, files.values()))
    assert (await fetched(source, tmp_path)).files == 3


async def test_an_index_leads_to_the_only_manifest_that_is_no_attestation(server: RegistryServer) -> None:
    layer = server.blob("index", MODEL, name="m.gguf")
    manifest = server.push("index", "of-arm", [layer])
    attested = server.push("index", "attestation", [server.blob("index", b"{}", "application/vnd.in-toto+json")])
    entry = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1}
    entries = [
        {**entry, "digest": manifest, "platform": {"os": "linux", "architecture": "riscv64"}},
        {**entry, "digest": attested, "platform": {"os": "unknown", "architecture": "unknown"}},
    ]
    server.manifest("index", "v1", {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})

    found = await resolved(f"oci://{server.host}/index:v1")

    assert (found.sha256, found.revision) == (DIGEST, manifest)


@pytest.mark.parametrize(
    ("source", "reason", "words"),
    [
        ("kinds:v9", "NotFound", "MANIFEST_UNKNOWN"),
        ("nothing:v1", "NotFound", "MANIFEST_UNKNOWN"),
        (f"plain@sha256:{'0' * 64}", "NotFound", "MANIFEST_UNKNOWN"),
        ("plain:v1", "NoGGUFLayer", "found readme.md; check the reference"),
        ("plain:v1/m.gguf", "NoGGUFLayer", "expected a file m.gguf in the artifact, found readme.md"),
        ("tarred:v1", "PackedLayer", "push it unpacked"),
    ],
)
async def test_an_artifact_that_has_no_model_is_told_with_what_it_has(
    server: RegistryServer, source: str, reason: str, words: str
) -> None:
    server.push("plain", "v1", [server.blob("plain", b"# hello", "text/markdown", "readme.md")])
    server.push("tarred", "v1", [server.blob("tarred", b"x", "application/vnd.cncf.model.weight.v1.tar", "m.gguf")])

    error = await refused(f"oci://{server.host}/{source}")

    assert (error.reason, words in error.message) == (reason, True), error.message


async def test_a_name_and_a_password_are_given_when_they_are_asked_for(closed: RegistryServer, tmp_path: Path) -> None:
    source = f"oci://{closed.host}/team/model:v1"
    for credentials in (Credentials(username=USER, password=PASSWORD), docker_config(closed.host)):
        assert (await resolved(source, credentials)).sha256 == DIGEST
    assert (await fetched(source, tmp_path, docker_config(f"https://{closed.host}/v2/"))).sha256 == DIGEST


async def test_nobody_and_a_wrong_password_are_refused_with_what_to_do(closed: RegistryServer) -> None:
    source = f"oci://{closed.host}/team/model:v1"
    for credentials in (NOBODY, Credentials(username=USER, password="wr0ng"), docker_config("other.example")):
        error = await refused(source, credentials)
        assert error.reason == "Unauthorized"
        assert "sourceSecretRef" in error.message
        assert "wr0ng" not in error.message


async def test_a_docker_config_that_is_none_is_told_without_its_text(closed: RegistryServer) -> None:
    error = await refused(f"oci://{closed.host}/team/model:v1", Credentials(docker_config='{"auths": "s3cret'))

    assert error.reason == "InvalidCredentials"
    assert "s3cret" not in error.message


async def test_a_registry_that_never_ends_its_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmkube.models.remote.PLACE_SECONDS", 0.3)

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.05)

    async with scripted(drip) as url:
        error = await refused(f"oci://{url.removeprefix('http://')}/model:v1")

    assert (error.reason, error.retryable) == ("HostUnreachable", True)


@pytest.mark.parametrize("size", [5 << 20, 100])
async def test_a_manifest_that_is_too_long_or_no_manifest_is_refused(size: int) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b"[" * size)

    async with scripted(answer) as url:
        assert (await refused(f"oci://{url.removeprefix('http://')}/model:v1")).reason == "InvalidManifest"


async def test_a_registry_inside_a_private_network_is_the_administrators_to_allow(server: RegistryServer) -> None:
    assert (await refused(f"oci://{server.host}/kinds:v1", policy=SourcePolicy())).reason == "SourceDenied"


async def test_a_tag_that_moves_between_two_parts_mixes_no_two_models(server: RegistryServer) -> None:
    first, second = tiny.parts(2).items()
    pushed = [server.blob("mixed", data, name=name) for name, data in (first, second)]
    other = server.blob("mixed", tiny.model(tensors=("other",), split=(1, 2)), name=second[0])
    server.push("mixed", "v1", pushed)
    one, two = parse(f"oci://{server.host}/mixed:v1/{first[0]}").parts()
    async with open_session(LOOPBACK) as session:
        remote = Remote(session, LOOPBACK, NOBODY)
        await remote.probe(one)
        server.push("mixed", "v1", [pushed[0], other])

        found = await remote.probe(two)

    assert found.sha256 == hashlib.sha256(second[1]).hexdigest()
