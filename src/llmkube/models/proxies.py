"""Which proxy a request goes through, by the environment: HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in either case.

NO_PROXY holds host names (with what is below them), addresses, networks as clusters write them (10.0.0.0/8), or *.
"""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from llmkube.models.policy import network_of


def proxy_of(url: str) -> str | None:
    """The proxy for a URL; None when it is asked directly."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxy = _proxies().get(parts.scheme)
    if not proxy or proxy_bypass_environment(parts.netloc.rpartition("@")[2]) or _is_in_bypassed_network(host):
        return None
    return proxy


def proxy_hosts() -> set[str]:
    """The proxies themselves: the administrator's own choice, so the policy has nothing to say on them."""
    return {host for url in _proxies().values() if (host := urlsplit(url).hostname)}


def _proxies() -> dict[str, str]:
    """The proxies by the scheme that they are for; one without a scheme of its own is spoken to over plain HTTP."""
    return {
        scheme: url if "://" in url else f"http://{url}"
        for scheme, url in getproxies_environment().items()
        if scheme in {"http", "https"}
    }


def _is_in_bypassed_network(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    text = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    networks = [network_of(one.strip()) for one in text.split(",") if one.strip()]
    return any(address in network for network in networks if network is not None)
