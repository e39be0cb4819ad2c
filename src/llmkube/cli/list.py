"""`llmkube list`: the models and services of a namespace, or of all, in the columns of `kubectl get` and a few more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from llmkube.cli.connection import Target, connected, run
from llmkube.cli.output import Column, age, field, listing, output_option, table

if TYPE_CHECKING:
    from collections.abc import Sequence

Manifest = dict[str, Any]
WHAT = {"models": ("models",), "services": ("services",), "all": ("services", "models")}


def _replicas(item: Manifest) -> str:
    status = item.get("status") or {}
    return f"{status.get('readyReplicas') or 0}/{(item.get('spec') or {}).get('replicas', 1)}"


def _gpu_layers(item: Manifest) -> str | None:
    plan = (item.get("status") or {}).get("plan")
    return f"{plan.get('gpuLayers', 0)}/{plan.get('totalLayers', 0)}" if plan else None


def _reason(item: Manifest) -> str | None:
    conditions = (item.get("status") or {}).get("conditions") or ()
    reasons = {each.get("type"): each.get("reason") for each in conditions if each.get("status") != "Unknown"}
    return reasons.get("Available") or reasons.get("Progressing")


def _source(item: Manifest) -> str | None:
    source = field("spec.source")(item)
    return None if source is None else str(source)


NAMESPACE = Column("NAMESPACE", field("metadata.namespace"))
NAME = Column("NAME", field("metadata.name"))
PHASE = Column("PHASE", field("status.phase"))
AGE = Column("AGE", lambda item: age(field("metadata.creationTimestamp")(item)))
COLUMNS = {
    "models": (
        NAME,
        PHASE,
        Column("SIZE", field("status.size")),
        Column("ACCELERATOR", field("spec.hardware.accelerator")),
        AGE,
        Column("ARCHITECTURE", field("status.gguf.architecture"), wide=True),
        Column("QUANTIZATION", field("status.gguf.quantization"), wide=True),
        Column("LICENSE", field("status.gguf.license"), wide=True),
        Column("SOURCE", _source, wide=True),
    ),
    "services": (
        NAME,
        PHASE,
        Column("MODEL", field("spec.modelRef")),
        Column("REPLICAS", _replicas),
        Column("ENDPOINT", field("status.endpoint")),
        AGE,
        Column("CONTEXT", field("status.plan.contextSize"), wide=True),
        Column("GPU LAYERS", _gpu_layers, wide=True),
        Column("REASON", _reason, wide=True),
    ),
}


@click.command(
    name="list",
    epilog="""\b
Examples:
  llmkube list
  llmkube list services -A -o wide
  llmkube list models -o json | jq -r '.items[].metadata.name'
""",
)
@click.argument("what", type=click.Choice(sorted(WHAT)), default="all")
@click.option("-l", "--selector", default="", metavar="LABELS", help="Label selector, e.g. team=a.")
@output_option("table", "wide", "json", "yaml", "name")
@connected(all_namespaces=True)
def list_(what: str, *, selector: str, output: str, target: Target) -> None:
    """List models and services."""
    found = run(_find(target, what, selector))
    if output in {"table", "wide"}:
        click.echo(tables(found, wide=output == "wide", namespaces=target.all_namespaces), nl=False)
        if not any(found.values()):
            click.echo(
                f"nothing found{'' if target.all_namespaces else ' in this namespace; -A looks in all'}", err=True
            )
    else:
        click.echo(listing([item for items in found.values() for item in items], output), nl=False)


def tables(found: dict[str, list[Manifest]], *, wide: bool, namespaces: bool) -> str:
    """Return a table for each kind that there is something of; with a heading where there are two."""
    shown = {what: items for what, items in found.items() if items}
    parts = [
        (f"{what.upper()}\n" if len(shown) > 1 else "") + table(_columns(what, namespaces), items, wide=wide)
        for what, items in shown.items()
    ]
    return "\n".join(parts)


def _columns(what: str, namespaces: bool) -> Sequence[Column]:  # noqa: FBT001
    return (NAMESPACE, *COLUMNS[what]) if namespaces else COLUMNS[what]


async def _find(target: Target, what: str, selector: str) -> dict[str, list[Manifest]]:
    from llmkube.kube.kinds import INFERENCE_SERVICE, MODEL

    kinds = {"models": MODEL, "services": INFERENCE_SERVICE}
    async with target.connect() as connection:
        return {
            each: await connection.client.list_raw(kinds[each], connection.scope, label_selector=selector)
            for each in WHAT[what]
        }
