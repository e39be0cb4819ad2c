"""What the API server fills in built-in objects, as far as the operator writes or reads them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.client import Client
from tests.conformance.objects import Object, Places, container, deployment, pod

SHARED_POD = {
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "terminationGracePeriodSeconds": 30,
    "schedulerName": "default-scheduler",
    "securityContext": {},
}
PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}


def template(spec: Object) -> Object:
    return {"metadata": {"labels": {"app": "one"}}, "spec": spec}


async def pod_template(api: Client, here: Places, name: str = "one", **spec: Any) -> Object:
    """The pod template of a Deployment, as it comes back."""
    asked = template({"containers": [container()], **spec})
    manifest = deployment("one", template=asked)
    answer = await api.post(here.deployments, {**manifest, "metadata": {"name": name}})
    assert answer.status == 201, answer.body
    return answer.body["spec"]["template"]["spec"]


async def the_container(api: Client, here: Places, **more: Any) -> Object:
    return (await pod_template(api, here, containers=[container(**more)]))["containers"][0]


async def test_a_deployment_says_how_it_rolls(api: Client, here: Places) -> None:
    asked = deployment("one")
    del asked["spec"]["replicas"]
    made = (await api.post(here.deployments, asked)).body
    assert {name: value for name, value in made["spec"].items() if name != "template"} == {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        "selector": {"matchLabels": {"app": "one"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
    }
    assert (made["status"], made["metadata"]["generation"]) == ({}, 1)


@pytest.mark.parametrize(
    ("strategy", "filled"),
    [
        ({"type": "Recreate"}, {"type": "Recreate"}),
        (
            {"rollingUpdate": {"maxSurge": 1}},
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"}},
        ),
    ],
)
async def test_a_strategy_is_filled_in_where_it_says_nothing(
    api: Client, here: Places, strategy: Object, filled: Object
) -> None:
    made = await api.post(here.deployments, deployment("one", strategy=strategy))
    assert made.body["spec"]["strategy"] == filled


async def test_what_is_empty_is_left_out_but_for_a_struct(api: Client, here: Places) -> None:
    """Go's omitempty: an empty list or map, and what is null; a struct that says nothing stays."""
    empty = {"volumes": [], "tolerations": None, "nodeSelector": {}, "imagePullSecrets": []}
    bare = container(env=[], args=[], command=None, securityContext={}, resources={"limits": {}})
    found = await pod_template(api, here, **empty, containers=[bare], affinity={})
    filled = await pod_template(api, here, name="two", containers=[container(securityContext={})], affinity={})
    assert found == filled


async def test_a_pod_template_says_how_its_pods_live(api: Client, here: Places) -> None:
    found = await pod_template(api, here, serviceAccountName="x")
    assert found == {
        **SHARED_POD,
        "serviceAccountName": "x",
        "serviceAccount": "x",
        "containers": [
            container(
                imagePullPolicy="IfNotPresent",
                resources={},
                terminationMessagePath="/dev/termination-log",
                terminationMessagePolicy="File",
            )
        ],
    }


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("a/b", "Always"),
        ("a/b:latest", "Always"),
        ("reg:5000/a", "Always"),
        ("a/b:1", "IfNotPresent"),
        ("a/b@sha256:" + "0" * 64, "IfNotPresent"),
    ],
)
async def test_only_an_image_that_may_change_is_always_pulled(
    api: Client, here: Places, image: str, policy: str
) -> None:
    assert (await the_container(api, here, image=image))["imagePullPolicy"] == policy


async def test_probes_and_ports_are_filled_in(api: Client, here: Places) -> None:
    found = await the_container(
        api,
        here,
        ports=[{"containerPort": 80}],
        livenessProbe={"httpGet": {"port": "http", "path": "health"}, "initialDelaySeconds": 3},
        readinessProbe={"tcpSocket": {"port": 80}, "periodSeconds": 2},
        startupProbe={"grpc": {"port": 81}},
        lifecycle={"preStop": {"httpGet": {"port": 80}}},
    )
    http = {"httpGet": {"port": "http", "path": "health", "scheme": "HTTP"}}
    assert found["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert found["livenessProbe"] == {**PROBE, **http, "initialDelaySeconds": 3}
    assert found["readinessProbe"] == {**PROBE, "tcpSocket": {"port": 80}, "periodSeconds": 2}
    assert found["startupProbe"] == {**PROBE, "grpc": {"port": 81, "service": ""}}
    assert found["lifecycle"] == {"preStop": {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}}}


async def test_references_to_fields_say_their_version_and_divisor(api: Client, here: Places) -> None:
    found = await the_container(
        api,
        here,
        env=[
            {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        ],
    )
    assert [one["valueFrom"] for one in found["env"]] == [
        {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
        {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "0"}},
    ]


@pytest.mark.parametrize(
    ("volume", "filled"),
    [
        ({"configMap": {"name": "x"}}, {"configMap": {"name": "x", "defaultMode": 420}}),
        ({"secret": {"secretName": "x"}}, {"secret": {"secretName": "x", "defaultMode": 420}}),
        ({"hostPath": {"path": "/x"}}, {"hostPath": {"path": "/x", "type": ""}}),
        ({"emptyDir": {"sizeLimit": "1024Mi"}}, {"emptyDir": {"sizeLimit": "1Gi"}}),
        ({}, {"emptyDir": {}}),
        (
            {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
            {
                "projected": {
                    "defaultMode": 420,
                    "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}],
                }
            },
        ),
    ],
)
async def test_volumes_are_filled_in(api: Client, here: Places, volume: Object, filled: Object) -> None:
    found = await pod_template(api, here, volumes=[{"name": "v", **volume}])
    assert found["volumes"] == [{"name": "v", **filled}]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (1, "1"),
        ("1.0", "1"),
        ("0.5", "500m"),
        ("1000m", "1"),
        ("1500", "1500"),
        ("2000", "2k"),
        ("1024Mi", "1Gi"),
        ("0.5Gi", "512Mi"),
        ("1000Mi", "1000Mi"),
        ("1e3", "1e3"),
        ("0.5Ki", "512"),
        ("0", "0"),
    ],
)
async def test_a_quantity_is_kept_in_its_one_form(api: Client, here: Places, given: Any, kept: str) -> None:
    found = await the_container(api, here, resources={"limits": {"memory": given}})
    assert found["resources"] == {"limits": {"memory": kept}}


@pytest.mark.parametrize(
    ("resources", "filled", "quality"),
    [
        ({}, {}, "BestEffort"),
        ({"requests": {"cpu": 1}}, {"requests": {"cpu": "1"}}, "Burstable"),
        (
            {"limits": {"cpu": 1, "memory": "1Gi"}},
            {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}},
            "Guaranteed",
        ),
    ],
)
async def test_a_pod_requests_what_it_is_limited_to_and_has_a_class_by_that(
    api: Client, here: Places, pods_may_run: None, resources: Object, filled: Object, quality: str
) -> None:
    asked = pod("one", schedulerName="nobody", containers=[container(resources=resources)])
    made = (await api.post(here.pods, asked)).body
    assert made["spec"]["containers"][0]["resources"] == filled
    assert made["spec"]["enableServiceLinks"] is True
    assert made["status"] == {"phase": "Pending", "qosClass": quality}


async def test_a_service_is_filled_in_and_gets_an_address(api: Client, here: Places, controllers: None) -> None:
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "one"}}
    ports = [{"port": 80, "name": "a"}, {"port": 81, "targetPort": "x", "name": "b"}]
    made = (await api.post(here.services, {**body, "spec": {"selector": {"a": "b"}, "ports": ports}})).body
    assert made["spec"]["type"] == "ClusterIP"
    assert made["spec"]["sessionAffinity"] == "None"
    assert made["spec"]["internalTrafficPolicy"] == "Cluster"
    assert made["status"] == {"loadBalancer": {}}
    assert [(one["targetPort"], one["protocol"]) for one in made["spec"]["ports"]] == [(80, "TCP"), ("x", "TCP")]
    # The embedded server's controller gives the address, a moment later.
    found = await api.until(f"{here.services}/one", lambda found: found.body["spec"].get("clusterIP"))
    assert found.body["spec"]["clusterIPs"] == [found.body["spec"]["clusterIP"]]
    assert found.body["spec"]["ipFamilies"] == ["IPv4"]


async def test_a_headless_service_has_no_address(api: Client, here: Places) -> None:
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "one"}}
    made = (await api.post(here.services, {**body, "spec": {"clusterIP": "None", "selector": {"a": "b"}}})).body
    assert made["spec"] == {
        "type": "ClusterIP",
        "clusterIP": "None",
        "clusterIPs": ["None"],
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
        "sessionAffinity": "None",
        "selector": {"a": "b"},
    }


async def test_a_job_counts_and_finds_its_pods_by_its_uid(api: Client, here: Places) -> None:
    jobs = f"/apis/batch/v1/namespaces/{here.namespace}/jobs"
    asked = {"containers": [container()], "restartPolicy": "Never"}
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "one"}, "spec": {"template": {"spec": asked}}}
    made = (await api.post(jobs, body)).body
    uid = made["metadata"]["uid"]
    told = {"job-name": "one", "controller-uid": uid}
    labels = {**told, **{f"batch.kubernetes.io/{name}": value for name, value in told.items()}}
    assert {name: value for name, value in made["spec"].items() if name != "template"} == {
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "completions": 1,
        "manualSelector": False,
        "parallelism": 1,
        "podReplacementPolicy": "TerminatingOrFailed",
        "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}},
        "suspend": False,
    }
    assert made["spec"]["template"]["metadata"] == {"labels": labels}
    assert (made["metadata"]["labels"], made["status"]) == (labels, {})


async def test_a_claim_says_its_mode_and_waits(api: Client, here: Places) -> None:
    claims = f"/api/v1/namespaces/{here.namespace}/persistentvolumeclaims"
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}}
    body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "one"}, "spec": spec}
    made = (await api.post(claims, body)).body
    assert made["spec"] == {**spec, "resources": {"requests": {"storage": "1Gi"}}, "volumeMode": "Filesystem"}
    assert made["status"] == {"phase": "Pending"}


async def test_a_secret_is_opaque_and_its_text_is_encoded(api: Client, here: Places) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "one"}, "stringData": {"a": "b"}}
    made = (await api.post(here.secrets, body)).body
    assert (made["type"], made["data"]) == ("Opaque", {"a": "Yg=="})
    assert "stringData" not in made


async def test_an_autoscaler_has_one_replica_at_least_and_looks_at_the_cpu(api: Client, here: Places) -> None:
    scalers = f"/apis/autoscaling/v2/namespaces/{here.namespace}/horizontalpodautoscalers"
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "one"}
    kind = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "one"}}
    made = (await api.post(scalers, {**kind, "spec": {"maxReplicas": 3, "scaleTargetRef": target}})).body
    usage = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    assert made["spec"]["minReplicas"] == 1
    assert made["spec"]["metrics"] == [{"type": "Resource", "resource": usage}]
