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
    proxy = getproxies_environment().get(parts.scheme)
    if not proxy or proxy_bypass_environment(parts.netloc.rpartition("@")[2]) or _is_in_bypassed_network(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def proxy_hosts() -> set[str]:
    """The proxies themselves: the administrator's own choice, so the policy has nothing to say on them."""
    return {host for url in getproxies_environment().values() if (host := urlsplit(url).hostname)}


def _is_in_bypassed_network(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    text = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    networks = [network_of(one.strip()) for one in text.split(",") if one.strip()]
    return any(address in network for network in networks if network is not None)
