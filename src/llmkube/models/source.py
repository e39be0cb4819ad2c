"""The `source` of a Model as a value: which scheme, where, which file. Pure; the text is hostile input.

https://HOST/PATH/FILE.gguf[?QUERY]                   http:// too
hf://ORGANISATION/REPOSITORY/[FOLDER/]FILE.gguf[@REVISION]
s3://BUCKET/KEY                                       the key as it is, not percent-encoded
oci://REGISTRY/REPOSITORY[:TAG|@sha256:DIGEST][/FILE] a file of the artifact is named after a tag or digest only
pvc://CLAIM/PATH
file:///PATH
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

from llmkube.models.errors import SourceError

Kind = Literal["http", "https", "hf", "s3", "oci", "pvc", "file"]
KINDS = ("http", "https", "hf", "s3", "oci", "pvc", "file")
LONGEST = 2048
HUGGING_FACE = "https://huggingface.co"
MOST_PARTS = 1000
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,254}")
SPLIT = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")
HF_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
REGISTRY_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*")
REFERENCE = re.compile(r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[a-f0-9]{64}))?", re.ASCII)
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")


@dataclass(frozen=True, slots=True)
class Source:
    """`host`: also the claim, the bucket, org/repo of hf://, registry/repository of oci://. `path`: of the URL, of the
    file, in the claim or bucket, of the file in an artifact ("" for its only one). `revision`: also a tag or a digest.
    """

    text: str
    kind: Kind
    host: str
    path: str
    filename: str
    revision: str = ""
    query: str = ""

    @property
    def is_remote(self) -> bool:
        return self.kind in {"http", "https", "hf", "s3", "oci"}

    def url(self, hugging_face: str = HUGGING_FACE) -> str:
        """Where the bytes of http://, https:// and hf:// are; `hugging_face` its endpoint (HF_ENDPOINT, a mirror)."""
        if self.kind == "hf":
            path = quote(f"{self.host}/resolve/{self.revision or 'main'}/{self.path}")
            return f"{hugging_face.rstrip('/')}/{path}"
        return f"{self.kind}://{self.host}{self.path}{f'?{self.query}' if self.query else ''}"

    def parts(self) -> tuple[Source, ...]:
        """The files of a split model, in order; itself alone when it is not one."""
        found = SPLIT.fullmatch(self.filename)
        if found is None or not self.path:
            return (self,)
        count = int(found["count"])
        if int(found["number"]) != 1 or not 1 <= count <= MOST_PARTS:
            raise invalid(self.text, f"a split model is named by its first part of at most {MOST_PARTS}", self.filename)
        names = [f"{found['stem']}-{number:05d}-of-{found['count']}.gguf" for number in range(1, count + 1)]
        return tuple(self._sibling(name) for name in names)

    def _sibling(self, name: str) -> Source:
        """`name` in place of the last segment of the path, in the text too."""
        folder, slash, _ = self.path.rpartition("/")
        before, _, after = self.text.rpartition(self.filename)
        text = f"{before}{name}{after}" if self.filename in self.text else f"{self.text} ({name})"
        return replace(self, text=text, path=f"{folder}{slash}{name}", filename=name)


def invalid(text: str, expected: str, found: str) -> SourceError:
    return SourceError("InvalidSource", f"source {text[:200]!r}: expected {expected}, found {found[:200]!r}")


def parse(text: str) -> Source:
    """The source that a spec or a command line names; SourceError says what is wrong with it."""
    if len(text) > LONGEST:
        raise invalid(text, f"at most {LONGEST} characters", f"{len(text)} characters")
    if not text.isprintable() or any(one.isspace() for one in text):
        raise invalid(text, "a URL without spaces and control characters", text)
    scheme, separator, rest = text.partition("://")
    if not separator:
        return _file(text, text) if text.startswith("/") else _unknown(text)
    match scheme.lower():
        case "http" | "https":
            return _http(text)
        case "hf":
            return _hugging_face(text, rest)
        case "pvc":
            return _claim(text, rest)
        case "s3":
            return _object(text, rest)
        case "oci":
            return _artifact(text, rest)
        case "file":
            return _file(text, rest)
    return _unknown(text)


def _unknown(text: str) -> Source:
    raise invalid(text, f"{', '.join(f'{kind}://' for kind in KINDS)} or an absolute path", text)


def _http(text: str) -> Source:
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise invalid(text, "a URL", str(error)) from None
    if url.username is not None or url.password is not None:
        redacted = f"{url.scheme}://…@{url.hostname or ''}"
        raise invalid(redacted, "no credentials in the URL (use sourceSecretRef, or the environment)", redacted)
    if not url.hostname or port == 0:
        raise invalid(text, "a host name", url.netloc)
    filename = file_name(text, unquote(url.path))
    return Source(text, _lower(url.scheme), url.netloc, url.path, filename, "", url.query)


def _lower(scheme: str) -> Literal["http", "https"]:
    return "https" if scheme.lower() == "https" else "http"


def _hugging_face(text: str, rest: str) -> Source:
    place, _, revision = rest.partition("@")
    segments = place.split("/")
    if len(segments) < 3 or not all(HF_SEGMENT.fullmatch(one) for one in segments[:2]):
        raise invalid(text, "hf://ORGANISATION/REPOSITORY/FILE.gguf[@REVISION]", rest)
    if revision and (not REVISION.fullmatch(revision) or ".." in revision):
        raise invalid(text, "a branch, tag or commit after @", revision)
    path = "/".join(segments[2:])
    return Source(text, "hf", "/".join(segments[:2]), path, file_name(text, path), revision)


def _claim(text: str, rest: str) -> Source:
    claim, _, path = rest.partition("/")
    if not claim or not path:
        raise invalid(text, "pvc://CLAIM/PATH", rest)
    return Source(text, "pvc", claim, path, file_name(text, path))


def _object(text: str, rest: str) -> Source:
    bucket, _, key = rest.partition("/")
    if not BUCKET.fullmatch(bucket) or ".." in bucket or not key:
        raise invalid(text, "s3://BUCKET/KEY", rest)
    return Source(text, "s3", bucket, key, file_name(text, key))


def _artifact(text: str, rest: str) -> Source:
    """A repository's name may contain dots and slashes, so a file can only be told from it behind a tag or digest."""
    host, _, place = rest.partition("/")
    named = re.match(r"[^:@]*", place)
    repository = named[0] if named else ""
    reference, _, path = place[len(repository) :].partition("/")
    found = REFERENCE.fullmatch(reference)
    if not REGISTRY_HOST.fullmatch(host) or not REPOSITORY.fullmatch(repository) or found is None:
        raise invalid(
            text, "oci://REGISTRY/REPOSITORY[:TAG|@sha256:DIGEST][/FILE.gguf] with REPOSITORY in lower case", rest
        )
    if not reference and repository.endswith(".gguf"):
        raise invalid(text, "a tag or digest before the file, as in :latest/FILE.gguf", repository)
    filename = file_name(text, path or f"{repository.rpartition('/')[2]}.gguf")
    revision = found["digest"] or found["tag"] or "latest"
    return Source(text, "oci", f"{host}/{repository}", path, filename, revision)


def _file(text: str, path: str) -> Source:
    path = path.removeprefix("localhost")
    if not path.startswith("/"):
        raise invalid(text, "an absolute path, file:///PATH", path)
    return Source(text, "file", "", unquote(path), file_name(text, unquote(path)))


def file_name(text: str, path: str) -> str:
    """The last segment of a path, as the name of a file in the cache; no segment may climb."""
    segments = path.split("/")
    if any(one in {".", ".."} for one in segments):
        raise invalid(text, "a path without . and ..", path)
    if not FILE_NAME.fullmatch(segments[-1]):
        raise invalid(text, "a file name of letters, digits and . _ + -, at the end of the path", segments[-1])
    return segments[-1]
