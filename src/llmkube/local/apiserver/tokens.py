"""The tokens that continue a list: where it goes on, and in the state of which revision. Hostile input. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from typing import NamedTuple, NoReturn

from llmkube.local.apiserver.incoming import parsed
from llmkube.local.objects import bad_request

VERSION = "meta.k8s.io/v1"
LATEST = -1


class Place(NamedTuple):
    """From `start` on, a path under the collection, in the state of `revision`: negative is the latest."""

    revision: int
    start: str


def after(path: str, revision: int) -> str:
    """The token of what follows an object."""
    return encoded(Place(revision, f"/{path}\0"))


def encoded(place: Place) -> str:
    content = {"v": VERSION, "rv": place.revision, "start": place.start}
    return base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).decode().rstrip("=")


def decoded(token: str) -> Place:
    content = _content(token)
    version, revision, start = content.get("v", ""), content.get("rv", 0), content.get("start", "")
    if version != VERSION:
        _refuse(f"server does not recognize this encoded version {version}")
    if not isinstance(revision, int) or not isinstance(start, str):
        _refuse("expected a number and a text")
    if not revision:
        _refuse(f"incorrect encoded start resourceVersion (version {VERSION})")
    if not start:
        _refuse(f"encoded start key empty (version {VERSION})")
    if ".." in start.split("/"):
        _refuse(start)
    return Place(revision, start.removeprefix("/"))


def _content(token: str) -> dict[str, object]:
    try:
        found = parsed(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
    except (ValueError, RecursionError, binascii.Error) as error:
        _refuse(str(error))
    return found if isinstance(found, dict) else _refuse(f"expected an object, found {type(found).__name__}")


def _refuse(why: str) -> NoReturn:
    raise bad_request(f"invalid continue token: continue key is not valid: {why}")
