"""`llmkube version`: of this client, the API server, the CRDs in the cluster and the operator there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from llmkube import __version__
from llmkube.cli import output
from llmkube.cli.connection import Connection, Target, connected, run
from llmkube.cli.errors import TimedOutError

if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE = 10.0
OPERATOR = "llmkube-operator"


@click.command(
    epilog="""\b
Examples:
  llmkube version
  llmkube version --client
"""
)
@click.option("--client", "only_client", is_flag=True, help="Ask no cluster.")
@output.output_option("table", "json", "yaml")
@connected()
def version(*, only_client: bool, output: str, target: Target) -> None:
    """Print the versions of client, API server, CRDs and operator."""
    told: dict[str, Any] = {"client": __version__}
    if not only_client:
        told |= run(_cluster(target))
    click.echo(_text(told, output), nl=False)


def _text(told: dict[str, Any], form: str) -> str:
    if form == "table":
        return output.aligned([[f"{name}:", output.printable(value)] for name, value in told.items()])
    return output.as_json(told) if form == "json" else output.as_yaml(told)


async def _cluster(target: Target) -> dict[str, str]:
    try:
        async with asyncio.timeout(PATIENCE), target.connect() as connection:
            server = await connection.client.raw("GET", "/version")
            return {
                "server": f"{server.get('gitVersion')} at {connection.client.transport.config.server}",
                "CRDs": await _crds(connection),
                "operator": await _operator(connection),
            }
    except TimeoutError:
        raise TimedOutError(f"the API server did not answer within {PATIENCE:g}s; --client asks no cluster") from None


async def _crds(connection: Connection) -> str:
    from llmkube.api.group import API_VERSION
    from llmkube.kube.errors import NotFound

    try:
        answer = await connection.client.raw("GET", f"/apis/{API_VERSION}")
    except NotFound:
        return "not installed; `llmkube crds | llmkube apply -f -`"
    kinds: Sequence[str] = sorted({each["kind"] for each in answer.get("resources") or () if "/" not in each["name"]})
    return f"{API_VERSION}: {', '.join(kinds)}"


async def _operator(connection: Connection) -> str:
    from llmkube.kube.errors import ApiError
    from llmkube.kube.kinds import DEPLOYMENT

    try:
        found = await connection.client.list_raw(DEPLOYMENT, field_selector=f"metadata.name={OPERATOR}")
    except ApiError as error:
        return f"unknown: {error.message}"
    return "; ".join(_image(each) for each in found) or "not found"


def _image(deployment: dict[str, Any]) -> str:
    containers = deployment["spec"]["template"]["spec"]["containers"]
    ready = (deployment.get("status") or {}).get("readyReplicas") or 0
    return f"{containers[0].get('image')} in {deployment['metadata']['namespace']}, {ready} ready"
