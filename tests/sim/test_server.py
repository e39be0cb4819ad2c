"""The model API server itself, where it once was wrong."""

from __future__ import annotations

import msgspec
from tests.sim.server import Server

PATH = "/api/v1/namespaces/a/pods"


def page(server: Server, token: str = "") -> tuple[list[str], str]:
    params = {"limit": "1", **({"continue": token} if token else {})}
    found = msgspec.json.decode(server.answer("GET", PATH, params, None, ""))
    return [each["metadata"]["name"] for each in found["items"]], found["metadata"].get("continue", "")


async def test_two_lists_at_once_have_pages_of_their_own() -> None:
    server = Server()
    for name in ("p1", "p2", "p3"):
        server.state.create("pods", {"metadata": {"namespace": "a", "name": name}})
    _, one = page(server)
    second, one = page(server, one)
    for name in ("p4", "p5"):
        server.state.create("pods", {"metadata": {"namespace": "a", "name": name}})
    lists = {"one": one, "other": page(server)[1], "third": page(server)[1]}
    assert second == ["p2"]
    assert len(set(lists.values())) == 3
    found: dict[str, list[str]] = {name: [] for name in lists}
    while any(lists.values()):
        for name, token in lists.items():
            if token:
                names, lists[name] = page(server, token)
                found[name] += names
    assert found == {"one": ["p3"], "other": ["p2", "p3", "p4", "p5"], "third": ["p2", "p3", "p4", "p5"]}
