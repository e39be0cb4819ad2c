"""Resolving over real HTTP and from files: a prefix is enough, parts are summed, what is wrong is said with numbers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from llmkube.gguf.errors import GGUFError
from llmkube.gguf.reader import parse
from llmkube.gguf.resolve import Resolved, resolve
from llmkube.models.credentials import Credentials
from llmkube.models.errors import SourceError
from llmkube.models.policy import SourcePolicy

WriteGGUF = Callable[..., Path]
ALLOWED = SourcePolicy(allow=("127.0.0.0/8",))
MIB = 1024 * 1024


@dataclass
class Host:
    """A server of files; `sent` counts the bytes of its answers."""

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    patience: float = 0.0
    sent: int = 0
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(self.patience)
        data = self.files.get(request.match_info["name"])
        if data is None:
            raise web.HTTPNotFound
        part = request.http_range if self.ranges else slice(0, None)
        body = data[part]
        self.sent += len(body)
        headers = {"ETag": '"one"'}
        if self.ranges:
            headers["Content-Range"] = f"bytes {part.start}-{part.start + len(body) - 1}/{len(data)}"
        return web.Response(body=body, status=206 if self.ranges else 200, headers=headers)


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    made = Host()
    app = web.Application()
    app.router.add_get("/{name}", made.answer)
    async with TestServer(app) as server:
        made.url = str(server.make_url("/"))
        yield made


async def resolved(source: str, *, policy: SourcePolicy = ALLOWED, timeout: float = 20.0) -> Resolved:
    return await resolve(source, policy=policy, credentials=Credentials(), timeout=timeout)


async def test_a_real_model_is_known_by_its_first_megabytes(host: Host, smollm2: Path) -> None:
    host.files["model.gguf"] = smollm2.read_bytes()

    found = await resolved(f"{host.url}model.gguf")

    assert found.facts is not None
    assert found.facts.parameters == 134_515_008
    assert (found.size_bytes, found.etag, found.files) == (smollm2.stat().st_size, '"one"', 1)
    assert host.sent < parse(smollm2.read_bytes()[: 4 * MIB]).data_offset + MIB


async def test_a_server_without_ranges_serves_as_well(host: Host, write_gguf: WriteGGUF) -> None:
    host.ranges = False
    host.files["m.gguf"] = write_gguf(tokens=120_000).read_bytes()

    found = await resolved(f"{host.url}m.gguf")

    assert found.facts is not None
    assert found.facts.vocabulary_size == 120_000


def split(write_gguf: WriteGGUF, *, stated: int = 3) -> dict[str, bytes]:
    """A model of three parts; only the first has metadata of the model."""
    files = {}
    for number in (1, 2, 3):
        name = f"big-{number:05d}-of-00003.gguf"
        extra = {"split.count": stated, "split.no": number - 1}
        names = {1: ("token_embd.weight",), 2: ("a", "b"), 3: ("output.weight",)}[number]
        files[name] = write_gguf(name, extra=extra, tensors=names, tokens=2000 if number == 1 else 0).read_bytes()
    return files


async def test_a_split_model_is_the_sum_of_its_parts(host: Host, write_gguf: WriteGGUF) -> None:
    host.files = split(write_gguf)

    found = await resolved(f"{host.url}big-00001-of-00003.gguf")

    assert found.facts is not None
    assert (found.files, found.facts.split_count) == (3, 3)
    assert found.size_bytes == sum(len(data) for data in host.files.values())
    assert (found.facts.parameters, found.facts.weights_bytes) == (4 * 2048, 4 * 8192)
    assert not found.facts.weights.tied
    assert found.sha256 is None


async def test_a_split_model_without_one_of_its_parts_names_the_missing_one(host: Host, write_gguf: WriteGGUF) -> None:
    host.files = split(write_gguf)
    del host.files["big-00003-of-00003.gguf"]

    with pytest.raises(SourceError, match=r"big-00003-of-00003\.gguf.*404") as caught:
        await resolved(f"{host.url}big-00001-of-00003.gguf")

    assert caught.value.reason == "NotFound"


@pytest.mark.parametrize("name", ["whole.gguf", "big-00001-of-00003.gguf"])
async def test_a_name_that_says_another_number_of_parts_than_the_header_is_refused(
    host: Host, write_gguf: WriteGGUF, name: str
) -> None:
    host.files = split(write_gguf, stated=5)
    host.files["whole.gguf"] = host.files["big-00001-of-00003.gguf"]

    with pytest.raises(GGUFError, match=r"expected a name for 5 files, .*NAME-00001-of-00005\.gguf"):
        await resolved(f"{host.url}{name}")


async def test_a_file_shorter_than_its_header_declares_is_incomplete(host: Host, write_gguf: WriteGGUF) -> None:
    data = write_gguf().read_bytes()
    host.files["m.gguf"] = data[:-5000]

    with pytest.raises(
        GGUFError, match=rf"m.gguf: expected at least {len(data)} bytes .*found {len(data) - 5000}"
    ) as e:
        await resolved(f"{host.url}m.gguf")

    assert e.value.reason == "Truncated"


async def test_a_file_that_ends_inside_its_header_is_incomplete(host: Host, write_gguf: WriteGGUF) -> None:
    host.files["m.gguf"] = write_gguf().read_bytes()[:500]

    with pytest.raises(GGUFError, match="found 500") as caught:
        await resolved(f"{host.url}m.gguf")

    assert caught.value.reason == "Truncated"


async def test_a_web_page_is_called_one(host: Host) -> None:
    host.files["m.gguf"] = b"<!DOCTYPE html><html><head><title>Sign in</title>" * 100

    with pytest.raises(GGUFError, match=r"m\.gguf: expected GGUF magic, found an HTML page"):
        await resolved(f"{host.url}m.gguf")


async def test_a_header_that_never_ends_is_not_read_for_ever(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmkube.gguf.cursor.LARGEST_HEADER", 4 * MIB)
    endless = b"GGUF\3\0\0\0" + bytes(8) + (1).to_bytes(8, "little") + (1).to_bytes(8, "little") + b"k"
    tokens = (9).to_bytes(4, "little") + (8).to_bytes(4, "little") + (16 * MIB).to_bytes(8, "little")
    host.files["m.gguf"] = endless + tokens + bytes(64 * MIB)

    with pytest.raises(GGUFError) as caught:
        await resolved(f"{host.url}m.gguf")

    assert caught.value.reason == "TooLarge"
    assert host.sent < 8 * MIB


async def test_a_server_that_does_not_answer_in_time_is_asked_again_later(host: Host) -> None:
    host.patience = 30.0
    host.files["m.gguf"] = b"GGUF"

    with pytest.raises(SourceError, match="expected the header within 0 s") as caught:
        await resolved(f"{host.url}m.gguf", timeout=0.2)

    assert caught.value.retryable


async def test_an_address_that_the_policy_denies_is_not_asked(host: Host) -> None:
    with pytest.raises(SourceError) as caught:
        await resolved(f"{host.url}m.gguf", policy=SourcePolicy())

    assert (caught.value.reason, host.sent) == ("SourceDenied", 0)


async def test_a_file_below_an_allowed_root_is_read_and_another_is_not(write_gguf: WriteGGUF, tmp_path: Path) -> None:
    path = write_gguf()

    found = await resolved(f"file://{path}", policy=SourcePolicy(roots=(tmp_path,)))

    assert found.facts is not None
    assert found.size_bytes == path.stat().st_size
    with pytest.raises(SourceError, match="allowed root"):
        await resolved(f"file://{path}", policy=SourcePolicy(roots=(tmp_path / "other",)))


async def test_a_split_model_of_files_is_all_of_them_also_through_links_inside_the_root(
    write_gguf: WriteGGUF, tmp_path: Path
) -> None:
    """As the cache of huggingface_hub has them: names that link to blobs."""
    (tmp_path / "blobs").mkdir()
    files = split(write_gguf)
    for name, data in files.items():
        (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / "blobs" / name[4:9]).write_bytes(data)
        (tmp_path / name).symlink_to(f"blobs/{name[4:9]}")

    found = await resolved(f"file://{tmp_path}/big-00001-of-00003.gguf", policy=SourcePolicy(roots=(tmp_path,)))

    assert (found.files, found.size_bytes) == (3, sum(map(len, files.values())))


async def test_what_is_no_regular_file_is_told_and_holds_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.gguf")

    with pytest.raises(GGUFError, match="expected a regular file"):
        await resolved(f"file://{tmp_path}/fifo.gguf", policy=SourcePolicy(roots=(tmp_path,)))


async def test_a_file_that_is_missing_or_a_loop_of_links_is_not_found(tmp_path: Path) -> None:
    loop = tmp_path / "loop.gguf"
    loop.symlink_to(loop)

    for path in (loop, tmp_path / "missing.gguf"):
        with pytest.raises(SourceError) as caught:
            await resolved(f"file://{path}", policy=SourcePolicy(roots=(tmp_path,)))
        assert caught.value.reason == "NotFound"


async def test_a_claim_is_left_to_the_pods_that_see_it() -> None:
    assert await resolved("pvc://claim/models/m.gguf") == Resolved(None, None)
