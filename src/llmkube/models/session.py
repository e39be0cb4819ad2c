"""HTTP connections to sources: certificates, proxies, time limits, and the policy enforced where a socket is opened.

The policy is asked about the very address that is connected to, so a name that resolves to one thing when it is checked
and to another when it is used (DNS rebinding) gains nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from llmkube.kube.proxies import proxy_hosts
from llmkube.kube.trust import trusting
from llmkube.models.errors import SourceError

if TYPE_CHECKING:
    import socket
    import ssl
    from pathlib import Path

    from llmkube.models.policy import SourcePolicy

CA_BUNDLE = "LLMKUBE_CA_BUNDLE"
CONNECT_SECONDS = 15.0
IDLE_SECONDS = 60.0
AGENT = "llmkube-fetch"


class PolicyResolver(AbstractResolver):
    """The system's resolver; an address that the policy denies is never connected to."""

    def __init__(self, policy: SourcePolicy) -> None:
        self._policy = policy
        self._system = ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily | int = 0) -> list[ResolveResult]:
        found = await self._system.resolve(host, port, family)  # type: ignore[arg-type]
        if host not in proxy_hosts():
            self._policy.check_host(host, [one["host"] for one in found])
        return found

    async def close(self) -> None:
        await self._system.close()


def trust(bundle: Path | str | None) -> ssl.SSLContext:
    """The system's certificates, and those of a bundle besides: a file, or PEM text."""
    context = trusting()  # those of private authorities often lack key identifiers too
    if bundle is None:
        return context
    try:
        if isinstance(bundle, str):
            context.load_verify_locations(cadata=bundle)
        else:
            context.load_verify_locations(cafile=bundle)
    except (OSError, ValueError) as error:  # an SSLError is an OSError; text that is not ASCII is a ValueError
        where = "" if isinstance(bundle, str) else f" {bundle}"
        found = getattr(error, "strerror", None) or error
        raise SourceError("InvalidCABundle", f"CA bundle{where}: expected PEM certificates, found {found}") from None
    return context


def open_session(policy: SourcePolicy, *, ca_bundle: Path | str | None = None) -> aiohttp.ClientSession:
    """A session for one source. Nothing is decompressed or remembered: bytes arrive as they are stored. Proxies are
    named with each request (proxies.py), and no .netrc is read.
    """
    connector = aiohttp.TCPConnector(resolver=PolicyResolver(policy), ssl=trust(ca_bundle), use_dns_cache=False)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=IDLE_SECONDS)
    return aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": AGENT, "Accept-Encoding": "identity"},
    )
