"""Where each pod will find what it fetches for itself: only bytes whose digest is known before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from llmkube.api.model import ModelSpec, Projector
from llmkube.desired.ephemeral import placed
from llmkube.desired.fetch_result import Done
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.resolution import Known
from llmkube.kube.kinds import Key

TINY = Key("team", "tiny")
SHA256, PROJECTOR = "ab" * 32, "cd" * 32
Factory = Callable[..., ModelSpec]
SEEING = Projector(source="https://h/mmproj.gguf", size_bytes=5, sha256=PROJECTOR)
KNOWN = Known(1000, sha256=SHA256)


def test_the_sources_own_digest_is_enough_and_the_specs_counts_before_it(model_spec: Factory) -> None:
    found = placed(TINY, model_spec(), KNOWN)
    assert found == Done(SHA256, 1000, f"v1/models/team/tiny/{SHA256[:12]}/tiny.gguf")
    named = placed(TINY, model_spec(sha256=PROJECTOR), KNOWN)
    assert isinstance(named, Done)
    assert named.sha256 == PROJECTOR


def test_a_projector_has_a_place_of_its_own(model_spec: Factory) -> None:
    found = placed(TINY, model_spec(mmprojSource=SEEING.source), replace(KNOWN, projector=SEEING))
    assert isinstance(found, Done)
    assert found.projector == Done(PROJECTOR, 5, f"v1/models/team/tiny/{PROJECTOR[:12]}/mmproj.gguf")


def test_bytes_without_a_known_digest_are_refused_by_name(model_spec: Factory) -> None:
    model = placed(TINY, model_spec(), Known(1000))
    blind = SEEING.model_copy(update={"sha256": None})
    projector = placed(TINY, model_spec(mmprojSource=SEEING.source), replace(KNOWN, projector=blind))
    for found, name in ((model, "tiny.gguf"), (projector, "mmproj.gguf")):
        assert isinstance(found, Trouble)
        assert (found.reason, name in found.message) == ("DigestUnknown", True)
