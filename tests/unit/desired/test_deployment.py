"""The Deployment: an immutable selector, verified bytes mounted read-only, probes by size, and rollouts that fit."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from llmkube.kube.diff import covers

Factory = Callable[..., Any]
CUDA = {"hardware": {"accelerator": "cuda", "gpu": {"count": 1}}}
GPU_TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
EPHEMERAL = {"cache": {"mode": "Ephemeral"}}


def pod_of(deployment: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return pod


def engine(deployment: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = pod_of(deployment)["containers"][0]
    return container


CHANGES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"modelRef": "other"}, {}, {}),
    ({"replicas": 3}, {}, {}),
    ({"image": "mine:1"}, {}, {}),
    ({"mode": "embedding"}, {}, {}),
    ({}, CUDA, {}),
    ({}, {"source": "https://models.example/2.gguf"}, {}),
    ({}, {}, {"sha256": "cd" * 32, "path": "v1/models/team/tiny/cdcdcdcdcdcd/tiny.gguf"}),
]


@pytest.mark.parametrize(("isvc", "model", "status"), CHANGES)
def test_the_selector_never_changes_whatever_else_does(
    isvc: dict[str, Any], model: dict[str, Any], status: dict[str, Any], rendered_deployment: Factory
) -> None:
    plain, changed = rendered_deployment(), rendered_deployment(isvc, model, status=status)
    selected = changed["spec"]["selector"]["matchLabels"]
    assert selected == plain["spec"]["selector"]["matchLabels"]
    assert selected.items() <= changed["spec"]["template"]["metadata"]["labels"].items()
    assert changed["metadata"]["name"] == plain["metadata"]["name"]


@pytest.mark.parametrize(("isvc", "model", "status"), CHANGES)
def test_rendering_twice_gives_the_same_and_a_live_copy_covers_it(
    isvc: dict[str, Any], model: dict[str, Any], status: dict[str, Any], rendered_deployment: Factory
) -> None:
    first, second = (rendered_deployment(isvc, model, status=status) for _ in range(2))
    assert first == second
    assert list(first["spec"]["template"]["spec"]) == list(second["spec"]["template"]["spec"])
    live = copy.deepcopy(first)
    live["spec"]["template"]["spec"] |= {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst"}
    assert covers(live["spec"], second["spec"])


def test_a_name_of_253_characters_gives_valid_names(rendered_deployment: Factory) -> None:
    made = rendered_deployment(name="n" * 253)
    assert len(made["metadata"]["name"]) <= 63
    assert all(len(value) <= 63 for value in made["metadata"]["labels"].values())
    assert made["metadata"]["ownerReferences"][0]["name"] == "n" * 253


def test_the_engine_runs_the_image_of_the_accelerator_by_its_own_entrypoint(rendered_deployment: Factory) -> None:
    container = engine(rendered_deployment())
    assert container["image"] == "ghcr.io/ggml-org/llama.cpp:server-b11669"
    assert engine(rendered_deployment({}, CUDA))["image"] == "ghcr.io/ggml-org/llama.cpp:server-cuda-b11669"
    assert engine(rendered_deployment({"image": "mine:1"}, CUDA))["image"] == "mine:1"
    assert "command" not in container
    assert container["name"] == "llama-server"
    assert container["ports"] == [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]


def test_the_engine_reads_the_verified_file_and_cannot_write(rendered_deployment: Factory) -> None:
    made = rendered_deployment()
    assert "/models/v1/models/team/tiny/abababababab/tiny.gguf" in engine(made)["args"]
    assert engine(made)["volumeMounts"] == [{"name": "models", "mountPath": "/models", "readOnly": True}]
    assert pod_of(made)["volumes"] == [{"name": "models", "persistentVolumeClaim": {"claimName": "tiny-cache"}}]
    annotations = made["spec"]["template"]["metadata"]["annotations"]
    assert annotations["inference.llmkube.dev/model-sha256"] == "ab" * 32


def test_a_file_name_cannot_read_the_environment(rendered_deployment: Factory) -> None:
    args = engine(rendered_deployment(status={"path": "v1/$(HF_TOKEN).gguf"}))["args"]
    assert "/models/v1/$$(HF_TOKEN).gguf" in args


@pytest.mark.parametrize("missing", ["path", "sha256"])
def test_bytes_that_are_not_verified_are_never_served(missing: str, rendered_deployment: Factory) -> None:
    with pytest.raises(ValueError, match="chat: expected a Model with path and sha256"):
        rendered_deployment(status={missing: None})


def test_an_ephemeral_cache_is_filled_by_each_pod_with_the_verified_bytes(rendered_deployment: Factory) -> None:
    made = rendered_deployment({}, EPHEMERAL | {"caBundleRef": {"name": "corp"}})
    pod = pod_of(made)
    (fetcher,) = pod["initContainers"]
    assert fetcher["name"] == "fetch"
    assert fetcher["command"][fetcher["command"].index("--sha256") + 1] == "ab" * 32
    assert pod["volumes"][0] == {"name": "models", "emptyDir": {"sizeLimit": "2Gi"}}
    assert {mount["name"] for mount in fetcher["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert made["spec"]["progressDeadlineSeconds"] > 86400
    assert "initContainers" not in pod_of(rendered_deployment())


def test_api_keys_are_a_file_of_a_secret(rendered_deployment: Factory) -> None:
    made = rendered_deployment({"auth": {"secretRef": {"name": "keys", "key": "team"}}})
    secret = {"secretName": "keys", "items": [{"key": "team", "path": "keys"}], "defaultMode": 0o440}
    assert {"name": "api-keys", "secret": secret} in pod_of(made)["volumes"]
    mount = next(mount for mount in engine(made)["volumeMounts"] if mount["name"] == "api-keys")
    file = engine(made)["args"][engine(made)["args"].index("--api-key-file") + 1]
    assert file == f"{mount['mountPath']}/keys"


@pytest.mark.parametrize(
    ("isvc", "model", "expected"),
    [
        ({}, {}, {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
        ({}, CUDA, {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}),
        ({"strategy": {"type": "Recreate"}}, {}, {"type": "Recreate"}),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": 1}}},
            CUDA,
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        ),
        (
            {"strategy": {"rollingUpdate": {"maxUnavailable": "25%"}}},
            {},
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"}},
        ),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": "0%"}}},
            {},
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "0%", "maxUnavailable": 1}},
        ),
    ],
)
def test_rollouts_surge_only_where_there_are_no_gpus_to_wait_for(
    isvc: dict[str, Any], model: dict[str, Any], expected: dict[str, Any], rendered_deployment: Factory
) -> None:
    assert rendered_deployment(isvc, model)["spec"]["strategy"] == expected


@pytest.mark.parametrize("size", [0, 100 * 2**20, 40 * 2**30, 2**45])
def test_the_start_may_take_as_long_as_the_bytes_need(size: int, rendered_deployment: Factory) -> None:
    made = rendered_deployment(status={"size_bytes": size})
    probe = engine(made)["startupProbe"]
    budget = probe["periodSeconds"] * probe["failureThreshold"]
    assert min(180 + size // 20_000_000, 21600) <= budget <= 21605
    assert made["spec"]["progressDeadlineSeconds"] > budget
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert engine(made)[name]["httpGet"] == {"path": "/health", "port": "http"}


def test_the_numbers_of_a_probe_that_are_said_count_and_the_others_stay(rendered_deployment: Factory) -> None:
    """Another period of the start leaves its time as it is, unless that is said too."""
    said = {"startup": {"periodSeconds": 10}, "readiness": {"failureThreshold": 7}, "liveness": {"timeoutSeconds": 60}}
    plain, made = engine(rendered_deployment()), rendered_deployment({"probes": said})
    startup, readiness, liveness = (engine(made)[f"{each}Probe"] for each in said)
    budget = plain["startupProbe"]["failureThreshold"]
    assert (startup["periodSeconds"], startup["failureThreshold"]) == (10, -(-budget // 10))
    assert readiness == {**plain["readinessProbe"], "failureThreshold": 7}
    assert liveness == {**plain["livenessProbe"], "timeoutSeconds": 60}
    slow = rendered_deployment({"probes": {"startup": {"failureThreshold": 86400, "periodSeconds": 86400}}})
    assert engine(slow)["startupProbe"]["failureThreshold"] == 86400
    assert slow["spec"]["progressDeadlineSeconds"] < 2**31


def test_an_engine_that_reads_a_long_prompt_is_not_killed_and_one_that_hangs_is_not_waited_for(
    rendered_deployment: Factory,
) -> None:
    made = rendered_deployment()
    liveness = engine(made)["livenessProbe"]
    assert liveness["periodSeconds"] * (liveness["failureThreshold"] - 1) >= 100
    for name in ("startupProbe", "livenessProbe"):
        assert engine(made)[name]["terminationGracePeriodSeconds"] < pod_of(made)["terminationGracePeriodSeconds"]


def test_a_pod_ends_its_answers_before_it_stops_and_can_be_stopped_while_it_loads(rendered_deployment: Factory) -> None:
    made = rendered_deployment({"terminationGracePeriodSeconds": 90})
    assert pod_of(made)["shareProcessNamespace"] is True, "the engine would be process 1 and keep no SIGTERM"
    command = engine(made)["lifecycle"]["preStop"]["exec"]["command"]
    assert command[:2] == ["sh", "-c"]
    assert int(command[-1]) < 90
    assert engine(made)["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_pods_spread_over_zones_and_nodes_where_that_can_be_unless_the_person_says_otherwise(
    rendered_deployment: Factory,
) -> None:
    made = rendered_deployment()
    spread = pod_of(made)["topologySpreadConstraints"]
    assert [(each["topologyKey"], each["whenUnsatisfiable"]) for each in spread] == [
        ("topology.kubernetes.io/zone", "ScheduleAnyway"),
        ("kubernetes.io/hostname", "ScheduleAnyway"),
    ]
    assert all(each["labelSelector"] == made["spec"]["selector"] for each in spread)
    several = rendered_deployment({"replicas": 3})
    assert several["spec"]["template"] == made["spec"]["template"], "scaling must replace no pod"
    assert "topologySpreadConstraints" not in pod_of(rendered_deployment({"topologySpreadConstraints": []}))


def test_other_verified_bytes_replace_the_pods_and_the_same_ones_do_not(rendered_deployment: Factory) -> None:
    first, again, other = (rendered_deployment(status={"sha256": each * 32}) for each in ("ab", "ab", "cd"))
    assert first["spec"]["template"] == again["spec"]["template"]
    assert first["spec"]["template"]["metadata"] != other["spec"]["template"]["metadata"]


def test_only_an_engine_with_gpus_is_asked_where_it_put_its_layers(rendered_deployment: Factory) -> None:
    asked = {"name": "LLAMA_ARG_LOG_VERBOSITY", "value": "4"}
    assert asked in engine(rendered_deployment(model=CUDA))["env"]
    assert "env" not in engine(rendered_deployment())


def test_replicas_grace_and_environment_are_as_asked(rendered_deployment: Factory) -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    made = rendered_deployment({"replicas": 0, "terminationGracePeriodSeconds": 90, "env": env})
    assert made["spec"]["replicas"] == 0
    assert pod_of(made)["terminationGracePeriodSeconds"] == 90
    assert engine(made)["env"] == env


@pytest.mark.parametrize("model", [{}, EPHEMERAL, CUDA])
def test_every_container_keeps_to_pod_security_restricted(model: dict[str, Any], rendered_deployment: Factory) -> None:
    pod = pod_of(rendered_deployment({}, model))
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_placement_is_passed_on_in_kubernetes_own_words(rendered_deployment: Factory) -> None:
    term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
    affinity = {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}},
        "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "host"}]},
    }
    said = {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "team", "operator": "Equal", "value": "ml", "tolerationSeconds": 5}],
        "affinity": affinity,
        "priorityClassName": "high",
        "runtimeClassName": "nvidia",
    }
    pod = pod_of(rendered_deployment(said))
    assert {field: pod[field] for field in said} == said


def test_a_gpu_pod_accepts_the_taint_of_gpu_nodes_once(rendered_deployment: Factory) -> None:
    own = {"key": "team", "operator": "Exists"}
    assert pod_of(rendered_deployment({"tolerations": [own]}, CUDA))["tolerations"] == [own, GPU_TOLERATION]
    assert pod_of(rendered_deployment({"tolerations": [GPU_TOLERATION]}, CUDA))["tolerations"] == [GPU_TOLERATION]
    assert "tolerations" not in pod_of(rendered_deployment())


def test_a_spread_constraint_counts_this_services_pods_unless_it_says_which(rendered_deployment: Factory) -> None:
    plain = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    other = {**plain, "topologyKey": "host", "labelSelector": {"matchLabels": {"app": "x"}}}
    made = rendered_deployment({"topologySpreadConstraints": [plain, other]})
    first, second = pod_of(made)["topologySpreadConstraints"]
    assert first == {**plain, "labelSelector": made["spec"]["selector"]}
    assert second == other


SEEING = {
    "mmproj": {
        "source": "https://models.example/mmproj.gguf",
        "sizeBytes": 2**30,
        "etag": '"p1"',
        "sha256": "cd" * 32,
        "path": "v1/models/team/tiny/cdcdcdcdcdcd/mmproj.gguf",
    }
}


def test_the_engine_is_given_the_verified_projector(rendered_deployment: Factory) -> None:
    words = engine(rendered_deployment(status=SEEING))["args"]
    assert words[words.index("--mmproj") + 1] == f"/models/{SEEING['mmproj']['path']}"


def test_each_pod_of_an_ephemeral_cache_fetches_the_projector_before_the_model(rendered_deployment: Factory) -> None:
    source = {"mmprojSource": SEEING["mmproj"]["source"]}
    pod = pod_of(rendered_deployment(model=EPHEMERAL | source, status=SEEING))
    first, second = pod["initContainers"]
    assert (first["name"], second["name"]) == ("fetch-mmproj", "fetch")
    assert first["command"][2] == source["mmprojSource"]
    assert first["command"][first["command"].index("--sha256") + 1] == "cd" * 32
    limits = [volume["emptyDir"]["sizeLimit"] for volume in pod["volumes"] if "emptyDir" in volume]
    assert limits == ["3Gi"]
