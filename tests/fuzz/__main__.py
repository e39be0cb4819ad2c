"""python -m tests.fuzz TARGET CORPUS [libFuzzer options]: see hack/fuzz.

A target takes any bytes and ends in a value or in the error that is meant for it; anything else is a crash.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import atheris
from tests import tiny

with atheris.instrument_imports(include=["llmkube"]):
    from llmkube.gguf.errors import GGUFError, NeedMore
    from llmkube.gguf.facts import facts
    from llmkube.gguf.reader import parse
    from llmkube.models import oci, registry_login, source
    from llmkube.models.credentials import Credentials
    from llmkube.models.errors import SourceError

ARTIFACT = source.parse("oci://registry.example/team/model:v1/m.gguf")
LAYER = {"mediaType": "application/gguf", "digest": f"sha256:{'0' * 64}", "size": 1}
MANIFEST = {"schemaVersion": 2, "layers": [{**LAYER, "annotations": {"org.opencontainers.image.title": "m.gguf"}}]}
PLATFORM = {"os": "linux", "architecture": "amd64"}
INDEX = {"schemaVersion": 2, "manifests": [{"digest": f"sha256:{'0' * 64}", "platform": PLATFORM}]}
DOCKER_CONFIG = {"auths": {"registry.example": {"auth": "YTpi"}}}


def check(holds: bool, what: str) -> None:
    """Crash with `what` where an error is not as it should be."""
    if not holds:
        raise AssertionError(what)


def header(data: bytes) -> None:
    """The header of a GGUF file, and its facts: the same in one piece and in several."""
    skipped: dict[int, tuple[int, int]] = {}
    for end in (len(data) // 3, len(data) // 3 * 2):
        _header(data[:end], skipped)
    check(_header(data, skipped) == _header(data, {}), "other than in one piece")


def _header(data: bytes, skipped: dict[int, tuple[int, int]]) -> str:
    try:
        return repr(facts(parse(data, skipped)))
    except NeedMore as more:
        check(more.at_least > len(data), "asks for what it has")
        return str(more)
    except GGUFError as error:
        check("\n" not in error.message and len(error.message) < 1000, error.message)
        return error.message


def place(data: bytes) -> None:
    """The text of a source."""
    try:
        for part in source.parse(data.decode(errors="replace")).parts():
            assert "/" not in part.filename
            assert part.filename not in {"", ".", ".."}
    except SourceError as error:
        check("\n" not in error.message, error.message)


def manifest(data: bytes) -> None:
    """What a registry answers, and a docker config.json."""
    for step in (_manifest, _config):
        try:
            step(data)
        except SourceError as error:
            check(error.message.isprintable(), error.message)


def _manifest(data: bytes) -> None:
    found = oci.document(ARTIFACT, data)
    if oci.is_index(found):
        oci.manifest_of(ARTIFACT, found, "linux/amd64")
    else:
        oci.layer_of(ARTIFACT, found)


def _config(data: bytes) -> None:
    registry_login.login(Credentials(docker_config=data.decode(errors="replace")), "registry.example", "team/model")


SEEDS = {
    "header": [tiny.model(), tiny.model(tokens=1100, split=(0, 2)), tiny.header(40, merges=40, tensors=3)[0]],
    "source": [b"https://h/a/m.gguf?x=1", b"hf://o/r/m-00001-of-00003.gguf@v1", b"oci://h:1/a/b:v1@sha256:0/m.gguf"],
    "manifest": [json.dumps(one).encode() for one in (MANIFEST, INDEX, DOCKER_CONFIG)],
}
TARGETS: dict[str, Callable[[bytes], None]] = {"header": header, "source": place, "manifest": manifest}


def main() -> None:
    """Write the seeds, and fuzz until an option says to stop."""
    name, corpus = sys.argv[1], Path(sys.argv[2])
    for number, seed in enumerate(SEEDS[name]):
        (corpus / f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
