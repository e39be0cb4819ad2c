"""Which addresses and directories a source may be in. The administrator decides; a Model's author cannot.

Public addresses are always allowed. Private, loopback, link-local and other special ones reach into the cluster (and to
cloud metadata services), so they need the administrator's word. Pure: it looks nothing up.
"""

from __future__ import annotations

import errno
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.models.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
DOCUMENTATION = ipaddress.ip_network("3fff::/20")
IPV4_INSIDE = tuple(ipaddress.ip_network(one) for one in ("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "::/96"))


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    """`allow`: host names and CIDRs besides public ones. `roots`: the directories that file:// may be in."""

    allow: tuple[str, ...] = ()
    roots: tuple[Path, ...] = ()

    def check_host(self, host: str, addresses: list[str]) -> None:
        """SourceDenied when a host resolves to an address that is not allowed; one bad address is enough."""
        if host.lower().rstrip(".") in {one.lower() for one in self.allow}:
            return
        for text in addresses:
            if not self._is_allowed(_address(text)):
                raise SourceError("SourceDenied", denied(host, text))

    def _is_allowed(self, address: Address) -> bool:
        """By the address itself, or by the IPv4 address that is reached through it."""
        inner = embedded(address)
        if is_public(inner or address):
            return True
        return any(one in network for one in (address, inner) if one is not None for network in self._networks())

    def _networks(self) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        return [network for one in self.allow if (network := network_of(one)) is not None]

    def check_file(self, path: Path) -> Path:
        """The real path of a file below an allowed root; symbolic links count as where they lead."""
        real = _resolved(path)
        if any(real.is_relative_to(root.resolve()) for root in self.roots):
            return real
        allowed = ", ".join(str(root) for root in self.roots) or "none"
        message = f"source file {path}: expected a path below an allowed root ({allowed}); ask the administrator for it"
        raise SourceError("SourceDenied", message)


def _resolved(path: Path) -> Path:
    """Where it leads, also to nothing; never round in circles, which Python 3.13 no longer says by itself."""
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno != errno.ELOOP:
            return path.resolve()  # whoever opens it hears what is wrong
        message = f"source file {path}: expected a file that can be reached, found: {error}"
        raise SourceError("NotFound", message) from None


def is_public(address: Address) -> bool:
    """Whether everybody reaches the same machine there. Of IPv6 only what is given out as global unicast (RFC 4291)."""
    if isinstance(address, ipaddress.IPv6Address) and address not in GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_multicast and address not in DOCUMENTATION


def embedded(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that the system or a gateway makes of an IPv6 one: mapped, NAT64 (RFC 6052), 6to4."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.sixtofour is not None:
        return address.sixtofour
    if any(address in network for network in IPV4_INSIDE):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def denied(host: str, address: str) -> str:
    where = host if host == address else f"{host} ({address})"
    return (
        f"source host {where}: expected a public address, found one inside a private, loopback or link-local network; "
        f"the administrator can allow it (--source-allow {address} of the operator, --allow of `llmkube fetch`)"
    )


def network_of(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """A CIDR or an address as a network; None when the text is a host name."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _address(text: str) -> Address:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        message = f"source host: expected an IP address from the resolver, found {text!r}"
        raise SourceError("HostUnreachable", message) from None
