"""`llmkube fetch`: a model into a cache directory. Jobs and init containers run it; a person may too.

stdout is for programs (one JSON object a line) unless it is a terminal. Credentials come from the environment alone.
Exit codes: 0 done, 75 may work later (EX_TEMPFAIL), 65 the source or the spec must change (EX_DATAERR), 2 usage.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmkube.models.progress import Progress
    from llmkube.models.request import Fetched, FetchRequest

RETRYABLE, PERMANENT = 75, 65
RESULT_LIMIT = 4096
_SEGMENT = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def _object_name(_: click.Context, __: click.Parameter, value: str) -> str:
    if not _SEGMENT.fullmatch(value):
        raise click.BadParameter(f"expected the name of a Kubernetes object, found {value!r}")
    return value


def _digest(_: click.Context, __: click.Parameter, value: str) -> str:
    if value and not re.fullmatch(r"[a-f0-9]{64}", value):
        raise click.BadParameter(f"expected 64 lower-case hex digits, found {value!r}")
    return value


def _digests(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not re.fullmatch(r"[a-f0-9]{12}([a-f0-9]{52})?", value):
            raise click.BadParameter(f"expected 12 (or all 64) lower-case hex digits, found {value!r}")
    return values


PROGRESS = click.option(
    "--progress",
    type=click.Choice(["auto", "json", "bar", "none"]),
    default="auto",
    show_default=True,
    help="auto: a bar on a terminal, JSON lines elsewhere.",
)


@click.command()
@click.argument("source")
@click.option("--cache", type=click.Path(path_type=Path), required=True, help="Directory of the cache.")
@click.option("-n", "--namespace", default="default", show_default=True, callback=_object_name, help="Of the Model.")
@click.option("--name", required=True, callback=_object_name, help="Name of the Model.")
@click.option("--sha256", default="", callback=_digest, help="Digest that is expected; other bytes are never kept.")
@click.option("--size", type=click.IntRange(min=0), help="Size in bytes that was seen before, for progress.")
@click.option("--etag", default="", help="Entity tag that was seen before; a changed file is fetched as it is now.")
@click.option("--facts", is_flag=True, help="Read the header of what was fetched; refuse what is no GGUF model.")
@click.option("--result", type=click.Path(path_type=Path), help="File for the last event (the termination message).")
@click.option("--allow", multiple=True, metavar="HOST|CIDR", help="Address besides public ones; may be repeated.")
@click.option("--allow-root", multiple=True, type=click.Path(path_type=Path), help="Directory for file:// sources.")
@click.option("--recheck", is_flag=True, help="First read again what is there of --sha256; fetch anew what is damaged.")
@click.option("--collect", is_flag=True, help="Afterwards, remove the Model's older files that nothing else refers to.")
@click.option(
    "--keep",
    multiple=True,
    callback=_digests,
    metavar="DIGEST12",
    help="--collect, but not the files of this digest (12 digits, as in their path); may be repeated.",
)
@PROGRESS
def fetch(**options: Any) -> None:
    """Fetch SOURCE into a cache directory, verified and resumable.

    \b
    SOURCE is https://…, http://…, hf://org/repo/file.gguf[@revision], s3://bucket/key, oci://registry/repository:tag
    or file:///path. Credentials: LLMKUBE_SOURCE_TOKEN, or LLMKUBE_SOURCE_USERNAME and LLMKUBE_SOURCE_PASSWORD;
    HF_TOKEN; AWS_ACCESS_KEY_ID and the like; what `docker login` wrote.
    More certificates: LLMKUBE_CA_BUNDLE. Mirror of Hugging Face: HF_ENDPOINT.
    """
    shown = teller(options["progress"])
    outcome = asyncio.run(run(_request(options), shown, facts=options["facts"]))
    if options["result"]:
        _keep(options["result"], outcome.event)
    shown.end(outcome.event)
    sys.exit(outcome.code)


@dataclass(frozen=True)
class Outcome:
    event: dict[str, Any]
    code: int


def _request(options: dict[str, Any]) -> FetchRequest:
    from llmkube.gguf.arrived import complete
    from llmkube.models.credentials import Credentials
    from llmkube.models.policy import SourcePolicy
    from llmkube.models.registry_login import with_docker_config
    from llmkube.models.request import FetchRequest
    from llmkube.models.session import CA_BUNDLE
    from llmkube.models.source import HUGGING_FACE

    bundle = os.environ.get(CA_BUNDLE)
    return FetchRequest(
        source=options["source"],
        cache=options["cache"],
        namespace=options["namespace"],
        name=options["name"],
        sha256=options["sha256"],
        size=options["size"],
        policy=SourcePolicy(tuple(options["allow"]), tuple(options["allow_root"])),
        credentials=Credentials.of(with_docker_config(os.environ)),
        hugging_face=os.environ.get("HF_ENDPOINT") or HUGGING_FACE,
        ca_bundle=Path(bundle) if bundle else None,
        keep=options["keep"] if options["keep"] or options["collect"] else None,
        accept=complete(options["source"]),
        recheck=options["recheck"],
    )


def request_of(source: str, cache: Path, pin: str, sha256: str) -> FetchRequest:
    """Return the request that a person makes: with their own rights, any address and any file that they can read."""
    from llmkube.cli.resolving import EVERYWHERE

    options = {"source": source, "cache": cache, "namespace": "", "name": pin, "sha256": sha256, "size": None}
    request = _request(
        {**options, "allow": EVERYWHERE, "allow_root": (Path("/"),), "keep": (), "collect": False, "recheck": False}
    )
    return replace(request, pinned=True)


async def run(request: FetchRequest, shown: Teller, *, facts: bool = False) -> Outcome:
    """What the fetch came to; SIGTERM and SIGINT keep what can be resumed."""
    from llmkube.cli.fetch_facts import facts_of
    from llmkube.models.errors import SourceError
    from llmkube.models.fetch import fetch as fetch_model

    task = asyncio.ensure_future(fetch_model(request, shown.progress))
    with _cancelled_by_signals(task):
        try:
            found = await task
            read = facts and await facts_of(request.source, request.cache / found.path, request.cache)
            return Outcome(_done(found) | (read or {}), 0)
        except SourceError as error:
            return Outcome(_error(error.reason, error.message, retryable=error.retryable), _code(error.retryable))
        except asyncio.CancelledError:
            message = f"{request.source}: interrupted; what has arrived is kept, and the next run goes on from there"
            return Outcome(_error("Interrupted", message, retryable=True), RETRYABLE)


def _code(retryable: bool) -> int:  # noqa: FBT001 - a value, not a switch
    return RETRYABLE if retryable else PERMANENT


@contextlib.contextmanager
def _cancelled_by_signals(task: asyncio.Future[Fetched]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _done(found: Fetched) -> dict[str, Any]:
    return {
        "event": "done",
        "sha256": found.sha256,
        "bytes": found.bytes,
        "path": found.path,
        "etag": found.etag,
        "files": found.files,
        "removedBytes": found.removed,
        "damagedBytes": found.damaged,
    }


def _error(reason: str, message: str, *, retryable: bool) -> dict[str, Any]:
    return {"event": "error", "reason": reason, "message": " ".join(message.split())[:2048], "retryable": retryable}


def _keep(path: Path, event: dict[str, Any]) -> None:
    """The termination message of a container is a file that exists already: written in place, and short."""
    try:
        path.write_text(json.dumps(event)[:RESULT_LIMIT])
    except OSError as error:
        click.echo(f"result file {path}: cannot be written: {error.strerror}", err=True)


class Teller(Protocol):
    def progress(self, now: Progress) -> None: ...
    def end(self, event: dict[str, Any]) -> None: ...


def teller(mode: str) -> Teller:
    """Return how the fetch tells of itself."""
    from llmkube.cli import fetch_output

    if mode == "none":
        return fetch_output.Silent()
    if mode == "bar" or (mode == "auto" and sys.stderr.isatty() and sys.stdout.isatty()):
        return fetch_output.Bar()
    return fetch_output.JsonLines(sys.stdout)
