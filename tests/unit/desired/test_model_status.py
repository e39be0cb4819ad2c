"""The status of a Model: its phase, its conditions, and what it remembers of a fetch whose pod is gone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from llmkube.api.conditions import Condition
from llmkube.api.model import GGUFFacts, ModelMemory, ModelSpec, ModelStatus, Projector
from llmkube.desired.fetch_result import Done, tick
from llmkube.desired.fetch_state import Lost, fetch_state
from llmkube.desired.model_status import Sight, observe
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.resolution import Known, Unresolved, confirmed, remembered
from llmkube.desired.retained import Place
from llmkube.kube.objects import Job, Pod

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SHA256 = "ab" * 32
JOB = "tiny-fetch-12345678"
PATH = f"v1/models/team/tiny/{SHA256[:12]}/tiny.gguf"
DONE = json.dumps({"event": "done", "sha256": SHA256, "bytes": 1000, "path": PATH, "etag": "e", "files": 1})
KNOWN = Known(1000, etag="e", facts=GGUFFacts(architecture="llama", quantization="Q4_1", license="mit"))
See = Callable[..., Sight]


@pytest.fixture
def see(model_spec: Callable[..., ModelSpec]) -> See:
    """What is seen of a Model whose source is resolved, with what a test says on top."""

    def make(previous: ModelStatus | None = None, spec: dict[str, Any] | None = None, **fields: Any) -> Sight:
        given = {"resolution": KNOWN, "job_name": JOB, **fields}
        return Sight(1, model_spec(**spec or {}), previous or ModelStatus(), **given)

    return make


def job(*conditions: str) -> Job:
    given = [{"type": each, "status": "True", "message": "said by the Job"} for each in conditions]
    return msgspec.convert({"metadata": {"name": JOB}, "status": {"conditions": given}}, Job)


def pod(state: dict[str, Any], **status: Any) -> Pod:
    container = {"name": "fetch", "state": state}
    return msgspec.convert(
        {"metadata": {"name": f"{JOB}-x"}, "status": {"containerStatuses": [container], **status}}, Pod
    )


def ended(code: int, message: str) -> Pod:
    return pod({"terminated": {"exitCode": code, "message": message}}, phase="Failed" if code else "Succeeded")


def state_of(live: Job | None, *pods: Pod, previous: ModelStatus | None = None, line: str = "") -> Any:
    return fetch_state(live, pods, job_name=JOB, tick=tick(line), previous=previous or ModelStatus())


def conditions(status: ModelStatus) -> dict[str, tuple[str, str]]:
    return {each.type: (each.status, each.reason) for each in status.conditions}


def test_a_fetch_that_is_done_makes_the_model_ready_with_its_digest_and_path(see: See) -> None:
    status = observe(see(fetch=state_of(job("Complete"), ended(0, DONE))), now=NOW)
    assert (status.phase, status.sha256, status.path, status.size) == ("Ready", SHA256, PATH, "1000")
    assert {name: found[0] for name, found in conditions(status).items()} == {
        "Resolved": "True",
        "Cached": "True",
        "Available": "True",
        "Progressing": "False",
        "Degraded": "False",
    }


def test_a_status_that_says_the_same_later_is_the_same_to_its_times(see: See) -> None:
    first = observe(see(fetch=state_of(job("Complete"), ended(0, DONE))), now=NOW)
    read = ModelStatus.model_validate(first.manifest())
    second = observe(see(read, fetch=state_of(job("Complete"), previous=read)), now=NOW + timedelta(hours=1))
    assert second.manifest() == first.manifest()


def test_what_a_job_brought_is_remembered_when_its_pod_and_the_job_itself_are_gone(see: See) -> None:
    ready = observe(see(fetch=state_of(job("Complete"), ended(0, DONE))), now=NOW)
    assert observe(see(ready, fetch=state_of(None, previous=ready)), now=NOW).phase == "Ready"


@pytest.mark.parametrize("end", ["Complete", "Failed"])
def test_a_job_that_is_seen_to_end_before_its_pod_is_waited_for_not_lost(see: See, end: str) -> None:
    running = pod({"running": {}}, phase="Running")
    status = observe(see(fetch=state_of(job(end), running)), now=NOW)
    assert status.phase == "Downloading"


def test_what_another_job_brought_is_not_remembered_for_this_one(see: See) -> None:
    other = observe(see(job_name="tiny-fetch-00000000", fetch=state_of(job(), ended(0, DONE))), now=NOW)
    assert state_of(job("Complete"), previous=other) == Lost()
    assert observe(see(other, fetch=state_of(None, previous=other)), now=NOW).phase == "Downloading"


def test_a_model_whose_digest_differs_is_failed_with_the_fetchers_own_words(see: See) -> None:
    said = json.dumps({"event": "error", "reason": "DigestMismatch", "message": "expected ab, found cd"})
    status = observe(see(fetch=state_of(job("Failed"), ended(65, said))), now=NOW)
    available = next(each for each in status.conditions if each.type == "Available")
    assert (status.phase, available.status) == ("Failed", "False")
    assert (available.reason, available.message) == ("DigestMismatch", "expected ab, found cd")
    assert status.sha256 is None
    assert status.path is None


def test_a_failure_is_remembered_when_the_pod_is_gone(see: See) -> None:
    said = json.dumps({"event": "error", "reason": "NotGGUF", "message": "found HTML"})
    failed = observe(see(fetch=state_of(job("Failed"), ended(65, said))), now=NOW)
    again = observe(see(failed, fetch=state_of(job("Failed"), previous=failed)), now=NOW + timedelta(hours=1))
    assert again == failed


def test_bytes_that_are_not_those_the_spec_names_are_never_ready(see: See) -> None:
    status = observe(see(spec={"sha256": "cd" * 32}, fetch=state_of(job("Complete"), ended(0, DONE))), now=NOW)
    assert (status.phase, status.path) == ("Failed", None)
    assert conditions(status)["Available"] == ("False", "DigestMismatch")


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Killed",
        "[]",
        DONE.replace(PATH, "v1/models/../../etc/passwd"),
        DONE.replace(PATH, "/etc/passwd"),
        DONE.replace(SHA256, "AB" * 32),
        DONE.replace("1000", "-1"),
        DONE[:50],
    ],
)
def test_last_words_that_break_the_contract_count_as_none(message: str) -> None:
    assert state_of(job("Complete"), ended(0, message)) == Lost()


def test_progress_is_told_while_bytes_arrive_and_checking_them_is_a_phase_of_its_own(see: See) -> None:
    running = pod({"running": {}}, phase="Running")
    half = state_of(job(), running, line='{"event":"progress","bytes":500,"total":1000,"bytesPerSecond":10.5}')
    status = observe(see(fetch=half), now=NOW)
    assert status.phase == "Downloading"
    assert status.progress is not None
    assert (status.progress.bytes, status.progress.percent, status.progress.bytes_per_second) == (500, 50, 10)
    assert status.progress.eta_seconds == 50
    whole = state_of(job(), running, line='{"event":"progress","bytes":1000,"total":1000}')
    assert observe(see(fetch=whole), now=NOW).phase == "Verifying"


@pytest.mark.parametrize("line", ['{"event":"progress","bytes":1e999}', '{"event":"progress","bytes":"x"}', "50%", "{"])
def test_a_log_line_that_is_no_progress_tells_none(line: str) -> None:
    assert tick(line) is None


def test_numbers_out_of_bounds_are_cut_to_them() -> None:
    found = tick('{"event":"progress","bytes":-5,"total":-1,"percent":900,"bytesPerSecond":1e30}')
    assert found is not None
    assert (found.bytes, found.total, found.percent, found.bytes_per_second) == (0, 0, 100, 2**63 - 1)


def test_a_fetch_that_is_tried_again_says_why(see: See) -> None:
    said = json.dumps({"event": "error", "reason": "ServerError", "message": "HTTP 503", "retryable": True})
    status = observe(see(fetch=state_of(job(), ended(75, said))), now=NOW)
    assert (status.phase, conditions(status)["Degraded"]) == ("Downloading", ("True", "ServerError"))


def test_a_pod_that_cannot_start_is_named_with_what_it_waits_for(see: See) -> None:
    waiting = pod({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}, phase="Pending")
    status = observe(see(fetch=state_of(job(), waiting)), now=NOW)
    degraded = next(each for each in status.conditions if each.type == "Degraded")
    assert (status.phase, degraded.reason) == ("Pending", "ErrImagePull")
    assert degraded.message == f"Pod {JOB}-x, container fetch: no such image"


@pytest.mark.parametrize(("permanent", "phase"), [(True, "Failed"), (False, "Resolving")])
def test_a_source_that_cannot_be_resolved_says_so(see: See, permanent: bool, phase: str) -> None:
    answer = Unresolved(Trouble("NotFound", "HTTP 404"), permanent=permanent)
    status = observe(see(resolution=answer), now=NOW)
    assert (status.phase, conditions(status)["Resolved"]) == (phase, ("False", "NotFound"))


def test_a_refused_spec_fails_before_its_source_is_looked_at() -> None:
    sight = Sight(2, None, ModelStatus(), refused=Trouble("NotSupported", "spec.refresh: not honoured"))
    status = observe(sight, now=NOW)
    assert (status.phase, status.observed_generation) == ("Failed", 2)
    assert conditions(status)["Available"] == ("False", "NotSupported")
    assert conditions(status)["Resolved"][0] == "Unknown"


def test_what_is_not_accepted_is_failed_with_its_numbers_still_told(see: See) -> None:
    status = observe(see(verdict=Trouble("LicenseNotAllowed", "spec.license.allow: ...")), now=NOW)
    assert (status.phase, conditions(status)["Available"]) == ("Failed", ("False", "LicenseNotAllowed"))
    assert (conditions(status)["Resolved"][0], conditions(status)["Cached"]) == ("True", ("False", "NotAccepted"))
    assert (status.size_bytes, status.gguf) == (KNOWN.size_bytes, KNOWN.facts)


def test_a_licence_that_nobody_could_read_is_not_one_that_is_allowed(see: See) -> None:
    done = state_of(job("Complete"), ended(0, DONE))
    spec = {"source": "pvc://weights/tiny.gguf", "license": {"allow": ["mit"]}}
    status = observe(see(spec=spec, resolution=Known(None), fetch=done), now=NOW)
    assert (status.phase, status.path) == ("Failed", None)
    assert conditions(status)["Available"] == ("False", "LicenseNotAllowed")


def test_what_nobody_asks_for_waits_without_any_trouble(see: See) -> None:
    status = observe(see(unwanted=True), now=NOW)
    assert (status.phase, conditions(status)["Cached"]) == ("Pending", ("False", "NotWanted"))
    assert conditions(status)["Degraded"] == ("False", "AsExpected")
    assert conditions(status)["Progressing"][0] == "False"


def test_a_source_that_does_not_answer_says_how_often_it_was_asked_and_when_it_is_asked_again(see: See) -> None:
    trouble = Trouble("ServerError", "https://h/f.gguf: expected the file, found HTTP 503")
    status = observe(see(resolution=Unresolved(trouble, permanent=False, attempts=3, again=NOW)), now=NOW)
    resolved = next(each for each in status.conditions if each.type == "Resolved")
    assert resolved.message == f"{trouble.message} (asked 3 times, again at about 00:00:00Z)"
    assert status.phase == "Resolving"


def test_a_failure_that_is_tried_again_says_when_and_one_that_is_not_says_that(see: See) -> None:
    said = json.dumps({"event": "error", "reason": "HostUnreachable", "message": "no route", "retryable": True})
    failed = state_of(job("Failed"), ended(75, said))
    told = [observe(see(fetch=failed, again=again), now=NOW).conditions for again in (NOW, None)]
    progressing = [next(each.message for each in found if each.type == "Progressing") for found in told]
    assert progressing == ["It is tried again at about 00:00:00Z", "Nothing is tried again until the spec changes"]


def test_another_quantization_than_named_is_a_remark_and_no_failure(see: See) -> None:
    status = observe(see(spec={"quantization": "Q8_0"}, fetch=state_of(job(), ended(0, DONE))), now=NOW)
    assert (status.phase, conditions(status)["Degraded"]) == ("Ready", ("True", "QuantizationDiffers"))


def test_a_claim_that_is_missing_holds_the_model_as_pending(see: See) -> None:
    status = observe(see(held=Trouble("ClaimNotFound", "spec.cache.claimName: ...")), now=NOW)
    assert (status.phase, conditions(status)["Cached"]) == ("Pending", ("False", "ClaimNotFound"))


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
    assert remembered(status("1:of now"), model_spec(), generation=1) is not None
    assert remembered(status(None), model_spec(), generation=1) is not None


def test_a_layout_too_long_for_the_fetchs_last_words_is_kept_of_the_same_bytes() -> None:
    memory = ModelMemory(weights=1, kv_cache_per_token=1, compute_estimate=1, layout="1:known")
    before = Known(7, etag="e", facts=GGUFFacts(), memory=memory)
    told = {"weights": 2, "kvCachePerToken": 2, "computeEstimate": 2}
    same = Done("0" * 64, 7, "v1/models/a/b/c/d", etag="e", gguf={"architecture": "llama"}, memory=told)
    confirmed_memory = confirmed(before, same).memory
    assert confirmed_memory is not None
    assert (confirmed_memory.weights, confirmed_memory.layout) == (2, "1:known")
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


PROJECTOR = Projector(source="https://h/mmproj.gguf", size_bytes=50, etag="p")
SEEN = DONE.replace(SHA256, "cd" * 32).replace("/tiny.gguf", "/mmproj.gguf")


def with_projector(model: tuple[int, str] | None, projector: tuple[int, str]) -> Pod:
    """A pod whose containers ended so: the projector's first."""

    def of(name: str, ended: tuple[int, str] | None) -> dict[str, Any]:
        state = {"terminated": {"exitCode": ended[0], "message": ended[1]}} if ended else {"waiting": {}}
        return {"name": name, "state": state}

    status = {"containerStatuses": [of("fetch", model)], "initContainerStatuses": [of("fetch-mmproj", projector)]}
    return msgspec.convert({"metadata": {"name": f"{JOB}-x"}, "status": status}, Pod)


def test_a_projector_is_told_with_its_digest_and_path_once_it_is_verified(see: See) -> None:
    known = replace(KNOWN, projector=PROJECTOR)
    fetching = observe(see(resolution=known, fetch=state_of(job())), now=NOW)
    assert fetching.mmproj == PROJECTOR
    done = state_of(job("Complete"), with_projector((0, DONE), (0, SEEN)))
    status = observe(see(resolution=known, fetch=done), now=NOW)
    assert status.mmproj is not None
    assert (status.phase, status.mmproj.sha256, status.mmproj.size_bytes) == ("Ready", "cd" * 32, 1000)
    assert (status.mmproj.path or "").endswith("/mmproj.gguf")
    later = observe(see(status, resolution=known, fetch=state_of(job("Complete"), previous=status)), now=NOW)
    assert later == status


def test_a_projector_whose_fetch_fails_is_the_models_failure(see: See) -> None:
    said = json.dumps({"event": "error", "reason": "NotGGUF", "message": "mmproj: found HTML"})
    status = observe(see(fetch=state_of(job("Failed"), with_projector(None, (65, said)))), now=NOW)
    assert (status.phase, conditions(status)["Available"]) == ("Failed", ("False", "NotGGUF"))


def test_a_model_is_not_ready_while_nobody_knows_what_its_projector_became(see: See) -> None:
    assert state_of(job("Complete"), with_projector((0, DONE), (0, "Killed"))) == Lost()


def test_a_fetch_cannot_say_of_itself_that_it_brought_a_projector() -> None:
    lie = json.dumps(json.loads(DONE) | {"projector": json.loads(SEEN)})
    found = state_of(job("Complete"), ended(0, lie))
    assert isinstance(found, Done)
    assert found.projector is None


def test_what_the_fetched_bytes_say_counts_before_what_was_said_of_them() -> None:
    memory = {"weights": 1, "kvCachePerToken": 2, "computeEstimate": 3}
    words = json.loads(DONE) | {"gguf": {"architecture": "qwen2", "license": "other"}, "memory": memory}
    done = state_of(job("Complete"), ended(0, json.dumps(words)))
    assert isinstance(done, Done)
    known = confirmed(KNOWN, done)
    assert known.facts == GGUFFacts(architecture="qwen2", license="mit")
    assert known.memory is not None
    assert (known.memory.weights, known.etag) == (1, KNOWN.etag)


@pytest.mark.parametrize("changed", [{"etag": "e2"}, {"bytes": 2000}])
def test_the_licence_that_was_stated_is_not_that_of_bytes_that_changed_on_the_way(changed: dict[str, Any]) -> None:
    words = json.loads(DONE) | {"gguf": {"architecture": "llama", "license": "proprietary"}}
    for said, licence in ((words, "mit"), (words | changed, "proprietary")):
        done = state_of(job("Complete"), ended(0, json.dumps(said)))
        assert isinstance(done, Done)
        known = confirmed(KNOWN, done)
        assert known.facts is not None
        assert known.facts.license == licence


@pytest.mark.parametrize("gguf", [{"architecture": 5}, {"blockCount": -1}, {"name": "x" * 2000}])
def test_facts_that_break_the_api_count_as_none(gguf: dict[str, Any]) -> None:
    done = state_of(job("Complete"), ended(0, json.dumps(json.loads(DONE) | {"gguf": gguf})))
    assert isinstance(done, Done)
    assert confirmed(KNOWN, done) == KNOWN
