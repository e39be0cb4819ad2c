"""The query string and the body of a request, as values. Every parameter is checked; a bad one is a BadRequest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.local.apiserver import incoming, listoptions
from llmkube.local.apiserver.errors import StatusError, plain
from llmkube.local.apiserver.pages import Query
from llmkube.local.apiserver.watching import Start
from llmkube.local.objects import bad_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmkube.local.apiserver.listoptions import ListOptions
    from llmkube.local.apiserver.requests import PatchType
    from llmkube.local.objects import Object

PATCH_TYPES: Mapping[str, PatchType] = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
}
LONGEST_SECONDS = 3600


def query(parameters: Mapping[str, str], namespace: str | None, asked: ListOptions) -> Query:
    if asked.token and asked.version not in {"", "0"}:
        raise bad_request("specifying resource version is not allowed when using continue")
    revision = listoptions.revision(asked)
    # What any state will do for comes in one piece, as from a cache.
    limit = 0 if asked.version == "0" and not asked.token else asked.limit
    return Query(
        namespace=namespace,
        labels=parameters.get("labelSelector", ""),
        fields=parameters.get("fieldSelector", ""),
        limit=limit,
        token=asked.token,
        revision=revision,
        exactly=asked.match == listoptions.EXACT or bool(limit and revision and not asked.match),
    )


def start(asked: ListOptions) -> Start:
    """Where a watch begins. Without a resourceVersion, and with 0: first what there is."""
    revision = listoptions.revision(asked)
    return Start(
        revision=revision,
        initial=not revision if asked.initial is None else asked.initial,
        bookmarks=asked.bookmarks,
        ends_initial=bool(asked.initial and asked.bookmarks),
    )


def dry_run(parameters: Mapping[str, str]) -> bool:
    return parameters.get("dryRun", "") == "All"


def manager(parameters: Mapping[str, str], agent: str) -> str:
    """The field manager: named by the request, else the client program's name."""
    return parameters.get("fieldManager", "") or agent.partition("/")[0][:128]


def document(body: bytes, twice: list[str] | None = None) -> Object:
    found = value(body, twice)
    if not isinstance(found, dict):
        raise bad_request(f"the body must be a JSON object, found {type(found).__name__}")
    return found


def value(body: bytes, twice: list[str] | None = None) -> Any:
    """The body as JSON, of bounded depth; the paths of fields that it says twice are added to `twice`."""
    try:
        return incoming.parsed(body, twice)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"the body is not JSON: {error}") from None


def patch_type(content_type: str) -> PatchType:
    try:
        return PATCH_TYPES[content_type]
    except KeyError:
        raise plain(415) from None


def check_json(content_type: str) -> None:
    """Objects travel as JSON here; protobuf and YAML are refused, and clients fall back."""
    if content_type not in {"application/json", "application/octet-stream", ""}:
        message = f"the body of the request was in an unknown format: {content_type}; use application/json"
        raise StatusError(415, "UnsupportedMediaType", message)
