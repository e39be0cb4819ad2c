"""One API, asked in a namespace of the test's own: the embedded one, or with --control-plane=real a real one."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.conformance.backends import embedded, real
from tests.conformance.client import Client
from tests.conformance.evolving import Evolving
from tests.conformance.gauges import gauges
from tests.conformance.objects import DEFINITIONS, Object, Places, definition

from llmkube.api.crd import crds
from llmkube.local.apiserver.registry import Registry
from llmkube.local.controllers import run_controllers

INSTALLED: set[str] = set()


@pytest.fixture
def is_embedded(request: pytest.FixtureRequest) -> bool:
    return request.config.getoption("--control-plane") == "embedded"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    found = Registry(tmp_path / "objects.db")
    yield found
    found.close()


@pytest.fixture
async def api(request: pytest.FixtureRequest, is_embedded: bool) -> AsyncIterator[Client]:
    opened = embedded(request.getfixturevalue("registry")) if is_embedded else real()
    async with opened as client:
        for one in [*crds(), definition(), gauges()]:
            await _install(client, one, again=is_embedded)
        yield client


@pytest.fixture
async def minor(api: Client) -> int:
    """36 of Kubernetes 1.36: for what versions do otherwise (docs/compatibility.md)."""
    return int((await api.get("/version")).body["minor"].rstrip("+"))


async def _install(client: Client, wanted: Object, *, again: bool) -> None:
    """The definition is served as it is here; a real control plane keeps it from test to test."""
    name = wanted["metadata"]["name"]
    if name in INSTALLED and not again:
        return
    # Applied, not created: the workers of xdist all do this, on one real control plane.
    answer = await client.apply(f"{DEFINITIONS}/{name}", wanted, force=True)
    assert answer.status in {200, 201}, answer.body
    spec = wanted["spec"]
    path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
    await client.until(path, lambda found: found.status == 200)
    INSTALLED.add(name)


@pytest.fixture
async def here(api: Client) -> AsyncIterator[Places]:
    """A namespace of its own."""
    name = f"conformance-{secrets.token_hex(4)}"
    made = await api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    assert made.status == 201, made.body
    yield Places(name)
    await api.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
async def evolving(api: Client) -> AsyncIterator[Evolving]:
    found = Evolving(api)
    yield found
    await api.delete(found.definition)


@pytest.fixture
async def controllers(request: pytest.FixtureRequest, is_embedded: bool, tmp_path: Path) -> AsyncIterator[None]:
    """For what a kube-controller-manager does: a real control plane has one, the embedded one gets its own."""
    if not is_embedded:
        yield
        return
    running = asyncio.create_task(run_controllers(request.getfixturevalue("registry"), volumes=tmp_path / "volumes"))
    yield
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


@pytest.fixture
async def pods_may_run(api: Client, here: Places, is_embedded: bool) -> None:
    """A real control plane refuses pods until the namespace has its service account."""
    if not is_embedded:
        account = f"/api/v1/namespaces/{here.namespace}/serviceaccounts/default"
        await api.until(account, lambda found: found.status == 200)
