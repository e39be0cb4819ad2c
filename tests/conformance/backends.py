"""The two control planes that the conformance tests ask: the embedded one in process, and a real one by kubeconfig."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from tests.conformance.client import Client

from llmkube.kube.trust import trusting
from llmkube.local.apiserver.registry import Registry
from llmkube.local.apiserver.server import ApiServer

KUBECONFIG = "LLMKUBE_TEST_KUBECONFIG"
TOKEN = "conformance"
AGENT = "conformance/1"


class NoLogs:
    """A node that ran nothing."""

    async def logs(self, namespace: str, pod: str, container: str, **_: object) -> AsyncIterator[bytes]:
        async def nothing() -> AsyncIterator[bytes]:
            yield b""

        return nothing()


@asynccontextmanager
async def embedded(registry: Registry) -> AsyncIterator[Client]:
    server = ApiServer(registry, token=TOKEN, tls=None, log_reader=NoLogs())
    await server.start()
    try:
        headers = {"Authorization": f"Bearer {TOKEN}", "User-Agent": AGENT}
        async with Client(server.url, session=aiohttp.ClientSession(headers=headers)) as client:
            yield client
    finally:
        await server.stop()


@asynccontextmanager
async def real() -> AsyncIterator[Client]:
    cluster, user = access_of(read_kubeconfig())
    headers = {"User-Agent": AGENT, **({"Authorization": f"Bearer {user['token']}"} if "token" in user else {})}
    connector = aiohttp.TCPConnector(ssl=context_of(cluster, user))
    session = aiohttp.ClientSession(headers=headers, connector=connector)
    async with Client(cluster["server"], session=session) as client:
        yield client
    await asyncio.sleep(0)  # lets the transports of TLS close


def read_kubeconfig() -> dict[str, Any]:
    path = os.environ.get(KUBECONFIG, "")
    if not path:
        pytest.fail(f"--control-plane=real: expected {KUBECONFIG} to name an admin kubeconfig, it is not set")
    try:
        found = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError) as error:
        pytest.fail(f"--control-plane=real: {KUBECONFIG}={path} cannot be read: {error}")
    return found


def access_of(config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The cluster and the user of the current context."""
    named = {kind: {one["name"]: one for one in config[kind]} for kind in ("contexts", "clusters", "users")}
    context = named["contexts"][config["current-context"]]["context"]
    return named["clusters"][context["cluster"]]["cluster"], named["users"][context["user"]]["user"]


def context_of(cluster: dict[str, Any], user: dict[str, Any]) -> ssl.SSLContext:
    authority = cluster.get("certificate-authority-data")
    context = trusting(
        cafile=cluster.get("certificate-authority"),
        cadata=base64.b64decode(authority).decode() if authority else None,
    )
    if "client-certificate" in user:
        context.load_cert_chain(user["client-certificate"], user["client-key"])
    elif "client-certificate-data" in user:
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            pair.flush()
            context.load_cert_chain(pair.name)
    return context
