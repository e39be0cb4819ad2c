"""One GET over HTTP, followed through its redirects by hand: each hop is checked against the policy, and is asked with
the headers that are meant for it alone. Nothing here knows what kind of source it serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.helpers import is_ip_address
from yarl import URL

from llmkube.kube.proxies import proxy_hosts, proxy_of
from llmkube.models.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from llmkube.models.policy import SourcePolicy

Headers = Callable[[str], Mapping[str, str]]
"""What a request for a URL carries: credentials are for some URLs only."""

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_HOPS = 10
_WELL_FORMED = re.compile(r"(?:[!#$&-;=?-Z_a-z~\[\]]|%[0-9A-Fa-f]{2})+")


@dataclass(frozen=True)
class Web:
    """`what` names the source in errors."""

    session: aiohttp.ClientSession
    policy: SourcePolicy

    @contextlib.asynccontextmanager
    async def get(
        self, what: str, url: str, headers: Headers, *, seen: Callable[[aiohttp.ClientResponse], None] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer that is no redirect; `seen` is shown every answer on the way. SourceError when there is none."""
        try:
            for _ in range(MOST_HOPS):
                async with self._hop(what, url, headers) as response:
                    if seen is not None:
                        seen(response)
                    target = _target(what, url, response)
                    if target is None:
                        yield response
                        return
                    url = target
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unreachable(what, url, error) from None
        raise SourceError("TooManyRedirects", f"{what}: expected at most {MOST_HOPS} redirects, found more")

    @contextlib.asynccontextmanager
    async def _hop(self, what: str, url: str, headers: Headers) -> AsyncIterator[aiohttp.ClientResponse]:
        asked = _parsed(what, url)
        await self._check(what, url, asked.raw_host or "")
        own = headers(url)
        async with self.session.get(asked, headers=own, allow_redirects=False, proxy=proxy_of(url) or None) as response:
            yield response

    async def _check(self, what: str, url: str, host: str) -> None:
        """What the session's resolver never sees: an address that stands in the URL, a name that a proxy resolves, and
        a proxy's own name in a URL. A name that only the proxy can resolve is left to it: it is the administrator's.
        """
        with contextlib.suppress(ValueError):
            self.policy.check_host(host, [str(ipaddress.ip_address(host))])
            return
        if is_ip_address(host):  # 127.1 and the like, which the system would take for an address when it connects
            message = f"{what}: expected a host name or an IP address in its usual form, found {host[:40]!r}"
            raise SourceError("SourceDenied", message)
        if proxy_of(url) or host in proxy_hosts():
            self.policy.check_host(host, await _addresses(host))


def _parsed(what: str, url: str) -> URL:
    """The URL as the session takes it: a host that is written in another alphabet is what it stands for."""
    try:
        found = URL(url, encoded=_WELL_FORMED.fullmatch(url) is not None)  # a signed address must stay as it is
        if found.raw_host and found.port != 0:
            return found
    except ValueError:
        pass
    shown = "".join(one for one in url[:100] if one.isprintable())
    raise SourceError("InvalidSource", f"{what}: expected a URL with a host, found {shown!r}")


async def _addresses(host: str) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [str(one[4][0]) for one in found]


def _target(what: str, url: str, response: aiohttp.ClientResponse) -> str | None:
    """Where an answer sends us; None when it sends us nowhere."""
    location = response.headers.get("Location", "")
    if response.status not in REDIRECTS or not location:
        return None
    try:
        target = urljoin(url, location)
    except ValueError:
        target = location
    scheme = target.partition(":")[0].lower()
    if scheme not in {"http", "https"} or (scheme == "http" and urlsplit(url).scheme == "https"):
        message = f"{what}: expected a redirect to https, found one to {scheme[:20]!r}"
        raise SourceError("SourceDenied", message)
    _parsed(what, target)
    return target


def _unreachable(what: str, url: str, error: Exception) -> SourceError:
    host = urlsplit(url).netloc
    cause = error.__cause__ if isinstance(error.__cause__, SourceError) else None
    if cause is not None:
        return cause
    said = " ".join((str(error) or type(error).__name__).split())[:200]
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        message = f"{what}: the certificate of {host} is not trusted ({said}); name its CA in caBundleRef"
        return SourceError("CertificateNotTrusted", f"{message} (or LLMKUBE_CA_BUNDLE)")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        message = (
            f"{what}: the proxy: expected a way to {host}, found HTTP {error.status}; check HTTPS_PROXY and NO_PROXY"
        )
        return SourceError("ProxyRefused", message, retryable=error.status >= 500)
    return SourceError("HostUnreachable", f"{what}: host {host}: expected an answer, found {said}; it is tried again")
