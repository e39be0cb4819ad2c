"""What a server sends back of what it was sent: credentials in its words are shown to nobody.

    shown(text: str, response: aiohttp.ClientResponse) -> str

A proxy that helps with debugging does so, and a server that wants somebody's token in a status that others may read.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import aiohttp

HEADERS = ("Authorization", "X-Amz-Security-Token")
WITHHELD = "words that hold the credentials"
SHORTEST = 4
"""Characters: what is shorter is in every text, and no secret."""


def shown(text: str, response: aiohttp.ClientResponse) -> str:
    """Return the text, or in place of all of it that it holds what was sent to prove who we are."""
    sent = (response.request_info.headers.get(name, "") for name in HEADERS)
    secrets = {each for value in sent for each in _parts(value) if len(each) >= SHORTEST}
    return WITHHELD if any(each in text for each in secrets) else text


def _parts(value: str) -> Iterator[str]:
    """The value without its scheme; of a name and a password, each."""
    scheme, _, rest = value.partition(" ")
    yield rest or scheme
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(rest, validate=True).decode(errors="replace")
        except (binascii.Error, ValueError):
            return
        yield pair.partition(":")[2]
