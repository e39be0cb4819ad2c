"""The status of a Model with a projector, and what fetched bytes say of themselves."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from tests.unit.desired.fetches import DONE, JOB, KNOWN, NOW, SHA256, See, conditions, ended, job, state_of

from llmkube.api.model import GGUFFacts, Projector
from llmkube.desired.fetch_result import Done
from llmkube.desired.fetch_state import Lost
from llmkube.desired.model_status import observe
from llmkube.desired.resolution import confirmed
from llmkube.kube.objects import Pod

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
