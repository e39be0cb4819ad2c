"""What a Model's status keeps of a source and of bytes of before, whatever else changes."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from tests.unit.desired.fetches import DONE, KNOWN, NOW, PATH, SHA256, See, ended, job, state_of

from llmkube.api.conditions import Condition
from llmkube.api.model import GGUFFacts, ModelMemory, ModelSpec, ModelStatus
from llmkube.desired.fetch_result import Done
from llmkube.desired.model_status import observe
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.resolution import Known, Unresolved, confirmed, remembered
from llmkube.desired.retained import Place
from llmkube.gguf.packed import VERSION


def test_what_is_known_of_a_source_is_remembered_whatever_else_of_the_spec_changes(
    see: See, model_spec: Callable[..., ModelSpec]
) -> None:
    status = observe(see(fetch=state_of(job())), now=NOW)
    found = remembered(status, model_spec(quantization="Q4_1", hardware={"accelerator": "cuda"}), generation=9)
    assert found is not None
    assert (found.etag, found.size_bytes, found.facts) == (KNOWN.etag, KNOWN.size_bytes, KNOWN.facts)
    assert remembered(status, model_spec(source="https://models.example/other.gguf"), generation=9) is None
    assert remembered(status, model_spec(mmprojSource="https://models.example/mmproj.gguf"), generation=9) is None


def test_a_new_policy_that_refuses_the_licence_is_asked_about_once_for_a_sidecar_may_allow_it(
    see: See, model_spec: Callable[..., ModelSpec]
) -> None:
    status = observe(see(), now=NOW)
    assert KNOWN.facts is not None
    stated, generation = KNOWN.facts.license, status.observed_generation or 0
    other, same = (model_spec(license={"allow": [each]}) for each in ("another-licence", stated))
    assert remembered(status, other, generation=generation + 1) is None
    assert remembered(status, other, generation=generation) is not None
    assert remembered(status, same, generation=generation + 1) is not None


def test_a_layout_of_another_version_is_a_reason_to_ask_again(model_spec: Callable[..., ModelSpec]) -> None:
    def status(layout: str | None) -> ModelStatus:
        memory = ModelMemory(weights=1, kv_cache_per_token=1, compute_estimate=1, layout=layout)
        resolved = Condition(
            type="Resolved",
            status="True",
            reason="Resolved",
            message="",
            last_transition_time=NOW,
            observed_generation=1,
        )
        return ModelStatus(source=model_spec().source, memory=memory, conditions=(resolved,))

    assert remembered(status("0:of before"), model_spec(), generation=1) is None
    assert remembered(status(f"{VERSION}of now"), model_spec(), generation=1) is not None
    assert remembered(status(None), model_spec(), generation=1) is not None


def test_a_layout_too_long_for_the_fetchs_last_words_is_kept_of_the_same_bytes() -> None:
    memory = ModelMemory(weights=1, kv_cache_per_token=1, compute_estimate=1, layout=f"{VERSION}known")
    before = Known(7, etag="e", facts=GGUFFacts(), memory=memory)
    told = {"weights": 2, "kvCachePerToken": 2, "computeEstimate": 2}
    same = Done("0" * 64, 7, "v1/models/a/b/c/d", etag="e", gguf={"architecture": "llama"}, memory=told)
    confirmed_memory = confirmed(before, same).memory
    assert confirmed_memory is not None
    assert (confirmed_memory.weights, confirmed_memory.layout) == (2, f"{VERSION}known")
    other = msgspec.structs.replace(same, etag="another")
    assert confirmed(before, other).memory == ModelMemory.model_validate(told)


def test_a_licence_that_was_told_before_the_fetch_stands_beside_the_header_of_the_bytes() -> None:
    """A sidecar may have corrected it; the fetch reads the header alone."""
    done = Done(sha256="a" * 64, bytes=1000, path="p", gguf={"architecture": "llama", "license": "other"})
    assert KNOWN.facts is not None
    found = confirmed(KNOWN, done).facts
    assert found is not None
    assert (found.license, found.architecture) == (KNOWN.facts.license, "llama")
    unread = confirmed(Known(size_bytes=None), done).facts
    assert unread is not None
    assert unread.license == "other"


def test_bytes_of_before_stay_on_the_list_until_they_are_gone(see: See) -> None:
    done = state_of(job("Complete"), ended(0, DONE))
    ready = observe(see(fetch=done, claim="tiny-cache"), now=NOW)
    assert (ready.claim, ready.retained) == ("tiny-cache", ())
    resolving = observe(see(ready, resolution=None), now=NOW)
    assert (resolving.phase, resolving.sha256, resolving.path, resolving.claim) == ("Resolving", None, None, None)
    (kept,) = resolving.retained
    assert (kept.sha256, kept.path, kept.claim, kept.size_bytes) == (SHA256, PATH, "tiny-cache", 1000)
    other = SHA256.replace("ab", "cd")
    again = state_of(job("Complete"), ended(0, DONE.replace(SHA256, other)))
    rolled = observe(see(resolving, fetch=again, claim="tiny-cache"), now=NOW)
    assert (rolled.sha256, [each.sha256 for each in rolled.retained]) == (other, [SHA256])
    collected = see(rolled, fetch=again, claim="tiny-cache", gone=frozenset({Place("tiny-cache", SHA256)}))
    assert observe(collected, now=NOW).retained == ()


def test_bytes_that_are_the_models_again_are_no_longer_of_before(see: See) -> None:
    done = state_of(job("Complete"), ended(0, DONE))
    ready = observe(see(fetch=done, claim="tiny-cache"), now=NOW)
    failed = observe(see(ready, resolution=Unresolved(Trouble("NotFound", "HTTP 404"), permanent=True)), now=NOW)
    available = next(each for each in failed.conditions if each.type == "Available")
    assert (failed.phase, available.status) == ("Failed", "False")
    assert available.message == "HTTP 404; pods that serve the bytes of before go on"
    assert observe(see(failed, fetch=done, claim="tiny-cache"), now=NOW).retained == ()


def test_what_is_the_same_in_another_claim_is_kept_in_the_first(see: See) -> None:
    done = state_of(job("Complete"), ended(0, DONE))
    ready = observe(see(fetch=done, claim="tiny-cache"), now=NOW)
    shared = observe(see(ready, fetch=done, claim="llmkube-models"), now=NOW)
    assert [(each.claim, each.sha256) for each in shared.retained] == [("tiny-cache", SHA256)]
