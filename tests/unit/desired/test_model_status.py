"""The status of a Model: its phase, its conditions, and what it remembers of a fetch whose pod is gone."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from tests.unit.desired.fetches import DONE, JOB, KNOWN, NOW, PATH, SHA256, See, conditions, ended, job, pod, state_of

from llmkube.api.model import ModelStatus
from llmkube.desired.fetch_result import tick
from llmkube.desired.fetch_state import Lost
from llmkube.desired.model_status import Sight, observe
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.resolution import Known, Unresolved


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
