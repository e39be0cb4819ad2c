"""Who says how many replicas there are: the InferenceService, unless an autoscaler of the Deployment does.

The test scales as an autoscaler does, by an update of /scale: no metrics are there to scale by. On the real control
plane its own autoscaler keeps its bounds, which needs none.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from tests.component.operator.api import Refused, path
from tests.component.operator.conftest import is_ready

if TYPE_CHECKING:
    from tests.component.operator.api import Api, Object
    from tests.component.operator.conftest import Until
    from tests.component.operator.process import Operator

    Serving = Callable[..., Object]

pytestmark = pytest.mark.usefixtures("steady")
CONFLICT = 409
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"}
INFERENCE_SERVICE = {"apiVersion": "inference.llmkube.dev/v1alpha1", "kind": "InferenceService", "name": "chat"}


def autoscaler(api: Api, here: str, target: Object, *, least: int = 1) -> None:
    """What `kubectl autoscale` makes, and KEDA."""
    head = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "load"}}
    usage = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    bounds = {"minReplicas": least, "maxReplicas": 9, "metrics": [{"type": "Resource", "resource": usage}]}
    api.apply("horizontalpodautoscalers", here, {**head, "spec": {"scaleTargetRef": target, **bounds}})


def autoscale(api: Api, here: str, resource: str, replicas: int) -> None:
    """As the controller manager does it: again, when somebody else has changed the object meanwhile."""
    where = path(resource, here, "chat", "scale")
    while True:
        found = api.get(resource, here, "chat", "scale")
        found["spec"]["replicas"] = replicas
        try:
            api.ask("PUT", f"{where}?fieldManager=kube-controller-manager", found)
        except Refused as error:
            if error.status != CONFLICT:
                raise
        else:
            return


def since(api: Api, here: str, version: str) -> set[int]:
    """How many replicas the Deployment has asked for after that version, at any time."""
    query = f"?watch=true&resourceVersion={version}&timeoutSeconds=1"
    token = {"Authorization": f"Bearer {api.token}"} if api.token else {}
    request = urllib.request.Request(f"{api.server}{path('deployments', here)}{query}", headers=token)
    with urllib.request.urlopen(request, context=api.context, timeout=20) as response:
        return {json.loads(line)["object"]["spec"]["replicas"] for line in response}


def version(api: Api, here: str) -> str:
    found: str = api.get("deployments", here, "chat")["metadata"]["resourceVersion"]
    return found


def counted(api: Api, here: str) -> int:
    replicas: int = api.get("deployments", here, "chat")["spec"]["replicas"]
    return replicas


def told(api: Api, here: str) -> tuple[str, str]:
    """What the status says of who sets the replicas."""
    conditions = api.get("inferenceservices", here, "chat")["status"]["conditions"]
    return next((each["status"], each["reason"]) for each in conditions if each["type"] == "Autoscaled")


@pytest.fixture
def autoscaled(api: Api, here: str, serving: Serving, until: Until) -> str:
    """Two replicas of the spec's, handed over to an autoscaler of the Deployment; the version before that."""
    serving(replicas=2)
    before = version(api, here)
    autoscaler(api, here, DEPLOYMENT)
    until(lambda: told(api, here), lambda found: found == ("True", "HorizontalPodAutoscaler"))
    return before


def test_a_deployment_that_an_autoscaler_takes_over_is_never_scaled_by_that(
    api: Api, here: str, autoscaled: str, until: Until
) -> None:
    api.patch("inferenceservices", here, "chat", {"spec": {"contextSize": 1024, "replicas": 1}})
    until(lambda: api.get("inferenceservices", here, "chat"), is_ready)
    assert since(api, here, autoscaled) == {2}


def test_what_an_autoscaler_set_stays_through_an_edit_of_ours_and_is_written_by_nobody_else(
    api: Api, here: str, autoscaled: str, operator: Operator, until: Until
) -> None:
    operator.settled()
    autoscale(api, here, "deployments", 4)
    found = until(lambda: api.get("inferenceservices", here, "chat"), lambda it: it["status"]["readyReplicas"] == 4)
    assert found["status"]["desiredReplicas"] == 4
    operator.settled()
    assert since(api, here, autoscaled) == {2, 4}
    before = version(api, here)
    api.patch("inferenceservices", here, "chat", {"spec": {"contextSize": 1024}})
    until(lambda: api.get("inferenceservices", here, "chat"), is_ready)
    assert since(api, here, before) == {4}


@pytest.mark.usefixtures("autoscaled")
def test_what_an_autoscaler_took_down_to_nothing_stays_there(
    api: Api, here: str, operator: Operator, until: Until
) -> None:
    autoscale(api, here, "deployments", 0)
    until(lambda: api.get("inferenceservices", here, "chat"), lambda it: it["status"]["phase"] == "Stopped")
    api.patch("inferenceservices", here, "chat", {"spec": {"contextSize": 1024}})
    until(lambda: "1024" in str(api.get("deployments", here, "chat")["spec"]["template"]))
    operator.settled()
    assert counted(api, here) == 0


@pytest.mark.usefixtures("autoscaled")
def test_a_spec_of_no_replicas_stops_also_what_an_autoscaler_scales_and_one_of_more_starts_it(
    api: Api, here: str, operator: Operator, until: Until
) -> None:
    autoscale(api, here, "deployments", 4)
    until(lambda: api.get("inferenceservices", here, "chat"), lambda it: it["status"]["readyReplicas"] == 4)
    api.patch("inferenceservices", here, "chat", {"spec": {"replicas": 0}})
    until(lambda: told(api, here), lambda found: found == ("False", "Stopped"))
    until(lambda: api.get("inferenceservices", here, "chat"), lambda it: it["status"]["phase"] == "Stopped")
    operator.settled()
    assert counted(api, here) == 0
    api.patch("inferenceservices", here, "chat", {"spec": {"replicas": 3}})
    until(lambda: api.get("inferenceservices", here, "chat"), is_ready)
    assert (counted(api, here), told(api, here)[0]) == (3, "True")


@pytest.mark.usefixtures("autoscaled")
def test_without_its_autoscaler_a_deployment_has_again_what_the_spec_says(api: Api, here: str, until: Until) -> None:
    autoscale(api, here, "deployments", 4)
    until(lambda: api.get("inferenceservices", here, "chat"), lambda it: it["status"]["readyReplicas"] == 4)
    autoscaler(api, here, {**DEPLOYMENT, "name": "another"})
    until(lambda: counted(api, here), lambda found: found == 2)
    autoscaler(api, here, DEPLOYMENT)
    until(lambda: told(api, here)[0], lambda found: found == "True")
    autoscale(api, here, "deployments", 4)
    until(lambda: api.get("inferenceservices", here, "chat"), lambda it: it["status"]["readyReplicas"] == 4)
    api.delete("horizontalpodautoscalers", here, "load")
    until(lambda: counted(api, here), lambda found: found == 2)
    until(lambda: told(api, here), lambda found: found == ("False", "SpecReplicas"))


def test_what_an_autoscaler_set_stays_while_the_model_is_gone(
    api: Api, here: str, autoscaled: str, until: Until
) -> None:
    autoscale(api, here, "deployments", 4)
    api.delete("models", here, "chat")
    until(
        lambda: api.get("inferenceservices", here, "chat"),
        lambda it: not it["status"]["modelReady"] and it["status"].get("readyReplicas") == 4,
    )
    assert since(api, here, autoscaled) == {2, 4}


def test_an_autoscaler_of_the_service_itself_sets_its_spec(
    api: Api, here: str, serving: Serving, operator: Operator, until: Until
) -> None:
    serving()
    autoscaler(api, here, INFERENCE_SERVICE)
    autoscale(api, here, "inferenceservices", 3)
    until(lambda: counted(api, here), lambda found: found == 3)
    until(lambda: api.get("inferenceservices", here, "chat"), is_ready)
    operator.settled()
    assert api.get("inferenceservices", here, "chat")["spec"]["replicas"] == counted(api, here) == 3
    assert told(api, here) == ("False", "SpecReplicas")


@pytest.mark.real_control_plane
@pytest.mark.parametrize("target", [DEPLOYMENT, INFERENCE_SERVICE], ids=lambda each: each["kind"])
def test_the_controller_managers_own_autoscaler_scales_either(
    api: Api, here: str, serving: Serving, operator: Operator, target: Object, until: Until
) -> None:
    serving()
    before = version(api, here)
    autoscaler(api, here, target, least=3)
    until(
        lambda: api.get("inferenceservices", here, "chat"),
        lambda it: it["status"].get("readyReplicas") == 3,
        seconds=60,
    )
    sent = operator.settled()
    until(lambda: api.get("horizontalpodautoscalers", here, "load"), lambda it: it["status"]["currentReplicas"] == 3)
    assert (operator.settled(), counted(api, here)) == (sent, 3)
    assert since(api, here, before) <= {1, 3}
