"""A status that is not the file, as one error: what the server said briefly, and what a person can do about it.

Every kind of server says why in its own way: Hugging Face in headers, S3 in XML, registries in JSON. What it says is
text from a stranger, of which a short printable excerpt is shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from llmkube.models.answers import at_most
from llmkube.models.echoes import shown
from llmkube.models.errors import SourceError

if TYPE_CHECKING:
    import aiohttp

    from llmkube.models.source import Source

LARGEST_BODY = 4096
BODY_SECONDS = 10.0
LONGEST_WORDS = 120
REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    410: "NotFound",
    416: "SourceChanged",
    429: "TooManyRequests",
}
BUSY = frozenset({408, 425})
ADVICE = {
    401: "give credentials in sourceSecretRef (or the environment)",
    403: "check that the credentials may read it",
    404: "check the address",
    410: "check the address",
    416: "it became shorter, or its size and its ranges disagree",
    429: "it is tried again later",
}
_CODE = re.compile(rb"<Code>([A-Za-z]{1,64})</Code>|\"code\"\s*:\s*\"([A-Z_]{1,64})\"")
_MESSAGE = re.compile(rb"<Message>([^<]{1,400})</Message>")
_REGION = re.compile(rb"<Region>([a-z0-9-]{1,32})</Region>")
_WRONG_KEYS = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
# What S3 calls it: our reason ("" for the status' own), and what to do.
_S3 = {
    "NoSuchKey": ("NotFound", "check the path after the bucket"),
    "NoSuchBucket": ("NotFound", "check the bucket, and AWS_ENDPOINT_URL"),
    "AccessDenied": ("Forbidden", "check that the keys may read it (s3:GetObject), or give some in sourceSecretRef"),
    "SignatureDoesNotMatch": ("Unauthorized", _WRONG_KEYS),
    "InvalidAccessKeyId": ("Unauthorized", _WRONG_KEYS),
    "XAdminUserNotFound": ("Unauthorized", _WRONG_KEYS),  # as Versity's gateway has it
    "ExpiredToken": ("Unauthorized", "renew AWS_SESSION_TOKEN with its keys"),
    "InvalidToken": ("Unauthorized", "renew AWS_SESSION_TOKEN with its keys"),
    "RequestTimeTooSkewed": ("ClockSkew", "set the clock of this machine"),
}
_WRONG_REGION = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"})
_HUB = {
    "GatedRepo": ("", "accept its licence on the repository's page, and give a token of that account in HF_TOKEN"),
    "RepoNotFound": ("", "check organisation and repository; a private one wants a token in HF_TOKEN"),
    "RevisionNotFound": ("NotFound", "check the revision after @"),
    "EntryNotFound": ("NotFound", "check the file's path in the repository"),
}
_HUB_ADVICE = {
    401: "give a token in HF_TOKEN (sourceSecretRef); a repository that does not exist is answered so, too",
    403: "accept its licence on the repository's page with the account of HF_TOKEN, if it is gated",
    404: "check the path and the revision",
}
_REGISTRY = {
    "MANIFEST_UNKNOWN": ("NotFound", "check the tag or digest"),
    "NAME_UNKNOWN": ("NotFound", "check the repository"),
    "BLOB_UNKNOWN": ("NotFound", "the artifact is incomplete; push it again"),
    "UNAUTHORIZED": ("Unauthorized", "give the registry's credentials in sourceSecretRef (or `docker login`)"),
    "DENIED": ("Forbidden", "check that the credentials may pull the repository"),
    "TOOMANYREQUESTS": ("TooManyRequests", "it is tried again later"),
}


async def check_status(source: Source, response: aiohttp.ClientResponse, *, what: str = "the file") -> None:
    """Return when the answer is the file (or what else was asked for); SourceError says why it is not."""
    encoding = response.headers.get("Content-Encoding", "identity")
    if response.status in {200, 206} and encoding.lower() == "identity":
        return
    if response.status in {200, 206}:
        message = f"{source.text}: expected {what} as it is stored, found Content-Encoding {words(encoding)}"
        raise SourceError("UnexpectedEncoding", f"{message}; turn compression off for it at the server")
    code, said = await _said(source, response)
    reason, advice = _told(source, response.status, code)
    phrase = words(shown(response.reason or "", response))
    found = " ".join(filter(None, (f"HTTP {response.status}", phrase, said)))
    host = words(response.url.host or "")
    message = f"{source.text}: expected {what}, found {found} from {host}; {advice}"
    raise SourceError(reason, message, retry_after=retry_after(response.headers.get("Retry-After", ""), time.time()))


def retry_after(text: str, now: float) -> float | None:
    """Seconds to wait by a Retry-After (RFC 9110, 10.2.3): a number, or a date; None when it is neither."""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - now, 0.0)
    except (ValueError, OverflowError):
        return None


def _told(source: Source, status: int, code: str) -> tuple[str, str]:
    """The reason, and what to do."""
    if status >= 500 or status in BUSY:
        return "ServerError", "it is tried again"
    own = {"s3": _S3, "hf": _HUB, "oci": _REGISTRY}.get(source.kind, {})
    word, _, region = code.partition(" ")
    if source.kind == "s3" and (word in _WRONG_REGION or status in {301, 307}):
        return "WrongRegion", f"set AWS_REGION to {region or 'the region of the bucket'}"
    reason, advice = own.get(code, ("", ""))
    usual = (_HUB_ADVICE if source.kind == "hf" else {}).get(status) or ADVICE.get(status, "check the address")
    return reason or REASONS.get(status, "UnexpectedStatus"), advice or usual


async def _said(source: Source, response: aiohttp.ClientResponse) -> tuple[str, str]:
    """The server's own code (for S3 with the region that it names), and what to show of it."""
    if source.kind == "hf":
        code = words(shown(response.headers.get("X-Error-Code", ""), response))
        message = words(shown(response.headers.get("X-Error-Message", ""), response))
        return code, f"({code}{': ' if code and message else ''}{message})" if code or message else ""
    if source.kind not in {"s3", "oci"}:
        return "", ""
    body = await _body(response)
    found = _CODE.search(body)
    code = (found[1] or found[2]).decode() if found else ""
    told = _MESSAGE.search(body)
    text = shown(told[1].decode(errors="replace"), response) if told else ""
    said = ": ".join(filter(None, (code, words(text))))
    if source.kind == "s3" and (code in _WRONG_REGION or response.status in {301, 307}):
        named = _REGION.search(body)
        region = response.headers.get("x-amz-bucket-region", named[1].decode() if named else "")
        code = f"{code} {words(region)}".rstrip()
    return code, f"({said})" if said else ""


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """The beginning of what is said; nothing when it does not come soon."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(BODY_SECONDS):
            return bytes(await at_most(response, LARGEST_BODY))
    return b""


def words(text: str) -> str:
    """An excerpt that is safe to show: printable, on one line, short."""
    return "".join(one for one in text[: 4 * LONGEST_WORDS] if one.isprintable())[:LONGEST_WORDS]
