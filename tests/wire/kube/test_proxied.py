"""An API server behind a real proxy (proxy.py): requests, watches, and a proxy that lets nobody through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from llmkube.kube.config import from_kubeconfig
from llmkube.kube.errors import KubeError
from llmkube.kube.transport import Transport
from llmkube.local.apiserver.tls import certificates


@pytest.fixture(params=["http", "https"])
async def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    """An API server, as a cluster of a kubeconfig."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"kind": "Pod", "token": request.headers["Authorization"]})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    found = certificates(tmp_path)
    (tmp_path / "ca.crt").write_text(found.ca_pem)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=found.context if request.param == "https" else None).start()
    yield {"server": f"{request.param}://127.0.0.1:{runner.addresses[0][1]}", "certificate-authority": "ca.crt"}
    await runner.cleanup()


def kubeconfig(folder: Path, cluster: dict[str, Any]) -> Path:
    path = folder / "kubeconfig"
    content = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t0ken"}}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


async def test_requests_and_watches_go_through_the_proxy_of_a_cluster(
    cluster: dict[str, Any], proxy: tuple[str, Path], tmp_path: Path
) -> None:
    address, log = proxy
    path = kubeconfig(tmp_path, {**cluster, "proxy-url": f"http://ann:s3cret@{address}"})
    async with Transport(from_kubeconfig(path)) as transport:
        assert b"Bearer t0ken" in await transport.request("GET", "/api/v1/pods/a")
        async with transport.stream("/api/v1/pods", idle_timeout=5) as found:
            assert b"Bearer t0ken" in b"".join([each async for each in found])
    await asyncio.wait_for(told(log, cluster["server"].partition("//")[2]), 10)


async def told(log: Path, server: str) -> None:
    """The proxy tells of a tunnel when it has ended."""
    while server not in log.read_text():
        await asyncio.sleep(0.05)


async def test_a_proxy_that_refuses_is_one_line_without_its_password(
    cluster: dict[str, Any], proxy: tuple[str, Path], tmp_path: Path
) -> None:
    path = kubeconfig(tmp_path, {**cluster, "proxy-url": f"http://ann:wr0ng@{proxy[0]}"})
    async with Transport(from_kubeconfig(path)) as transport:
        with pytest.raises(KubeError, match="407") as found:
            await transport.request("GET", "/api/v1/pods/a")
        assert "wr0ng" not in str(found.value)
        with pytest.raises(KubeError, match="407") as found:
            async with transport.stream("/api/v1/pods", idle_timeout=5):
                pass
    assert "wr0ng" not in str(found.value)
    assert "\n" not in str(found.value)
