"""python -m tests.bench.bare: the bound that an API server sets: the same writes, with no cache, queue or decision."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import click
from tests.bench.cluster import Server
from tests.bench.rendering import filled


@click.command()
@click.option("--kubeconfig", type=click.Path(path_type=Path), required=True)
@click.option("--namespace", required=True)
@click.option("--templates", type=click.Path(path_type=Path), required=True)
@click.option("--at-once", type=int, required=True)
@click.option("--spent", type=float, default=0.0, help="Milliseconds of CPU to waste on each service.")
def main(*, kubeconfig: Path, namespace: str, templates: Path, at_once: int, spent: float) -> None:
    """Apply every template for every InferenceService of a namespace, and then wait to be ended."""
    asyncio.run(run(kubeconfig, namespace, templates.read_text().splitlines(), at_once, spent))


async def run(kubeconfig: Path, namespace: str, templates: list[str], at_once: int, spent: float) -> None:
    server = await Server.connect(kubeconfig)
    found = (await server.get("InferenceService", namespace))["items"]
    left = iter([[filled(each, isvc["metadata"]) for each in templates] for isvc in found])

    async def work() -> None:
        for bodies in left:
            for body in bodies:
                await server.apply(json.loads(body))
                spend(spent / len(bodies))

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())
    await asyncio.Event().wait()


def spend(milliseconds: float) -> None:
    until = time.thread_time() + milliseconds / 1000
    while time.thread_time() < until:
        pass


if __name__ == "__main__":
    main()
