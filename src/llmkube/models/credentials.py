"""Who we are to a source: a token, or a name and a password. They come from the environment or a Secret, never argv.

They are sent to the origin of the source alone: a redirect to another host (a CDN) gets none.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

HF_TOKEN = "HF_TOKEN"  # noqa: S105 - the name of a variable
TOKEN = "LLMKUBE_SOURCE_TOKEN"  # noqa: S105
USERNAME = "LLMKUBE_SOURCE_USERNAME"
PASSWORD = "LLMKUBE_SOURCE_PASSWORD"  # noqa: S105
NAMES = (HF_TOKEN, TOKEN, USERNAME, PASSWORD)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Nothing of it is ever printed."""

    token: str = field(default="", repr=False)
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    hf_token: str = field(default="", repr=False)

    @staticmethod
    def of(values: Mapping[str, str]) -> Credentials:
        """From the environment, or from the decoded data of a Secret."""
        found = {name: values.get(name, "").strip() for name in NAMES}
        return Credentials(found[TOKEN], found[USERNAME], found[PASSWORD], found[HF_TOKEN])

    @staticmethod
    def from_secret(data: Mapping[str, str]) -> Credentials:
        """From the base64 data of a Secret; keys of other things are left alone."""
        return Credentials.of({name: base64.b64decode(data[name]).decode() for name in NAMES if name in data})

    def headers(self, url: str, *, origin: str, is_hugging_face: bool) -> dict[str, str]:
        """The Authorization header for a URL, when it is of the same origin as the source's own URL."""
        if not same_origin(url, origin):
            return {}
        if is_hugging_face and self.hf_token:
            return {"Authorization": f"Bearer {self.hf_token}"}
        if self.token:
            return {"Authorization": f"Bearer {self.token}"}
        if self.username or self.password:
            pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {}


def same_origin(one: str, other: str) -> bool:
    return _origin(one) == _origin(other)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
