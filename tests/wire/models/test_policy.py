"""No way to write an address leads into a network that is not allowed: not at first, and not by a redirect."""

from __future__ import annotations

import asyncio

import pytest
from tests.wire.models.conftest import FileServer

from llmkube.models.credentials import Credentials
from llmkube.models.errors import SourceError
from llmkube.models.policy import SourcePolicy
from llmkube.models.remote import Remote
from llmkube.models.session import open_session
from llmkube.models.source import parse

HOSTS = ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "0", "[::1]", "[::ffff:127.0.0.1]"]
HOSTS += ["127。0。0。1", "１２７.0.0.1", "①②⑦.0.0.1", "[::ffff:7f00:1]", "[::]", "0.0.0.0", "LOCALHOST."]


async def refused(source: str, policy: SourcePolicy) -> SourceError:
    async with open_session(policy) as session:
        with pytest.raises(SourceError) as caught:
            async with asyncio.timeout(20):
                await Remote(session, policy, Credentials()).probe(parse(source))
    return caught.value


@pytest.mark.parametrize("host", HOSTS)
async def test_no_way_to_write_a_loopback_address_reaches_it(server: FileServer, host: str) -> None:
    error = await refused(f"http://{host}:{server.port}/model.gguf", SourcePolicy())

    assert error.reason in {"SourceDenied", "InvalidSource", "HostUnreachable"}
    assert server.asked == []


@pytest.mark.parametrize("host", [host for host in HOSTS if "localhost" not in host.lower()])
async def test_no_redirect_leads_to_an_address_that_is_not_allowed(server: FileServer, host: str) -> None:
    """The server is allowed by its name alone, so that nothing else of its address is."""
    server.redirect = f"http://{host}:{server.port}/inside/model.gguf"
    by_name = SourcePolicy(("localhost",))

    error = await refused(f"http://localhost:{server.port}/model.gguf", by_name)

    assert error.reason in {"SourceDenied", "InvalidSource", "HostUnreachable"}
    assert [one["path"] for one in server.asked] == ["/model.gguf"]


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "ftp://example.com/m.gguf", "gopher://x", "http://[::1", "http://a:99999/"],
)
async def test_no_redirect_leads_to_what_is_no_web_address(server: FileServer, location: str) -> None:
    server.redirect = location

    error = await refused(server.url, SourcePolicy(("127.0.0.0/8",)))

    assert error.reason in {"SourceDenied", "InvalidSource"}
    assert len(server.asked) == 1
