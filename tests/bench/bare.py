"""python -m tests.bench.bare: the bound that an API server sets: the same writes, with no cache, queue or decision."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click
from tests.bench.cluster import Server
from tests.bench.rendering import filled


@click.command()
@click.option("--kubeconfig", type=click.Path(path_type=Path), required=True)
@click.option("--namespace", required=True)
@click.option("--templates", type=click.Path(path_type=Path), required=True)
@click.option("--at-once", type=int, required=True)
def main(*, kubeconfig: Path, namespace: str, templates: Path, at_once: int) -> None:
    """Apply every template for every InferenceService of a namespace, and then wait to be ended."""
    asyncio.run(run(kubeconfig, namespace, templates.read_text().splitlines(), at_once))


async def run(kubeconfig: Path, namespace: str, templates: list[str], at_once: int) -> None:
    server = await Server.connect(kubeconfig)
    found = (await server.get("InferenceService", namespace))["items"]
    left = iter([[filled(each, isvc["metadata"]) for each in templates] for isvc in found])

    async def work() -> None:
        for bodies in left:
            for body in bodies:
                await server.apply(json.loads(body))

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
