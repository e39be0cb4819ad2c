"""Which HTTP proxy is on the way to a server, as Go's and with it kubectl's and client-go's programs see it.

    proxy_of(url)                   by the environment: HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in either case
    proxy_hosts()                   the hosts of the environment's proxies
    of_environment(server)          proxy_of() for an API server: never for loopback, and checked
    of_cluster(url, where)          proxy-url of a kubeconfig's cluster, checked

Source: golang.org/x/net/http/httpproxy. NO_PROXY names domains (each with those below it, or with a dot in front only
those), addresses, networks (CIDR), any of the first two with a port, or * for all.
"""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from llmkube.kube.credentials import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

PORTS = {"http": 80, "https": 443}
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def http_url(url: str) -> SplitResult | None:
    """Return the parts of a URL of http or https; nothing for what is none."""
    try:
        parts = urlsplit(url)
        is_http = parts.scheme in PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, an address that is none
        return None
    return parts if is_http and url.isprintable() and " " not in url else None


def proxy_of(url: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the proxy for a URL; empty where it is asked directly."""
    parts = urlsplit(url)
    proxy = _proxy(parts.scheme, environ)
    return proxy if proxy and not _is_exempt(parts, _said("NO_PROXY", environ)) else ""


def proxy_hosts(environ: Mapping[str, str] = os.environ) -> set[str]:
    """Return the proxies' hosts: they are the administrator's own choice."""
    found = (http_url(_proxy(scheme, environ)) for scheme in PORTS)
    return {parts.hostname for parts in found if parts is not None and parts.hostname}


def of_environment(server: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the proxy for an API server's URL; empty for none. ConfigError as of_cluster()."""
    host = urlsplit(server).hostname or ""
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return ""
    return of_cluster(proxy_of(server, environ), f"{server[: server.index(':')].upper()}_PROXY of the environment")


def of_cluster(url: str, where: str) -> str:
    """Return the URL, or nothing where it is empty; ConfigError, which does not quote it, for what is no HTTP proxy."""
    if url and http_url(url) is None:
        raise ConfigError(f"{where} is none of http:// or https://; use one that is")
    return url


def _proxy(scheme: str, environ: Mapping[str, str]) -> str:
    """The proxy for a scheme; one that says none itself is spoken to over plain HTTP."""
    said = _said(f"{scheme.upper()}_PROXY", environ) if scheme in PORTS else ""
    return said if "://" in said or not said else f"http://{said}"


def _said(name: str, environ: Mapping[str, str]) -> str:
    return (environ.get(name) or environ.get(name.lower()) or "").strip()


def _is_exempt(url: SplitResult, unproxied: str) -> bool:
    host, port = (url.hostname or "").lower(), url.port or PORTS[url.scheme]
    entries = (each.strip().lower() for each in unproxied.split(","))
    return any(_exempts(each, host, port, _address(host)) for each in entries if each)


def _exempts(entry: str, host: str, port: int, address: Address | None) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return address is not None and _is_within(address, entry)
    name, its_port = _with_port(entry)
    if its_port not in {"", str(port)}:
        return False
    if address is not None:
        return _address(name) == address
    domain = name.removeprefix("*")
    return host.endswith(domain if domain.startswith(".") else f".{domain}") or host == domain


def _with_port(entry: str) -> tuple[str, str]:
    """A name or address, and its port, or "": an IPv6 address is in brackets where it has one."""
    if _address(entry) is not None:
        return entry, ""
    name, _, port = entry.rpartition(":") if ":" in entry else (entry, "", "")
    return name.strip("[]"), port


def _is_within(address: Address, network: str) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
