"""The Job: named by what it fetches, restricted, without secrets in its command, and over at a permanent error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmkube.desired.fetch_job import literal
from llmkube.desired.settings import OperatorSettings
from llmkube.local.node.environment import expand

Factory = Callable[..., Any]


def pod_of(job: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = job["spec"]["template"]["spec"]
    return pod


def command(job: dict[str, Any]) -> list[str]:
    words: list[str] = pod_of(job)["containers"][0]["command"]
    return words


def values(words: list[str], flag: str) -> list[str]:
    return [words[index + 1] for index, word in enumerate(words) if word == flag]


def test_the_command_says_all_that_is_known(rendered_job: Factory) -> None:
    assert command(rendered_job()) == [
        *("llmkube", "fetch", "https://models.example/tiny.gguf", "--cache", "/models"),
        *("--namespace", "team", "--name", "tiny", "--facts"),
        *("--result", "/dev/termination-log", "--progress", "json"),
        *("--sha256", "ab" * 32, "--size", str(2**30), "--etag", '"e1"'),
    ]


def test_the_fetchers_image_is_pulled_with_the_operators_secrets(
    rendered_job: Factory, settings: OperatorSettings
) -> None:
    theirs = settings.model_copy(update={"image_pull_secrets": ("site",)})
    assert rendered_job(settings=theirs)["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "site"}]
    assert "imagePullSecrets" not in rendered_job()["spec"]["template"]["spec"]


def test_what_is_not_known_is_not_said(rendered_job: Factory) -> None:
    assert not {"--sha256", "--size", "--etag"} & set(command(rendered_job(sha256=None, etag=None, size=None)))


def test_a_permanent_error_ends_the_job_and_others_are_tried_again(rendered_job: Factory) -> None:
    spec = rendered_job()["spec"]
    assert spec["backoffLimit"] == 6
    assert spec["activeDeadlineSeconds"] == 86400
    assert "ttlSecondsAfterFinished" not in spec
    rule = spec["podFailurePolicy"]["rules"][0]
    assert rule == {
        "action": "FailJob",
        "onExitCodes": {"containerName": "fetch", "operator": "In", "values": [65]},
    }
    assert pod_of(rendered_job())["restartPolicy"] == "Never"


def test_credentials_come_from_the_environment_alone(rendered_job: Factory) -> None:
    job = rendered_job({"sourceSecretRef": {"name": "hf"}})
    (container,) = pod_of(job)["containers"]
    reference = {"name": "hf", "key": "LLMKUBE_SOURCE_TOKEN", "optional": True}
    assert {"name": "LLMKUBE_SOURCE_TOKEN", "valueFrom": {"secretKeyRef": reference}} in container["env"]
    assert "hf" not in command(job)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("hf://org/repo/m.gguf", {"HF_TOKEN": "HF_TOKEN"}),
        ("s3://bucket/m.gguf", {"AWS_ACCESS_KEY_ID": "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL": "AWS_ENDPOINT_URL"}),
        ("oci://reg/m:1", {"LLMKUBE_DOCKER_CONFIG_JSON": ".dockerconfigjson"}),
    ],
)
def test_each_kind_of_source_gets_the_keys_of_the_secret_that_are_for_it(
    rendered_job: Factory, source: str, expected: dict[str, str]
) -> None:
    (container,) = pod_of(rendered_job({"source": source, "sourceSecretRef": {"name": "s"}}))["containers"]
    given = {one["name"]: one["valueFrom"]["secretKeyRef"]["key"] for one in container["env"]}
    assert expected.items() <= given.items()


def test_a_secret_cannot_name_a_proxy_or_anything_else_that_the_fetcher_obeys(rendered_job: Factory) -> None:
    (container,) = pod_of(rendered_job({"sourceSecretRef": {"name": "s"}}))["containers"]
    assert "envFrom" not in container
    assert not [one for one in container["env"] if "PROXY" in one["name"].upper() or one["name"].startswith("PYTHON")]


def test_further_certificates_are_a_file(rendered_job: Factory) -> None:
    pod = pod_of(rendered_job({"caBundleRef": {"name": "corp", "key": "root.pem"}}))
    container = pod["containers"][0]
    assert container["env"] == [{"name": "LLMKUBE_CA_BUNDLE", "value": "/etc/llmkube/ca/ca.crt"}]
    assert {"name": "ca-bundle", "mountPath": "/etc/llmkube/ca", "readOnly": True} in container["volumeMounts"]
    items = [{"key": "root.pem", "path": "ca.crt"}]
    assert {"name": "ca-bundle", "configMap": {"name": "corp", "items": items}} in pod["volumes"]


def test_a_mirror_of_hugging_face_is_told_to_the_fetcher(rendered_job: Factory) -> None:
    settings = OperatorSettings(hugging_face="https://mirror.example")
    (container,) = pod_of(rendered_job(settings=settings))["containers"]
    assert container["env"] == [{"name": "HF_ENDPOINT", "value": "https://mirror.example"}]
    assert "env" not in pod_of(rendered_job())["containers"][0]


def test_a_claim_as_source_is_mounted_read_only_and_the_only_root(rendered_job: Factory) -> None:
    settings = OperatorSettings(source_roots=("/srv",))
    job = rendered_job({"source": "pvc://weights/sub/tiny.gguf"}, settings=settings)
    pod = pod_of(job)
    assert command(job)[2] == "file:///source/sub/tiny.gguf"
    assert values(command(job), "--allow-root") == ["/source"]
    assert {"name": "source", "persistentVolumeClaim": {"claimName": "weights"}} in pod["volumes"]
    assert {"name": "source", "mountPath": "/source", "readOnly": True} in pod["containers"][0]["volumeMounts"]


def test_what_the_administrator_allows_is_handed_on(rendered_job: Factory) -> None:
    settings = OperatorSettings(source_allow=("mirror", "10.0.0.0/8"), source_roots=("/srv", "/mnt"))
    words = command(rendered_job(settings=settings))
    assert values(words, "--allow") == ["mirror", "10.0.0.0/8"]
    assert values(words, "--allow-root") == ["/srv", "/mnt"]


@pytest.mark.parametrize("text", ["$(HF_TOKEN)", "$$(HF_TOKEN)", "a$b", "$", "$$", "$$$(HF_TOKEN)"])
def test_a_source_or_etag_cannot_read_the_environment(text: str, rendered_job: Factory) -> None:
    assert expand(literal(text), {"HF_TOKEN": "secret"}) == text
    job = rendered_job({"source": f"https://evil.example/{text}"}, etag=text)
    read = [expand(word, {"HF_TOKEN": "secret"}) for word in command(job)]
    assert read[2] == f"https://evil.example/{text}"
    assert values(read, "--etag") == [text]


def test_the_pod_keeps_to_pod_security_restricted(rendered_job: Factory) -> None:
    pod = pod_of(rendered_job())
    assert pod["automountServiceAccountToken"] is False
    context, container = pod["securityContext"], pod["containers"][0]["securityContext"]
    assert (context["runAsNonRoot"], context["runAsUser"], context["fsGroup"]) == (True, 65532, 65532)
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


CHANGES: list[dict[str, Any]] = [
    {"model": {"source": "https://models.example/other.gguf"}},
    {"model": {"sourceSecretRef": {"name": "hf"}}},
    {"model": {"caBundleRef": {"name": "corp"}}},
    {"model": {"caBundleRef": {"name": "corp", "key": "root.pem"}}},
    {"model": {"mmprojSource": "https://models.example/mmproj.gguf"}},
    {"model": {"mmprojSource": "https://models.example/mmproj.gguf"}, "mmproj_etag": '"p2"'},
    {"etag": None, "size": 5},
    {"sha256": "cd" * 32},
    {"sha256": None},
    {"etag": '"e2"'},
    {"claim_name": "other"},
    {"claim_uid": "c-2"},
    {"name": "other"},
]


def test_whatever_decides_the_outcome_gives_a_job_of_its_own(rendered_job: Factory) -> None:
    names = [rendered_job(**change)["metadata"]["name"] for change in [{}, *CHANGES]]
    assert len(set(names)) == len(names)


def test_a_projector_is_fetched_before_the_model_and_its_permanent_errors_end_the_job_too(
    rendered_job: Factory,
) -> None:
    job = rendered_job({"mmprojSource": "pvc://weights/mmproj.gguf"}, mmproj_size=7)
    pod = pod_of(job)
    (first,) = pod["initContainers"]
    assert (first["name"], pod["containers"][0]["name"]) == ("fetch-mmproj", "fetch")
    assert first["command"][2] == "file:///source-mmproj/mmproj.gguf"
    assert values(first["command"], "--size") == ["7"]
    assert values(first["command"], "--allow-root") == ["/source-mmproj"]
    assert {"name": "source-mmproj", "mountPath": "/source-mmproj", "readOnly": True} in first["volumeMounts"]
    ends = [rule["onExitCodes"]["containerName"] for rule in job["spec"]["podFailurePolicy"]["rules"][:2]]
    assert ends == ["fetch", "fetch-mmproj"]


def test_a_fetch_into_a_claim_of_one_node_wishes_to_run_there(rendered_job: Factory) -> None:
    wish = pod_of(rendered_job(nodes=("node-a", "node-b")))["affinity"]["nodeAffinity"]
    (term,) = wish["preferredDuringSchedulingIgnoredDuringExecution"]
    assert term["preference"] == {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-a"]}]}
    assert "affinity" not in pod_of(rendered_job())


def test_what_does_not_decide_the_outcome_keeps_the_job(rendered_job: Factory) -> None:
    other = rendered_job({"resources": {"cpu": "9"}}, size=5, settings=OperatorSettings(fetcher_image="x:2"))
    assert other["metadata"]["name"] == rendered_job()["metadata"]["name"]


def test_two_models_never_share_a_job_name(rendered_job: Factory) -> None:
    long = "m" * 200
    names = ["tiny", "tiny-fetch", "tiny.fetch", "tiny-f", long, long + "a", long + "b", "m" * 48]
    jobs = [rendered_job(name=name)["metadata"]["name"] for name in names]
    jobs += [rendered_job(name=job)["metadata"]["name"] for job in jobs]
    assert len(set(jobs)) == 2 * len(names)


@pytest.mark.parametrize("name", ["tiny", "m" * 253])
def test_a_job_name_fits_the_label_that_its_pods_get(name: str, rendered_job: Factory) -> None:
    assert len(rendered_job(name=name)["metadata"]["name"]) <= 63


def test_rendering_twice_gives_the_same(rendered_job: Factory) -> None:
    model = {"sourceSecretRef": {"name": "hf"}, "caBundleRef": {"name": "corp"}}
    assert rendered_job(model) == rendered_job(model)
