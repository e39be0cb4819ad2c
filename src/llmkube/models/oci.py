"""Artifacts of a registry: which manifest of an index, which layer of a manifest is the model. Pure; hostile input.

Manifests: https://github.com/opencontainers/image-spec. The GGUF is a plain layer, marked by its media
type (Docker Model Runner, Ollama, CNCF ModelPack) or by a file name in an annotation (ORAS, ModelPack).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmkube.models.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmkube.models.source import Source

LARGEST_MANIFEST = 4 * 1024 * 1024
MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
GGUF_TYPES = re.compile(
    r"application/(?:x-)?gguf|application/vnd\.ollama\.image\.model|application/.+[./+]gguf(?:\.v\d+)?"
)
PACKED = re.compile(r".*(?:\+gzip|\+zstd|\.gzip|\btar)")
ANY_FILE = "application/vnd.oci.image.layer.v1.tar"
"""What ORAS calls every single file whose type it is not told, tar or not."""
UNPACK = "io.deis.oras.content.unpack"
NAMES = ("org.opencontainers.image.title", "org.cncf.model.filepath")
DIGEST = re.compile(r"sha256:(?P<hex>[a-f0-9]{64})")
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Layer:
    """`name` as its pusher named the file, "" for none; `sha256` in hex is of the very bytes."""

    media_type: str
    sha256: str
    size: int
    name: str = ""
    unpack: bool = False

    @property
    def is_packed(self) -> bool:
        """Whether the model is inside an archive. A tar that is called a file is found out by its first bytes."""
        return self.unpack or (self.media_type != ANY_FILE and PACKED.fullmatch(self.media_type) is not None)

    @property
    def is_gguf(self) -> bool:
        """By its type, or by its name when nothing else is said of it."""
        named = self.name.lower().endswith(".gguf")
        return GGUF_TYPES.fullmatch(self.media_type) is not None or named


@dataclass(frozen=True, slots=True)
class Choice:
    """A manifest of an index, and the platform that it is for ("" for none)."""

    digest: str
    platform: str


def document(source: Source, data: bytes) -> dict[str, Any]:
    """The manifest or index that the bytes are."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise invalid(source, "a manifest in JSON", "other bytes")
    return found


def is_index(found: dict[str, Any]) -> bool:
    return found.get("mediaType") in INDEXES or ("manifests" in found and "layers" not in found)


def manifest_of(source: Source, index: dict[str, Any], platform: str) -> str:
    """The digest of the one manifest to take: the only one, the one of no platform, or the one of this machine's."""
    choices = list(_choices(source, index))
    for wanted in ("", platform):
        fitting = [one for one in choices if one.platform == wanted]
        if len(fitting) == 1:
            return fitting[0].digest
    if len(choices) == 1:
        return choices[0].digest
    platforms = ", ".join(one.platform or "none" for one in choices[:MOST_NAMED]) or "no manifests"
    message = f"{source.text}: expected an index with one manifest, or one for {platform}, found {platforms}"
    raise SourceError("AmbiguousArtifact", f"{message}; name the manifest by its digest, @sha256:…")


def _choices(source: Source, index: dict[str, Any]) -> Iterator[Choice]:
    """Attestations and signatures, which buildx adds beside an image, are for no machine."""
    for one in _records(source, index, "manifests"):
        stated = one.get("platform")
        place = stated if isinstance(stated, dict) else {}
        platform = "/".join(_printable(str(place[key]), 32) for key in ("os", "architecture") if place.get(key))
        if platform != "unknown/unknown" and DIGEST.fullmatch(str(one.get("digest"))):
            yield Choice(str(one["digest"]), platform)


def layer_of(source: Source, manifest: dict[str, Any]) -> Layer:
    """The layer that the source names by its file, or the artifact's only GGUF."""
    layers = [_layer(source, one) for one in _records(source, manifest, "layers")]
    found = [one for one in layers if (one.name == source.path if source.path else one.is_gguf)]
    if len(found) != 1:
        raise _not_one(source, found, layers)
    if found[0].is_packed:
        message = f"{source.text}: expected a layer that is the GGUF file itself, found {found[0].media_type!r}"
        raise SourceError("PackedLayer", f"{message}; push it unpacked, as `oras push` does a single file")
    return found[0]


def _not_one(source: Source, found: list[Layer], layers: list[Layer]) -> SourceError:
    names = sorted(one.name or f"one without a name ({one.media_type[:60]})" for one in layers)
    held = ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
    if found and not source.path:
        few = ", ".join(sorted(one.name or "one without a name" for one in found)[:MOST_NAMED])
        message = f"{source.text}: expected an artifact with one GGUF file, found {len(found)}: {few}"
        return SourceError("AmbiguousArtifact", f"{message}; name one after the tag or digest: …:TAG/FILE.gguf")
    wanted = f"a file {source.path} in the artifact" if source.path else "an artifact with a GGUF file"
    message = f"{source.text}: expected {wanted}, found {held or 'no layers'}"
    return SourceError("NoGGUFLayer", f"{message}; check the reference, or push the model as a file of its own")


def _layer(source: Source, one: dict[str, Any]) -> Layer:
    digest = DIGEST.fullmatch(str(one.get("digest")))
    size = one.get("size")
    if digest is None or not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise invalid(source, "layers with a sha256 digest and a size", _printable(str(one.get("digest")), 80))
    stated = one.get("annotations")
    notes = stated if isinstance(stated, dict) else {}
    name = next((_printable(notes[key]).removeprefix("./") for key in NAMES if isinstance(notes.get(key), str)), "")
    media_type = _printable(str(one.get("mediaType", "")))
    return Layer(media_type, digest["hex"], size, name, unpack=notes.get(UNPACK) == "true")


def _records(source: Source, found: dict[str, Any], key: str) -> list[dict[str, Any]]:
    records = found.get(key)
    if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
        version = _printable(str(found.get("schemaVersion")), 10)
        raise invalid(source, f"a manifest with {key}", f"schema {version} without")
    return records


def _printable(text: str, longest: int = 255) -> str:
    return "".join(one for one in text[:longest] if one.isprintable())


def invalid(source: Source, expected: str, found: str) -> SourceError:
    return SourceError("InvalidManifest", f"{source.text}: expected {expected}, found {found}; push the artifact again")
