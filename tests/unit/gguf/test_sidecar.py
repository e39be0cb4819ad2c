"""The licence beside a model: asked for only when it counts, and believed only when it is one name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from llmkube.gguf.resolve import resolve
from llmkube.gguf.sidecar import beside
from llmkube.models.credentials import Credentials
from llmkube.models.errors import SourceError
from llmkube.models.policy import SourcePolicy
from llmkube.models.source import parse

WriteGGUF = Callable[..., Path]
POLICY = SourcePolicy(allow=("127.0.0.0/8",), roots=(Path("/"),))


@dataclass
class Host:
    """A server of files by path; `asked` are the paths of its requests."""

    files: dict[str, bytes] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if request.path in self.statuses:
            return web.Response(status=self.statuses[request.path])
        if request.path not in self.files:
            raise web.HTTPNotFound
        data, part = self.files[request.path], request.http_range
        if not data:
            raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": "bytes */0"})
        body = data[part]
        place = f"bytes {part.start}-{part.start + len(body) - 1}/{len(data)}"
        return web.Response(body=body, status=206, headers={"Content-Range": place, "ETag": '"one"'})

    @property
    def sidecars(self) -> list[str]:
        return [path for path in self.asked if path.endswith(".license")]


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    made = Host()
    app = web.Application()
    app.router.add_get("/{path:.*}", made.answer)
    async with TestServer(app) as server:
        made.url = str(server.make_url("/"))
        yield made


async def licence(source: str, *allowed: str) -> str | None:
    found = await resolve(source, policy=POLICY, credentials=Credentials(), licences=allowed)
    assert found.facts is not None
    return found.facts.license


def stating(write_gguf: WriteGGUF, name: str | None) -> bytes:
    return write_gguf(extra={"general.license": name} if name else {}).read_bytes()


async def test_a_header_that_names_its_licence_costs_no_request_for_a_sidecar(
    host: Host, write_gguf: WriteGGUF
) -> None:
    host.files = {"/m.gguf": stating(write_gguf, "apache-2.0"), "/m.gguf.license": b"mit"}

    assert await licence(f"{host.url}m.gguf") == "apache-2.0"
    assert await licence(f"{host.url}m.gguf", "Apache-2.0") == "apache-2.0"
    assert host.sidecars == []


async def test_a_header_without_a_licence_has_the_sidecars_for_one_request(host: Host, write_gguf: WriteGGUF) -> None:
    host.files = {"/a/m.gguf": stating(write_gguf, None), "/a/m.gguf.license": b"SPDX-License-Identifier: MIT\n"}

    assert await licence(f"{host.url}a/m.gguf") == "MIT"
    assert host.sidecars == ["/a/m.gguf.license"]


async def test_a_sidecar_overrides_the_licence_that_a_policy_refuses(host: Host, write_gguf: WriteGGUF) -> None:
    host.files = {"/m.gguf": stating(write_gguf, "gemma"), "/m.gguf.license": b"apache-2.0\n"}

    assert await licence(f"{host.url}m.gguf", "apache-2.0") == "apache-2.0"
    assert await licence(f"{host.url}m.gguf") == "gemma"


@pytest.mark.parametrize("content", [None, b"", b"<html>not here</html>", b"a\nb\n", b"\xff\xfe"])
async def test_a_sidecar_that_is_missing_or_no_name_changes_nothing(
    host: Host, write_gguf: WriteGGUF, content: bytes | None
) -> None:
    host.files = {"/m.gguf": stating(write_gguf, None)}
    if content is not None:
        host.files["/m.gguf.license"] = content

    assert await licence(f"{host.url}m.gguf", "mit") is None


async def test_a_sidecar_that_cannot_be_had_now_is_waited_for_only_where_a_policy_needs_it(
    host: Host, write_gguf: WriteGGUF
) -> None:
    host.files = {"/m.gguf": stating(write_gguf, None)}
    host.statuses = {"/m.gguf.license": 503}

    assert await licence(f"{host.url}m.gguf") is None
    with pytest.raises(SourceError) as caught:
        await licence(f"{host.url}m.gguf", "mit")
    assert caught.value.retryable


async def test_a_file_on_this_machine_has_its_sidecar_too(write_gguf: WriteGGUF) -> None:
    path = write_gguf("mine.gguf")
    assert await licence(f"file://{path}") is None
    path.with_name("mine.gguf.license").write_text("Apache-2.0\n")
    assert await licence(f"file://{path}") == "Apache-2.0"


async def test_a_licence_called_other_is_known_by_its_own_name(write_gguf: WriteGGUF) -> None:
    path = write_gguf(extra={"general.license": "other", "general.license.name": "lfm1.0"})
    assert await licence(f"file://{path}") == "lfm1.0"


@pytest.mark.parametrize(
    ("source", "sidecar"),
    [
        ("hf://org/repo/sub/m.gguf@main", "hf://org/repo/sub/m.gguf.license@main"),
        ("https://example.com/m.gguf?token=1", "https://example.com/m.gguf.license?token=1"),
        ("file:///models/m.gguf", "file:///models/m.gguf.license"),
    ],
)
def test_the_sidecar_is_beside_the_file(source: str, sidecar: str) -> None:
    found = beside(parse(source))
    assert (found.text, found.filename) == (sidecar, "m.gguf.license")
    assert found.path == parse(sidecar).path
