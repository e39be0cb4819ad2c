"""Server-side apply of documents under our field manager, with kubectl's words for what came of each.

`apply` and `deploy` share it. Every object is tried, whatever becomes of the one before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import click
import msgspec

from llmkube.cli import output
from llmkube.cli.discovery import Discovery
from llmkube.cli.errors import CommandError, InputError, explained
from llmkube.cli.follow import KINDS, Followed, until_ready
from llmkube.cli.progress import display
from llmkube.kube.client import manifest_of
from llmkube.kube.errors import Conflict, KubeError, NotFound
from llmkube.kube.kinds import Key
from llmkube.kube.transport import APPLY_PATCH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmkube.cli.connection import Connection
    from llmkube.cli.documents import Document
    from llmkube.cli.options import DryRun, WriteOptions
    from llmkube.kube.kinds import Kind

Manifest = dict[str, Any]
MANAGER = "llmkube-cli"
_NOT_CONTENT = {"managedFields", "resourceVersion", "generation"}


@dataclass(frozen=True)
class Applied:
    """One object as the API server returned it, and what happened to it."""

    content: Manifest
    outcome: Literal["created", "configured", "unchanged"]
    dry_run: DryRun = "none"

    def __str__(self) -> str:
        """Return kubectl's line."""
        suffix = "" if self.dry_run == "none" else f" ({self.dry_run} dry run)"
        return f"{output.reference(self.content)} {self.outcome}{suffix}"

    @property
    def followed(self) -> Followed | None:
        """What to wait for, if it is one of ours."""
        metadata = self.content["metadata"]
        kind = self.content["kind"] if self.content["apiVersion"].startswith("inference.llmkube.dev/") else ""
        return Followed(kind, Key(metadata["namespace"], metadata["name"])) if kind in KINDS else None


async def apply_all(connection: Connection, documents: Sequence[Document], options: WriteOptions) -> str:
    """Apply every document, print what came of it, wait when asked to; raise CommandError for those that failed.

    Returns the endpoint of the last service that became ready.
    """
    applied: list[Applied] = []
    failures: list[str] = []
    discovery = Discovery(connection.client)
    for document in documents:
        try:
            applied.append(await _apply(connection, discovery, document, options))
        except InputError as error:
            failures.append(f"{document.where}: {error.message}")
        except KubeError as error:
            failures.append(f"{document.where}: {_explained(error)}")
        else:
            _tell_one(applied[-1], options)
    _tell_all(applied, options)
    if failures:
        raise CommandError("\n".join(failures))
    followed = [each.followed for each in applied if each.followed is not None]
    if options.wait and options.dry_run == "none" and followed:
        views = await until_ready(connection.client, followed, timeout=options.timeout, display=display())
        return next((view.status.endpoint for view in reversed(views) if view.status.endpoint), "")
    return ""


def as_sent(content: Manifest, kind_is_namespaced: bool, namespace: str) -> Manifest:  # noqa: FBT001
    """Return the object with the namespace that is meant, and without what only the API server writes."""
    metadata = {key: value for key, value in content["metadata"].items() if key not in {"managedFields", "uid"}}
    if kind_is_namespaced:
        metadata["namespace"] = metadata.get("namespace") or namespace
    return {**{key: value for key, value in content.items() if key != "status"}, "metadata": metadata}


async def _apply(connection: Connection, discovery: Discovery, document: Document, options: WriteOptions) -> Applied:
    content = document.content
    kind = await discovery.kind(content["apiVersion"], content["kind"])
    sent = as_sent(content, kind.namespaced, connection.namespace)
    key = Key(sent["metadata"].get("namespace", "") if kind.namespaced else "", sent["metadata"]["name"])
    try:
        old: Manifest | None = await connection.client.get_raw(kind, key)
    except NotFound:
        old = None
    new = await _patch(connection, kind, key, sent, options=options)
    return Applied(new, _outcome(old, new), options.dry_run)


async def _patch(
    connection: Connection, kind: Kind[Any], key: Key, sent: Manifest, *, options: WriteOptions
) -> Manifest:
    params = {"fieldManager": MANAGER, "force": str(options.force).lower(), "fieldValidation": "Strict"}
    if options.dry_run == "server":
        params["dryRun"] = "All"
    answer = await connection.client.transport.request(
        "PATCH",
        kind.path(key.namespace, key.name),
        params=params,
        body=msgspec.json.encode(sent),
        content_type=APPLY_PATCH,
    )
    return manifest_of(answer)


def _outcome(old: Manifest | None, new: Manifest) -> Literal["created", "configured", "unchanged"]:
    if old is None:
        return "created"
    return "unchanged" if _content(old) == _content(new) else "configured"


def _content(obj: Manifest) -> Manifest:
    """Return what a person wrote of an object; a controller may write its status between two reads."""
    metadata = {key: value for key, value in obj["metadata"].items() if key not in _NOT_CONTENT}
    return {**{key: value for key, value in obj.items() if key != "status"}, "metadata": metadata}


def _explained(error: KubeError) -> str:
    said = explained(error).message
    if isinstance(error, Conflict) and "conflict" in said:
        return f"{said}; take the fields over with --force-conflicts, or remove them from the document"
    return said


def _tell_one(applied: Applied, options: WriteOptions) -> None:
    if not options.form:
        click.echo(str(applied))


def _tell_all(applied: Sequence[Applied], options: WriteOptions) -> None:
    if options.form and applied:
        click.echo(output.documents([each.content for each in applied], options.form), nl=False)
