"""hf://, against a stand-in: there is no Hugging Face here. It answers as huggingface_hub documents and parses it.

`/org/repo/resolve/REVISION/FILE` redirects a large file to a CDN on another host and says X-Linked-Etag (its sha256),
X-Linked-Size and X-Repo-Commit on the way; a small file it gives itself, with an ETag that is no sha256. A gated or
private repository is 401 or 403 with X-Error-Code and X-Error-Message.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from tests import tiny
from tests.wire.models.web_servers import ranged, scripted

from llmkube.gguf.resolve import Resolved, resolve
from llmkube.models.credentials import Credentials
from llmkube.models.errors import SourceError
from llmkube.models.fetch import FetchRequest, fetch
from llmkube.models.policy import SourcePolicy

LOOPBACK = SourcePolicy(("127.0.0.0/8",))
MODEL = tiny.model(tokens=90_000)
COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_secret"


@dataclass
class Hub:
    """`large` files are at the CDN, `small` ones here; `gated` wants the token."""

    large: dict[str, bytes] = field(default_factory=dict)
    small: dict[str, bytes] = field(default_factory=dict)
    gated: bool = False
    stated_size: int | None = None
    url: str = ""
    cdn: str = ""
    shown: list[tuple[str, str | None]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.shown.append((f"hub {request.path}", request.headers.get("Authorization")))
        place, _, name = request.path.removeprefix("/org/repo/resolve/").partition("/")
        if not request.path.startswith("/org/repo/"):
            return refusal(401, "RepoNotFound", "Repository not found")
        if self.gated and request.headers.get("Authorization") != f"Bearer {TOKEN}":
            known = "Authorization" in request.headers
            return refusal(403 if known else 401, "GatedRepo", "Access to model org/repo is restricted.")
        if place not in {"main", "v1.0", COMMIT}:
            return refusal(404, "RevisionNotFound", "Invalid rev id")
        if name in self.small:
            data = self.small[name]
            return ranged(data, request, ETag=f'"{hashlib.sha1(data).hexdigest()}"', **{"X-Repo-Commit": COMMIT})
        if name not in self.large:
            return refusal(404, "EntryNotFound", "Entry not found")
        digest = hashlib.sha256(self.large[name]).hexdigest()
        linked = {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(self.stated_size or len(self.large[name]))}
        headers = {"Location": f"{self.cdn}/blobs/{name}?Signature=a%2Bb~c", "X-Repo-Commit": COMMIT, **linked}
        return web.Response(status=302, headers=headers)

    async def deliver(self, request: web.Request) -> web.StreamResponse:
        self.shown.append((f"cdn {request.path}", request.headers.get("Authorization")))
        if "Signature=a%2Bb~c" not in request.raw_path:
            return web.Response(status=403)
        return ranged(self.large[request.path.removeprefix("/blobs/")], request, ETag='"of-the-cdn"')


def refusal(status: int, code: str, message: str) -> web.Response:
    return web.Response(status=status, headers={"X-Error-Code": code, "X-Error-Message": message})


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    made = Hub(large={"m.gguf": MODEL})
    async with scripted(made.answer) as made.url, scripted(made.deliver) as made.cdn:
        yield made


async def resolved(hub: Hub, source: str, token: str = "") -> Resolved:
    credentials = Credentials(hf_token=token)
    return await resolve(source, policy=LOOPBACK, credentials=credentials, hugging_face=hub.url)


async def refused(hub: Hub, source: str, token: str = "") -> SourceError:
    with pytest.raises(SourceError) as caught:
        await resolved(hub, source, token)
    assert TOKEN not in caught.value.message
    return caught.value


async def test_a_large_file_has_the_digest_size_and_commit_that_the_repository_says(hub: Hub) -> None:
    found = await resolved(hub, "hf://org/repo/m.gguf")

    assert found.facts is not None
    assert (found.sha256, found.size_bytes) == (hashlib.sha256(MODEL).hexdigest(), len(MODEL))
    assert found.revision == COMMIT


async def test_the_hub_is_asked_once_and_the_cdn_never_sees_the_token(hub: Hub) -> None:
    hub.gated = True

    await resolved(hub, "hf://org/repo/m.gguf", TOKEN)

    assert hub.shown[:2] == [("hub /org/repo/resolve/main/m.gguf", f"Bearer {TOKEN}"), ("cdn /blobs/m.gguf", None)]
    assert hub.shown[2:] == [("cdn /blobs/m.gguf", None)], "a header of 1.5 MiB takes three round trips in all"


async def test_a_fetch_is_verified_against_the_repositorys_digest(hub: Hub, tmp_path: Path) -> None:
    request = FetchRequest("hf://org/repo/m.gguf", tmp_path, "team", "m", policy=LOOPBACK, hugging_face=hub.url)

    assert (await fetch(request, lambda _: None)).sha256 == hashlib.sha256(MODEL).hexdigest()


async def test_a_revision_is_a_branch_a_tag_or_a_commit(hub: Hub) -> None:
    for revision in ("v1.0", COMMIT):
        assert (await resolved(hub, f"hf://org/repo/m.gguf@{revision}")).facts
    error = await refused(hub, "hf://org/repo/m.gguf@v9")
    assert (error.reason, "check the revision after @" in error.message) == ("NotFound", True)


async def test_a_small_file_has_no_digest_and_no_wrong_one(hub: Hub) -> None:
    hub.small["small.gguf"] = tiny.model()

    found = await resolved(hub, "hf://org/repo/small.gguf")

    assert found.facts is not None
    assert (found.sha256, found.revision) == (None, COMMIT)


async def test_the_parts_of_a_split_model_are_all_of_the_commit_of_the_first(hub: Hub) -> None:
    hub.large = tiny.parts()

    await resolved(hub, "hf://org/repo/big-00001-of-00003.gguf")

    asked = [path for path, _ in hub.shown if path.startswith("hub")]
    assert [path.split("/")[4] for path in asked] == ["main", COMMIT, COMMIT]


async def test_a_split_model_in_a_folder_is_all_of_its_files(hub: Hub) -> None:
    files = tiny.parts()
    hub.large = {f"Q4_K_M/{name}": data for name, data in files.items()}

    found = await resolved(hub, f"hf://org/repo/Q4_K_M/{next(iter(files))}")

    assert (found.files, found.size_bytes) == (3, sum(map(len, files.values())))


@pytest.mark.parametrize(
    ("source", "token", "reason", "words"),
    [
        ("hf://org/repo/m.gguf", "", "Unauthorized", "accept its licence on the repository's page, and give a token"),
        (
            "hf://org/repo/m.gguf",
            "hf_other",
            "Forbidden",
            "accept its licence on the repository's page, and give a token",
        ),
        ("hf://org/nothing/m.gguf", "", "Unauthorized", "check organisation and repository"),
    ],
)
async def test_a_gated_or_missing_repository_is_told_with_what_to_do(
    hub: Hub, source: str, token: str, reason: str, words: str
) -> None:
    hub.gated = True

    error = await refused(hub, source, token)

    assert (error.reason, words in error.message) == (reason, True), error.message


async def test_a_file_that_the_repository_lacks_is_not_found(hub: Hub) -> None:
    error = await refused(hub, "hf://org/repo/other.gguf")

    assert (error.reason, "check the file's path in the repository" in error.message) == ("NotFound", True)


async def test_a_mirror_that_gives_another_size_than_it_says_is_not_believed(hub: Hub) -> None:
    hub.stated_size = len(MODEL) + 1

    assert (await refused(hub, "hf://org/repo/m.gguf")).reason == "SizeMismatch"


async def test_what_the_hub_says_is_shown_on_one_printable_line(hub: Hub) -> None:
    async def hostile(_: web.Request) -> web.StreamResponse:
        return refusal(403, "Code\u202e" + "x" * 500, "message \x9b" + "y" * 500)

    async with scripted(hostile) as hub.url:
        error = await refused(hub, "hf://org/repo/m.gguf")

    assert error.message.isprintable()
    assert len(error.message) < 700
