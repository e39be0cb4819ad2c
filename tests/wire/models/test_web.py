"""https:// and http://: certificates, credentials, redirects, servers without ranges, proxies."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from aiohttp import web
from tests import tiny
from tests.wire.models.web_servers import Authority, python_server, ranged, scripted

from llmkube.gguf.resolve import Resolved, resolve
from llmkube.models.credentials import Credentials
from llmkube.models.errors import SourceError
from llmkube.models.policy import SourcePolicy

LOOPBACK = SourcePolicy(("127.0.0.0/8",))
MODEL = tiny.model(tokens=90_000)


async def resolved(
    source: str,
    credentials: Credentials | None = None,
    *,
    ca_bundle: Path | None = None,
    policy: SourcePolicy = LOOPBACK,
) -> Resolved:
    return await resolve(source, policy=policy, credentials=credentials or Credentials(), ca_bundle=ca_bundle)


async def refused(source: str, *, ca_bundle: Path | None = None, policy: SourcePolicy = LOOPBACK) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await resolved(source, ca_bundle=ca_bundle, policy=policy)
    assert "\n" not in caught.value.message
    return caught.value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the servers serve."""
    path = tmp_path / "served"
    path.mkdir()
    (path / "m.gguf").write_bytes(MODEL)
    return path


async def test_a_server_that_knows_no_ranges_serves_as_well(folder: Path) -> None:
    with python_server(folder) as url:
        found = await resolved(f"{url}/m.gguf")

    assert found.facts is not None
    assert (found.size_bytes, found.facts.vocabulary_size) == (len(MODEL), 90_000)


async def test_a_certificate_of_ones_own_authority_is_trusted_when_it_is_named(folder: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with python_server(folder, authority.server()) as url:
        assert (await resolved(f"{url}/m.gguf", ca_bundle=authority.bundle)).facts
        error = await refused(f"{url}/m.gguf")

    assert error.reason == "CertificateNotTrusted"
    assert "caBundleRef" in error.message


@pytest.mark.usefixtures("strict")
async def test_a_bundle_without_key_identifiers_is_trusted_as_curl_does(folder: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with python_server(folder, authority.server()) as url:
        assert (await resolved(f"{url}/m.gguf", ca_bundle=authority.bundle)).facts


async def test_a_certificate_of_another_host_is_not_trusted(folder: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with python_server(folder, authority.server("127.0.0.2")) as url:
        error = await refused(f"{url}/m.gguf", ca_bundle=authority.bundle)

    assert error.reason == "CertificateNotTrusted"


async def test_a_server_without_tls_where_https_is_asked_is_one_line(folder: Path) -> None:
    with python_server(folder) as url:
        error = await refused(f"{url.replace('http:', 'https:')}/m.gguf")

    assert error.reason in {"CertificateNotTrusted", "HostUnreachable"}


async def test_a_bundle_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("not a certificate")

    assert (await refused("https://127.0.0.1:1/m.gguf", ca_bundle=tmp_path / "ca.crt")).reason == "InvalidCABundle"


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        (Credentials(token="t0ken"), "Bearer t0ken"),
        (Credentials(username="ann", password="pass"), f"Basic {base64.b64encode(b'ann:pass').decode()}"),
    ],
)
async def test_credentials_are_for_the_sources_origin_and_not_for_where_it_redirects(
    credentials: Credentials, expected: str
) -> None:
    shown: dict[str, str | None] = {}

    async def cdn(request: web.Request) -> web.StreamResponse:
        shown["cdn"] = request.headers.get("Authorization")
        return ranged(MODEL, request)

    async with scripted(cdn) as there:

        async def origin(request: web.Request) -> web.StreamResponse:
            shown["origin"] = request.headers.get("Authorization")
            if shown["origin"] != expected:
                raise web.HTTPUnauthorized
            raise web.HTTPFound(f"{there}/blob")

        async with scripted(origin) as here:
            assert (await resolved(f"{here}/m.gguf", credentials)).facts
            error = await refused(f"{here}/m.gguf")

    assert shown == {"cdn": None, "origin": None}  # of the last request, which had none to show
    assert (error.reason, "sourceSecretRef" in error.message) == ("Unauthorized", True)


async def test_a_redirect_from_https_to_http_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    async def origin(_: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("http://127.0.0.1:1/m.gguf")

    async with scripted(origin, authority.server()) as url:
        error = await refused(f"{url}/m.gguf", ca_bundle=authority.bundle)

    assert error.reason == "SourceDenied"


async def test_where_a_redirect_led_is_asked_again_and_the_source_when_it_is_refused_there() -> None:
    """Signed addresses of a CDN run out: then the source gives another."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        if request.path == "/m.gguf":
            raise web.HTTPFound(f"/signed-{asked.count('/m.gguf')}")
        if request.path == "/signed-1" and asked.count("/signed-1") > 1:
            raise web.HTTPForbidden
        return ranged(MODEL, request)

    async with scripted(answer) as url:
        assert (await resolved(f"{url}/m.gguf")).facts

    assert asked == ["/m.gguf", "/signed-1", "/signed-1", "/m.gguf", "/signed-2"]


async def test_a_body_that_is_compressed_on_the_way_is_refused_and_not_stored() -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=MODEL, headers={"Content-Encoding": "gzip"})

    async with scripted(answer) as url:
        assert (await refused(f"{url}/m.gguf")).reason == "UnexpectedEncoding"


@pytest.mark.parametrize(
    ("status", "reason", "retryable"),
    [
        (401, "Unauthorized", False),
        (403, "Forbidden", False),
        (404, "NotFound", False),
        (410, "NotFound", False),
        (429, "TooManyRequests", True),
        (500, "ServerError", True),
        (503, "ServerError", True),
        (418, "UnexpectedStatus", False),
        (204, "UnexpectedStatus", False),
    ],
)
async def test_a_status_that_is_not_the_file_is_told_with_what_to_do(status: int, reason: str, retryable: bool) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    async with scripted(answer) as url:
        error = await refused(f"{url}/m.gguf")

    assert (error.reason, error.retryable) == (reason, retryable)
    assert f"HTTP {status}" in error.message


async def test_a_proxy_of_the_environment_is_used_with_its_password_for_http_and_https(
    proxy: tuple[str, Path], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, log = proxy
    authority = Authority(tmp_path)
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://ann:s3cret@{address}")
    with python_server(folder) as plain, python_server(folder, authority.server()) as tls:
        assert (await resolved(f"{plain}/m.gguf")).facts
        assert (await resolved(f"{tls}/m.gguf", ca_bundle=authority.bundle)).facts

    said = log.read_text()
    assert plain.removeprefix("http://") in said
    assert tls.removeprefix("https://") in said


async def test_a_proxy_that_refuses_is_named_and_its_password_is_not(
    proxy: tuple[str, Path], tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("HTTPS_PROXY", f"http://ann:wr0ng@{proxy[0]}")
    with python_server(folder, authority.server()) as url:
        error = await refused(f"{url}/m.gguf", ca_bundle=authority.bundle)

    assert error.reason == "ProxyRefused"
    assert "HTTPS_PROXY" in error.message
    assert "wr0ng" not in error.message


async def test_a_network_in_no_proxy_is_asked_directly(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8,127.0.0.0/8")
    with python_server(folder) as url:
        assert (await resolved(f"{url}/m.gguf")).facts


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_proxy_is_no_way_around_the_policy(
    proxy: tuple[str, Path], folder: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """A name is resolved by the proxy, so that the session's own resolver, where the policy sits, never sees it."""
    monkeypatch.setenv("HTTP_PROXY", f"http://ann:s3cret@{proxy[0]}")
    with python_server(folder) as url:
        error = await refused(f"{url.replace('127.0.0.1', host)}/m.gguf", policy=SourcePolicy())

    assert error.reason == "SourceDenied"


async def test_the_proxy_itself_is_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://localhost:8080")

    assert (await refused("http://localhost:9/m.gguf", policy=SourcePolicy())).reason == "SourceDenied"


@pytest.mark.parametrize(
    ("credentials", "secret"),
    [
        (Credentials(token="marker-token"), "marker-token"),
        (Credentials(username="person", password="marker-word"), "marker-word"),
    ],
)
async def test_credentials_that_a_server_sends_back_in_its_words_are_withheld(
    credentials: Credentials, secret: str
) -> None:
    async def answer(request: web.Request) -> web.Response:
        said = request.headers.get("Authorization", "")
        return web.Response(status=403, reason=f"{said} {secret}", text=said)

    async with scripted(answer) as url:
        with pytest.raises(SourceError) as caught:
            await resolved(f"{url}/m.gguf", credentials)

    assert "words that hold the credentials" in caught.value.message
    assert secret not in caught.value.message
