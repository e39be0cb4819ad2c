"""Pod addresses: each pod has its own loopback address, so that every pod may use the same port.

Linux answers on all of 127.0.0.0/8. Where it is not so (macOS has only 127.0.0.1), every pod gets 127.0.0.1 and two
pods cannot listen on the same port: the second one fails with the program's own message.
"""

from __future__ import annotations

import contextlib
import socket
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

POD_NETWORK = "127.88"
FALLBACK = "127.0.0.1"
TRIES = 256


class NoFreeAddressError(Exception):
    """No address of the pod network could be bound."""


def allocate(seed: str, *, used: Collection[str], ports: Collection[int], network: str = POD_NETWORK) -> str:
    """A free address of the network; the seed decides where the search starts, so that homes seldom collide."""
    if not can_bind(f"{network}.0.1", ()):
        return FALLBACK
    for address in _candidates(seed, network):
        if address not in used and can_bind(address, ports):
            return address
    raise NoFreeAddressError(f"no address of {network}.0.0/16 is free for ports {sorted(ports)} after {TRIES} tries")


def can_bind(address: str, ports: Collection[int]) -> bool:
    return all(_can_bind(address, port) for port in ports or (0,))


def container_ports(pod_spec: dict[str, object]) -> set[int]:
    """The TCP ports that the containers of a pod declare."""
    containers = pod_spec.get("containers")
    assert isinstance(containers, list)  # noqa: S101 - the API server's schema requires it
    declared = [port for container in containers for port in container.get("ports") or ()]
    return {port["containerPort"] for port in declared if port.get("protocol", "TCP") == "TCP"}


def _candidates(seed: str, network: str) -> Iterator[str]:
    first = zlib.crc32(seed.encode())
    for step in range(TRIES):
        third, fourth = divmod((first + step * 7919) % (256 * 254), 254)
        yield f"{network}.{third}.{fourth + 1}"


def _can_bind(address: str, port: int) -> bool:
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
        except PermissionError:
            return True  # a privileged port: whether it is free shows when the program tries
        except OSError:
            return False
    return True
