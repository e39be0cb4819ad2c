"""The status of an InferenceService whose pods do not start, end, or take too long."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.desired.sights import UNSCHEDULABLE, condition, deployment, pod, seen

from llmkube.kube.objects import DeploymentStatus, Pod


@pytest.mark.parametrize(("gpus", "phase"), [(1, "WaitingForGPU"), (0, "Pending")])
def test_a_pod_that_fits_no_node_is_named_with_the_schedulers_words(gpus: int, phase: str) -> None:
    status = seen(deployment=deployment(), pods=(UNSCHEDULABLE,), gpus=gpus)
    assert status.phase == phase
    assert condition(status, "Scheduled") == ("False", "Unschedulable", "Pod chat-x: 0/3 nodes")


def test_an_engine_that_crashes_is_named_with_its_exit_code_and_last_words() -> None:
    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": "loading\nout of memory"}}
    crashing = pod({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}, lastState=ended)
    status = seen(deployment=deployment(), pods=(crashing,))
    found = condition(status, "Degraded")
    assert (status.phase, found[1]) == ("Progressing", "OutOfMemory")
    assert found[2].startswith("Pod chat-x, container llama-server: exit code 137: the kernel killed it")
    assert "lower spec.contextSize" in found[2]


def test_an_engine_that_ends_for_an_unknown_reason_is_told_with_its_last_line() -> None:
    ended = {"terminated": {"exitCode": 7, "reason": "Error", "message": "one\ntwo"}}
    crashing = pod({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}, lastState=ended)
    found = condition(seen(deployment=deployment(), pods=(crashing,)), "Degraded")
    assert found[1:] == ("CrashLoopBackOff", "Pod chat-x, container llama-server: exit code 7: two; it is restarted")


UNKNOWN = "0.1 E llama_model_load: error loading model: unknown model architecture: 'llamx'"


def crashed(restarts: int) -> Pod:
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "message": UNKNOWN}}
    return pod({"waiting": {"reason": "CrashLoopBackOff"}}, lastState=ended, restartCount=restarts)


def test_a_new_spec_that_only_a_person_can_mend_fails_and_says_so_while_the_old_pods_serve() -> None:
    rolling = msgspec.structs.replace(
        deployment(ready=1),
        status=DeploymentStatus(observed_generation=1, replicas=2, updated_replicas=1, ready_replicas=1),
    )
    first = seen(deployment=rolling, pods=(crashed(1), pod({"running": {}})))
    assert first.phase == "Progressing"
    status = seen(deployment=rolling, pods=(crashed(2), pod({"running": {}})))
    assert (status.phase, condition(status, "Available")[0]) == ("Failed", "True")
    assert condition(status, "Progressing")[:2] == ("False", "ArchitectureUnknown")
    degraded = condition(status, "Degraded")
    assert degraded[:2] == ("True", "ArchitectureUnknown")
    assert degraded[2].endswith("the old pods serve until the spec is corrected, or the one before is applied again")


def test_what_failed_before_the_spec_was_corrected_is_no_verdict_on_the_new_one() -> None:
    assert seen(deployment=deployment(observed=0), pods=(crashed(9),)).phase == "Progressing"


def test_a_roll_out_that_took_too_long_says_so_with_what_its_pods_met() -> None:
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}
    status = seen(deployment=deployment(conditions=[late]), pods=(crashed(1),))
    progressing = condition(status, "Progressing")
    assert progressing[:2] == ("False", "ProgressDeadlineExceeded")
    assert "unknown model architecture: 'llamx'; take a newer spec.image" in progressing[2]
    assert condition(status, "Degraded")[1] == "ArchitectureUnknown"


@pytest.mark.parametrize("state", [{"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}, {"running": {}}])
def test_an_engine_that_crashes_again_and_again_is_told_once(state: dict[str, Any]) -> None:
    def crashed(times: int) -> Pod:
        if waiting := state.get("waiting"):
            waiting = {**waiting, "message": f"back-off {10 * times}s restarting failed container"}
        ended = {"terminated": {"exitCode": 1, "reason": "Error", "message": "no such file"}}
        return pod({**state, **({"waiting": waiting} if waiting else {})}, lastState=ended, restartCount=times)

    first, later = (seen(deployment=deployment(), pods=(crashed(times),)) for times in (1, 5))
    assert first.manifest() == later.manifest()


def test_an_image_that_cannot_be_pulled_says_so_in_the_kubelets_words() -> None:
    waiting = pod({"waiting": {"reason": "ErrImagePull", "message": "not found: engine:1"}})
    status = seen(deployment=deployment(), pods=(waiting,))
    assert condition(status, "Available")[1:] == (
        "ErrImagePull",
        "Pod chat-x, container llama-server: not found: engine:1",
    )


def test_an_image_that_cannot_be_pulled_is_told_once_whether_it_is_pulled_or_waited_for() -> None:
    why = "rpc error: code = NotFound desc = no such image"
    pulled = {"reason": "ErrImagePull", "message": why}
    waited = {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "x:1": ErrImagePull: {why}'}
    first, later = (seen(deployment=deployment(), pods=(pod({"waiting": each}),)) for each in (pulled, waited))
    assert first.manifest() == later.manifest()


def test_a_roll_out_that_takes_too_long_has_failed() -> None:
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}
    status = seen(deployment=deployment(conditions=[late]))
    assert (status.phase, condition(status, "Degraded")[1]) == ("Failed", "ProgressDeadlineExceeded")


def test_pods_that_a_quota_refuses_are_told() -> None:
    denied = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}
    status = seen(deployment=deployment(conditions=[denied]))
    assert condition(status, "Degraded") == ("True", "FailedCreate", "Deployment chat: exceeded quota")
