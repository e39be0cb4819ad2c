"""Node ports of Services, as the API server of a cluster allots them: a number of its own for each port, kept for life.

with_node_ports(service, *, used) -> list of ports      the Service's ports as they are to be
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from llmkube.local.objects import Object, spec_of

if TYPE_CHECKING:
    from collections.abc import Collection

FIRST, LAST = 30000, 32767
"""kube-apiserver's --service-node-port-range: below the ports that the kernel hands out."""
EXPOSED = frozenset({"NodePort", "LoadBalancer"})


def with_node_ports(service: Object, *, used: Collection[int]) -> list[Object]:
    """Return the ports; those of a Service that is not exposed have no number."""
    ports: list[Object] = list(spec_of(service).get("ports") or ())
    if spec_of(service).get("type") not in EXPOSED:
        return [{name: value for name, value in port.items() if name != "nodePort"} for port in ports]
    taken = {*used, *(port["nodePort"] for port in ports if port.get("nodePort"))}
    numbered: list[Object] = []
    for port in ports:
        number = port.get("nodePort") or _free(service, port, taken)
        taken.add(number)
        numbered.append({**port, "nodePort": number})
    return numbered


def _free(service: Object, port: Object, taken: Collection[int]) -> int:
    """The Service and the port decide where the search starts, so that homes on one machine seldom collide."""
    room = LAST - FIRST + 1
    first = zlib.crc32(f"{service['metadata']['uid']}/{port['port']}".encode())
    numbers = (FIRST + (first + step) % room for step in range(room))
    return next((number for number in numbers if number not in taken), 0)
