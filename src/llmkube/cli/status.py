"""`llmkube status`: everything a person asks when it does not work, gathered in one go."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from llmkube.cli import output, pods
from llmkube.cli.completion import completed
from llmkube.cli.connection import Connection, Target, connected, run
from llmkube.cli.errors import one_line
from llmkube.cli.wait import named

if TYPE_CHECKING:
    from llmkube.cli.report import Found
    from llmkube.cli.view import View

Manifest = dict[str, Any]
LOG_LINES = 10


@click.command(
    epilog="""\b
Examples:
  llmkube status smollm2
  llmkube status model/smollm2
  llmkube status smollm2 -o yaml
"""
)
@click.argument("name", shell_complete=completed("inferenceservices", "models"))
@output.output_option("table", "json", "yaml", "name")
@connected()
def status(name: str, *, output: str, target: Target) -> None:
    """Say everything about one service or model: conditions, pods, events, last log lines, and the next step.

    NAME is an InferenceService, or a Model where no service has that name; model/NAME is always the Model.
    """
    with one_line():
        kind, plain = named(name)
    run(_status(target, kind, plain, output, explicit="/" in name))


async def _status(target: Target, kind: str, name: str, form: str, *, explicit: bool) -> None:
    from llmkube.cli.report import report

    async with target.connect() as connection:
        manifest = await _object(connection, kind, name, explicit=explicit)
        if form == "table":
            click.echo(report(await _gather(connection, manifest)), nl=False)
        else:
            click.echo(output.documents([manifest], form), nl=False)


async def _object(connection: Connection, kind: str, name: str, *, explicit: bool) -> Manifest:
    from llmkube.cli.follow import KINDS
    from llmkube.kube.errors import NotFound
    from llmkube.kube.kinds import MODEL, Key

    key = Key(connection.namespace, name)
    try:
        return await connection.client.get_raw(KINDS[kind], key)
    except NotFound:
        if not explicit:
            with contextlib.suppress(NotFound):
                return await connection.client.get_raw(MODEL, key)
        raise


async def _gather(connection: Connection, manifest: Manifest) -> Found:
    """Ask for all that belongs to an object; what may not be read is left out of the report."""
    from llmkube.cli.report import Found

    kind, name = manifest["kind"], manifest["metadata"]["name"]
    view = _view(manifest)
    found = await pods.pods_of(connection, kind, name)
    log_of, log = await _log(connection, found)
    return Found(
        view=view,
        manifest=manifest,
        model=await _model(connection, view),
        pods=found,
        events=await _events(connection, view, found),
        log=log,
        log_of=log_of,
    )


def _view(manifest: Manifest) -> View:
    import msgspec

    from llmkube.cli.view import view_of
    from llmkube.kube.objects import CustomResource

    obj = msgspec.json.decode(msgspec.json.encode(manifest), type=CustomResource)
    return view_of(obj, kind=manifest["kind"])


async def _model(connection: Connection, view: View) -> View | None:
    from llmkube.kube.errors import NotFound
    from llmkube.kube.kinds import MODEL, Key

    if view.spec.model_ref:
        with contextlib.suppress(NotFound):
            return _view(await connection.client.get_raw(MODEL, Key(view.namespace, view.spec.model_ref)))
    return None


async def _events(connection: Connection, view: View, found: list[Manifest]) -> list[Manifest]:
    """Return the events about the object, what the operator made for it, and its pods."""
    from llmkube.kube.errors import ApiError
    from llmkube.kube.kinds import EVENT

    names = {view.name, *(pod["metadata"]["name"] for pod in found)}
    with contextlib.suppress(ApiError):
        events = await connection.client.list_raw(EVENT, view.namespace)
        return [each for each in events if (each.get("regarding") or {}).get("name") in names]
    return []


async def _log(connection: Connection, found: list[Manifest]) -> tuple[str, list[str]]:
    """Return the last lines of the pod that fares worst, and its name."""
    from llmkube.kube.errors import ApiError
    from llmkube.kube.kinds import Key

    if not found:
        return "", []
    name, containers = found[-1]["metadata"]["name"], pods.containers(found[-1])
    with contextlib.suppress(ApiError):
        text = await connection.client.logs(
            Key(connection.namespace, name), container=containers[0] if containers else "", tail=LOG_LINES
        )
        return f"pod/{name}", text.splitlines()
    return "", []
