"""Objects of S3 and of what speaks like it: where one is, and a request's signature (SigV4).

The transfer itself is any other GET: ranges, redirects and the policy are the same for all sources. Only the signature
is botocore's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from llmkube.models.credentials import in_header
from llmkube.models.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmkube.models.credentials import S3Access
    from llmkube.models.source import Source

DEFAULT_REGION = "us-east-1"
_REGION_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


def object_url(source: Source, access: S3Access) -> str:
    """The address of an object: path style at an endpoint of one's own, the bucket's own host at Amazon's."""
    key = quote(source.path, safe="/~")
    if access.endpoint:
        return f"{_endpoint(source, access.endpoint)}/{source.host}/{key}"
    region = _region(source, access)
    domain = f"s3.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
    if "." in source.host:  # no certificate of Amazon's is for such a host
        return f"https://{domain}/{source.host}/{key}"
    return f"https://{source.host}.{domain}/{key}"


def checked(source: Source, access: S3Access) -> S3Access:
    """The keys, both or none of them, as they may stand in headers."""
    in_header("AWS_ACCESS_KEY_ID", access.access_key)
    in_header("AWS_SESSION_TOKEN", access.session_token)
    if bool(access.access_key) != bool(access.secret_key):
        missing = "AWS_SECRET_ACCESS_KEY" if access.access_key else "AWS_ACCESS_KEY_ID"
        message = f"{source.text}: expected AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, found no {missing}"
        raise SourceError("InvalidCredentials", f"{message}; add it, or remove both for a public bucket")
    return access


def signed(url: str, headers: Mapping[str, str], access: S3Access) -> dict[str, str]:
    """The headers of a GET with its signature among them: the time, the digest of no body, the session's token."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials as Keys

    request = AWSRequest(method="GET", url=url, headers=dict(headers))
    keys = Keys(access.access_key, access.secret_key, access.session_token or None)
    S3SigV4Auth(keys, "s3", access.region or DEFAULT_REGION).add_auth(request)
    return {str(name): str(value) for name, value in request.headers.items()}


def _endpoint(source: Source, text: str) -> str:
    try:
        url = urlsplit(text)
        is_one = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        is_one = False
    if not is_one or "@" in url.netloc or url.query or url.fragment:
        message = f"{source.text}: AWS_ENDPOINT_URL: expected https://HOST[:PORT] alone, found something else"
        raise SourceError("InvalidEndpoint", f"{message}; correct it in the Secret or the environment")
    return text.rstrip("/")


def _region(source: Source, access: S3Access) -> str:
    region = access.region or DEFAULT_REGION
    if not set(region) <= _REGION_LETTERS or len(region) > 32:
        message = f"{source.text}: AWS_REGION: expected a region such as {DEFAULT_REGION}, found {region[:40]!r}"
        raise SourceError("InvalidEndpoint", f"{message}; correct it in the Secret or the environment")
    return region
