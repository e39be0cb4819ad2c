"""Who we are to a source: a token, a name and a password, keys. They come from the environment or a Secret, never argv.

They are for the origin of the source alone: a redirect to another host (a CDN) gets none.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llmkube.models.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

HF_TOKEN = "HF_TOKEN"  # noqa: S105 - the name of a variable
TOKEN = "LLMKUBE_SOURCE_TOKEN"  # noqa: S105
USERNAME = "LLMKUBE_SOURCE_USERNAME"
PASSWORD = "LLMKUBE_SOURCE_PASSWORD"  # noqa: S105
# As AWS names them, in https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html
ACCESS_KEY, SECRET_KEY, SESSION_TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
DOCKER_CONFIG_JSON = "LLMKUBE_DOCKER_CONFIG_JSON"
DOCKER_CONFIG_KEY = ".dockerconfigjson"
PLAIN_HTTP = "LLMKUBE_OCI_PLAIN_HTTP"
_WEB = (TOKEN, USERNAME, PASSWORD)
_NAMES = {
    "http": _WEB,
    "https": _WEB,
    "hf": (HF_TOKEN, *_WEB),
    "s3": (ACCESS_KEY, SECRET_KEY, SESSION_TOKEN, *REGIONS, *ENDPOINTS),
    "oci": (*_WEB, DOCKER_CONFIG_JSON, PLAIN_HTTP),
}


def secret_keys(kind: str) -> dict[str, str]:
    """What a source of a kind may be given: the names of the variables, each with the key of a Secret that holds it."""
    return {name: DOCKER_CONFIG_KEY if name == DOCKER_CONFIG_JSON else name for name in _NAMES.get(kind, ())}


@dataclass(frozen=True, slots=True)
class S3Access:
    """Keys, which may be none (a public bucket), and where the bucket is."""

    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    region: str = ""
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Nothing of it is ever printed."""

    token: str = field(default="", repr=False)
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    hf_token: str = field(default="", repr=False)
    s3: S3Access = field(default_factory=S3Access, repr=False)
    docker_config: str = field(default="", repr=False)
    plain_http: bool = False

    @staticmethod
    def of(values: Mapping[str, str]) -> Credentials:
        """From the environment, or from the decoded data of a Secret."""

        def first(*names: str) -> str:
            return next((found for name in names if (found := values.get(name, "").strip())), "")

        return Credentials(
            token=first(TOKEN),
            username=first(USERNAME),
            password=first(PASSWORD),
            hf_token=first(HF_TOKEN),
            s3=S3Access(first(ACCESS_KEY), first(SECRET_KEY), first(SESSION_TOKEN), first(*REGIONS), first(*ENDPOINTS)),
            docker_config=first(DOCKER_CONFIG_JSON),
            plain_http=first(PLAIN_HTTP).lower() in {"1", "true", "yes"},
        )

    @staticmethod
    def from_secret(data: Mapping[str, str]) -> Credentials:
        """From the base64 data of a Secret; keys of other things are left alone."""
        keys = {name: key for kind in _NAMES for name, key in secret_keys(kind).items() if key in data}
        return Credentials.of({name: base64.b64decode(data[key]).decode() for name, key in keys.items()})

    def headers(self, *, is_hugging_face: bool = False) -> dict[str, str]:
        """The Authorization header for the source's own origin."""
        if is_hugging_face and self.hf_token:
            return bearer(HF_TOKEN, self.hf_token)
        if self.token:
            return bearer(TOKEN, self.token)
        return basic(self.username, self.password)


def bearer(name: str, token: str) -> dict[str, str]:
    """The Authorization header of a token, which has that name."""
    return {"Authorization": f"Bearer {in_header(name, token)}"}


def in_header(name: str, value: str) -> str:
    """A value that may stand in a header: SourceError when it holds a line break or other than ASCII."""
    if not value.isascii() or not value.isprintable():
        message = f"{name}: expected one line of printable ASCII, found other characters in it"
        raise SourceError("InvalidCredentials", f"{message}; write the Secret, or set the variable, again")
    return value


def basic(username: str, password: str) -> dict[str, str]:
    """The Authorization header of a name and a password; none without them."""
    if not username and not password:
        return {}
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def same_origin(one: str, other: str) -> bool:
    return _origin(one) == _origin(other)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
