"""What is asked of a fetch, and what it came to: values only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from llmkube.models.credentials import Credentials
from llmkube.models.policy import SourcePolicy
from llmkube.models.source import HUGGING_FACE

Accept = Callable[[Sequence[Path]], None]
"""Looks at a model's verified files, in order, before they get the model's name; SourceError refuses them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One more source whose files are linked beside the model's (a projector). `sha256` as for a model."""

    source: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """`sha256` is the model's digest when the spec names one; `size` in bytes of all parts when it is known.

    `keep`: after success the Model's other links go, but those of these digests (12 digits), and so do blobs that
    nothing needs then; None keeps everything. `pinned`: no Model is meant, `name` is that of a pin. `recheck`: what is
    there of `sha256` is read again first, and what is damaged is fetched anew.
    """

    source: str
    cache: Path
    namespace: str
    name: str
    sha256: str = ""
    size: int | None = None
    policy: SourcePolicy = field(default_factory=SourcePolicy)
    credentials: Credentials = field(default_factory=Credentials)
    hugging_face: str = HUGGING_FACE
    ca_bundle: Path | None = None
    beside: tuple[Wanted, ...] = ()
    keep: tuple[str, ...] | None = None
    pinned: bool = False
    recheck: bool = False
    accept: Accept | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """`path` is relative to the cache's root: the model's first file. `beside` are the first files of the others.

    `sha256`, `bytes` and `files` are the model's alone; `removed` are the bytes that went from the cache, `damaged`
    those that were fetched anew because what was there was not what its name said.
    """

    sha256: str
    bytes: int
    path: str
    etag: str
    files: int
    beside: tuple[str, ...] = ()
    removed: int = 0
    damaged: int = 0
