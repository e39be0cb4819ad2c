"""The status of an InferenceService: what it waits for, which pod is in trouble and why, and when it is ready."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from tests.unit.desired.sights import NOW, UNSCHEDULABLE, WAITING, condition, deployment, pod, seen, sight

from llmkube.api.inference_status import InferenceServiceStatus, Offload, Plan
from llmkube.api.model import ModelStatus
from llmkube.desired.engine.plan import EnginePlan, engine_plan
from llmkube.desired.inference_plan import model_trouble, published, refused, remark, taken
from llmkube.desired.inference_status import observe
from llmkube.desired.inputs import Inputs, Served
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.replicas import Scale
from llmkube.kube.objects import CustomResource, ObjectMeta, OwnerReference

Factory = Callable[..., Any]


def test_a_service_whose_pods_are_all_ready_is_ready() -> None:
    status = seen(deployment=deployment(ready=1), pods=(pod({"running": {}}),), endpoint="http://chat")
    assert (status.phase, status.ready_replicas, status.model_ready, status.endpoint) == (
        "Ready",
        1,
        True,
        "http://chat",
    )
    assert condition(status, "Available")[0] == "True"
    assert condition(status, "Degraded")[0] == "False"


def test_a_roll_out_that_has_no_room_beside_the_old_pods_says_how_to_go_on_while_they_serve() -> None:
    status = seen(deployment=deployment(ready=1, wanted=2), pods=(UNSCHEDULABLE, pod({"running": {}})), gpus=1)
    assert status.phase == "Progressing"
    assert condition(status, "Available")[0] == "True"
    assert condition(status, "Scheduled")[0] == "False"
    hint = "0/3 nodes; the old pods serve; spec.strategy with maxSurge 0 replaces them in place"
    assert condition(status, "Scheduled")[2].endswith(hint)


def test_pods_that_are_ready_and_that_no_request_reaches_are_not_counted_and_the_service_is_not_available() -> None:
    status = seen(deployment=deployment(ready=2, wanted=2), scale=Scale(2), answering=0)
    assert (status.phase, status.ready_replicas) == ("Progressing", 0)
    found = condition(status, "Available")
    assert found[:2] == ("False", "NoEndpoints")
    assert "kubectl get endpointslices" in found[2]
    one = seen(deployment=deployment(ready=2, wanted=2), scale=Scale(2), answering=1)
    assert (one.phase, one.ready_replicas, condition(one, "Available")[0]) == ("Progressing", 1, "True")


def test_endpoints_of_pods_that_are_not_ready_any_more_count_no_more_than_the_deployment_says() -> None:
    status = seen(deployment=deployment(ready=0), answering=1)
    assert (status.ready_replicas, condition(status, "Available")[0]) == (0, "False")


PLAN = Plan(context_size=512, gpu_layers=31, total_layers=31)


@pytest.mark.parametrize(("observed", "reason"), [(31, "AsExpected"), (12, "OffloadMissing"), (0, "SilentCPU")])
def test_layers_that_were_planned_on_gpus_and_are_not_there_degrade_what_serves(observed: int, reason: str) -> None:
    status = seen(deployment=deployment(ready=1), plan=PLAN, offloaded=observed)
    assert status.offload == Offload(planned=31, observed=observed)
    assert (status.phase, condition(status, "Available")[0]) == ("Ready", "True")
    assert condition(status, "Degraded")[1] == reason


def test_what_was_observed_stays_while_nothing_else_is_and_the_plan_is_the_same() -> None:
    first = seen(deployment=deployment(ready=1), plan=PLAN, offloaded=0)
    assert condition(seen(first, deployment=deployment(ready=1), plan=PLAN), "Degraded")[1] == "SilentCPU"
    less = PLAN.model_copy(update={"gpu_layers": 8})
    assert seen(first, deployment=deployment(ready=1), plan=less).offload == Offload(planned=8)


def test_a_service_is_not_ready_while_the_deployment_controller_has_not_seen_the_change() -> None:
    assert seen(deployment=deployment(ready=1, observed=0)).phase == "Creating"


def test_a_status_that_says_the_same_later_is_the_same_to_its_times() -> None:
    first = seen(deployment=deployment(ready=1))
    read = InferenceServiceStatus.model_validate(first.manifest())
    again = observe(sight(read, deployment=deployment(ready=1)), now=NOW + timedelta(hours=1))
    assert again.manifest() == first.manifest()


def test_a_transition_is_dated_when_the_status_of_the_condition_flips() -> None:
    first = seen(deployment=deployment(ready=1))
    later = NOW + timedelta(hours=1)
    second = observe(sight(first, deployment=deployment(ready=0)), now=later)
    moved = {each.type for each in second.conditions if each.last_transition_time == later}
    assert moved == {"Available", "Progressing"}
    assert second.last_updated == later


def test_a_service_without_a_model_waits_for_it_and_says_what_to_do(resource: Factory) -> None:
    missing = model_trouble("tiny", None, ModelStatus())
    status = seen(waiting=missing, model_failed=True)
    assert (status.phase, status.model_ready) == ("WaitingForModel", False)
    assert condition(status, "ModelReady")[1] == "ModelNotFound"
    assert "apply one" in condition(status, "Degraded")[2]


def test_waiting_for_a_download_is_no_trouble() -> None:
    status = seen(waiting=WAITING)
    assert status.phase == "WaitingForModel"
    assert condition(status, "Degraded")[0] == "False"


def test_a_service_that_serves_an_old_model_while_a_new_one_is_fetched_stays_available() -> None:
    status = seen(waiting=WAITING, deployment=deployment(ready=1))
    assert (status.phase, condition(status, "Available")[0]) == ("Progressing", "True")
    assert condition(status, "ModelReady")[0] == "False"


def test_a_service_of_no_replicas_is_stopped_once_its_pods_are_gone() -> None:
    assert seen(scale=Scale(0), deployment=deployment(wanted=1)).phase == "Progressing"
    assert seen(scale=Scale(0), deployment=deployment(wanted=0)).phase == "Stopped"
    assert seen(scale=Scale(0), waiting=WAITING).phase == "Stopped"


@pytest.mark.parametrize(
    ("scale", "said"),
    [
        (Scale(2), ("False", "SpecReplicas", "spec.replicas says how many replicas there are")),
        (
            Scale(0, "load"),
            ("False", "Stopped", "spec.replicas is 0, which HorizontalPodAutoscaler load does not change"),
        ),
    ],
)
def test_a_condition_says_that_the_spec_sets_the_replicas(scale: Scale, said: tuple[str, str, str]) -> None:
    assert condition(seen(scale=scale, deployment=deployment()), "Autoscaled") == said


def test_a_condition_names_the_autoscaler_that_sets_the_replicas() -> None:
    status, reason, message = condition(seen(scale=Scale(2, "load", is_handed_over=True)), "Autoscaled")
    assert (status, reason) == ("True", "HorizontalPodAutoscaler")
    assert message.startswith("HorizontalPodAutoscaler load says")


def test_a_service_that_its_autoscaler_took_down_to_nothing_is_stopped_and_says_by_whom() -> None:
    found = seen(scale=Scale(0, "load", is_handed_over=True), deployment=deployment(wanted=0))
    assert (found.phase, found.desired_replicas) == ("Stopped", 0)
    assert condition(found, "Available")[2] == "The autoscaler asks for 0 replicas"


def test_a_refused_spec_fails_and_what_serves_is_still_told() -> None:
    status = seen(refused=Trouble("InvalidSpec", "spec.replicas: no"), deployment=deployment(ready=1))
    assert (status.phase, status.ready_replicas) == ("Failed", 1)
    assert condition(status, "Available")[0] == "True"
    assert condition(status, "Degraded")[1] == "InvalidSpec"


def test_a_model_that_is_ready_for_an_older_spec_is_not_served(resource: Factory, model_status: Factory) -> None:
    model = msgspec.structs.replace(resource(), metadata=ObjectMeta(name="tiny", generation=2))
    found = model_trouble("tiny", model, model_status(observed_generation=1))
    assert found is not None
    assert found.reason == "ModelNotReady"
    assert model_trouble("tiny", model, model_status(observed_generation=2)) is None


def test_a_name_that_is_somebody_elses_is_left_alone(resource: Factory) -> None:
    isvc: CustomResource = resource("InferenceService", "chat", uid="mine")
    assert taken("Deployment", deployment(), isvc) is not None
    owner = OwnerReference(api_version="v1", kind="InferenceService", name="chat", uid="mine", controller=True)
    own = msgspec.structs.replace(deployment(), metadata=ObjectMeta(name="chat", owner_references=(owner,)))
    assert taken("Deployment", own, isvc) is None


def test_a_context_longer_than_the_model_was_trained_for_is_told_as_clamped(
    isvc_spec: Factory, model_spec: Factory, model_status: Factory, resource: Factory
) -> None:
    spec = isvc_spec(contextSize=100000)
    served = Served(resource(), model_spec(), model_status())
    engine = engine_plan(spec, Inputs(served))
    assert isinstance(engine, EnginePlan)
    found, told = remark(spec, served, engine), published(spec, served.spec, engine)
    assert found is not None
    assert told is not None
    assert (found.reason, told.context_size, told.gpu_layers) == ("ContextClamped", 4096, 0)


def test_an_argument_that_the_operator_sets_itself_is_refused(isvc_spec: Factory) -> None:
    found = refused(isvc_spec(extraArgs=["--ctx-size", "1"]))
    assert found is not None
    assert "contextSize" in found.message
    assert refused(isvc_spec()) is None
