"""The Job that brings a model's bytes into its claim, and the containers that do it.

    Target(claim_name, claim_uid, sha256, etag, size, mmproj_etag, mmproj_size, nodes)     what a fetch is about
    job_name(model_name: str, spec: ModelSpec, target: Target) -> str
    job(model: CustomResource, spec: ModelSpec, settings: OperatorSettings, target: Target) -> dict
    fetch_containers(model, spec, settings, wanted: Wanted, projector: Wanted) -> list[dict]
                                                       the projector's first; both mount the volume `models` at /models
    fetch_volumes(spec: ModelSpec) -> list[dict]       what else the containers mount

A Job's template cannot change: create the Job when there is none of that name, never apply over a live one. What may
change the outcome is part of the name, so that a corrected spec gets a Job of its own. Credentials must never get into
the command: they come from the environment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from llmkube.desired.cache import MOUNT_PATH
from llmkube.desired.images import pull_policy
from llmkube.desired.labels import model_labels, owner_reference
from llmkube.desired.naming import child_name, short_hash
from llmkube.desired.security import container_security, pod_security, user_namespace
from llmkube.models.credentials import secret_keys
from llmkube.models.source import HUGGING_FACE

if TYPE_CHECKING:
    from llmkube.api.model import ModelSpec
    from llmkube.desired.settings import OperatorSettings
    from llmkube.kube.objects import CustomResource

CONTAINER = "fetch"
PROJECTOR_CONTAINER = "fetch-mmproj"
CACHE_VOLUME = "models"
SOURCE_PATH = "/source"
PROJECTOR_SOURCE_PATH = "/source-mmproj"
CA_PATH = "/etc/llmkube/ca"
PERMANENT = 65
"""Exit code of the fetcher that says: trying again will not help."""
DEADLINE_SECONDS = 24 * 60 * 60
BACKOFF_LIMIT = 6


_TELLING = ("--facts", "--result", "/dev/termination-log", "--progress", "json")


class Wanted(NamedTuple):
    """What is known beforehand of the bytes that one container fetches."""

    sha256: str | None = None
    etag: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a fetch is about. `nodes` are those that hold a claim which only one node can mount."""

    claim_name: str
    claim_uid: str
    sha256: str | None = None
    etag: str | None = None
    size: int | None = None
    mmproj_etag: str | None = None
    mmproj_size: int | None = None
    nodes: tuple[str, ...] = ()


def job_name(model_name: str, spec: ModelSpec, target: Target) -> str:
    """Return the name of the Job that fetches these bytes into this claim with these credentials.

    Bytes without an entity tag are told from others of the same address by their number.
    """
    secret = spec.source_secret_ref.name if spec.source_secret_ref else ""
    bundle = f"{spec.ca_bundle_ref.name}/{spec.ca_bundle_ref.key}" if spec.ca_bundle_ref else ""
    parts = [model_name, spec.source, target.sha256 or "", target.etag or str(target.size or "")]
    parts += [target.claim_name, target.claim_uid, secret, bundle]
    if spec.mmproj_source:
        parts += [spec.mmproj_source, target.mmproj_etag or str(target.mmproj_size or "")]
    return child_name(model_name, f"fetch-{short_hash(*parts)}")


def job(model: CustomResource, spec: ModelSpec, settings: OperatorSettings, target: Target) -> dict[str, Any]:
    """Return the Job. It is kept when it ends: its outcome is what the Model's status tells."""
    labels = model_labels(model.metadata.name, "fetch")
    wanted = Wanted(target.sha256, target.etag, target.size)
    projector = Wanted(None, target.mmproj_etag, target.mmproj_size)
    containers = fetch_containers(model, spec, settings, wanted, projector)
    volumes = [cache_volume(target.claim_name), *fetch_volumes(spec)]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(model.metadata.name, spec, target),
            "namespace": model.metadata.namespace,
            "labels": labels,
            "ownerReferences": [owner_reference(model)],
        },
        "spec": {
            "backoffLimit": BACKOFF_LIMIT,
            "activeDeadlineSeconds": DEADLINE_SECONDS,
            "podFailurePolicy": {"rules": failure_rules([each["name"] for each in containers])},
            "template": {
                "metadata": {"labels": dict(labels)},
                "spec": pod(containers, volumes, settings, target.nodes),
            },
        },
    }


def fetch_containers(
    model: CustomResource, spec: ModelSpec, settings: OperatorSettings, wanted: Wanted, projector: Wanted
) -> list[dict[str, Any]]:
    """Return the containers that run `llmkube fetch`; their last words are in their termination messages."""
    command = _command(model, spec.source, SOURCE_PATH, settings, wanted)
    last = _container(CONTAINER, spec.source, spec, settings, command)
    if not spec.mmproj_source:
        return [last]
    command = _command(model, spec.mmproj_source, PROJECTOR_SOURCE_PATH, settings, projector)
    return [_container(PROJECTOR_CONTAINER, spec.mmproj_source, spec, settings, command), last]


def fetch_volumes(spec: ModelSpec) -> list[dict[str, Any]]:
    """Return the volumes that the containers mount besides the cache."""
    volumes: list[dict[str, Any]] = []
    for name, source in (("source", spec.source), ("source-mmproj", spec.mmproj_source or "")):
        if claim := _source_claim(source):
            volumes.append({"name": name, "persistentVolumeClaim": {"claimName": claim}})
    if bundle := spec.ca_bundle_ref:
        items = [{"key": bundle.key, "path": "ca.crt"}]
        volumes.append({"name": "ca-bundle", "configMap": {"name": bundle.name, "items": items}})
    return volumes


def cache_volume(claim_name: str) -> dict[str, Any]:
    """Return the volume of a claim that is a cache."""
    return {"name": CACHE_VOLUME, "persistentVolumeClaim": {"claimName": claim_name}}


def pod(
    containers: list[dict[str, Any]],
    volumes: list[dict[str, Any]],
    settings: OperatorSettings,
    nodes: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return the pod that runs one container after the other, on one of `nodes` where it can."""
    first, last = containers[:-1], containers[-1]
    secrets = [{"name": name} for name in settings.image_pull_secrets]
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": pod_security(),
        **user_namespace(settings),
        **({"imagePullSecrets": secrets} if secrets else {}),
        **({"initContainers": first} if first else {}),
        "containers": [last],
        "volumes": volumes,
        **({"affinity": _beside(nodes)} if nodes else {}),
    }


def failure_rules(containers: list[str]) -> list[dict[str, Any]]:
    """A permanent error ends the Job at once; a pod that was evicted does not count as a failure."""
    codes = [{"containerName": name, "operator": "In", "values": [PERMANENT]} for name in reversed(containers)]
    return [
        *({"action": "FailJob", "onExitCodes": each} for each in codes),
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]


def fetcher_container(
    name: str, settings: OperatorSettings, command: list[str], mounts: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return a container of the fetcher's image with the cache at /models."""
    return {
        "name": name,
        "image": settings.fetcher_image,
        "imagePullPolicy": pull_policy(settings.fetcher_image),
        "command": [literal(word) for word in command],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": container_security(),
        "volumeMounts": [{"name": CACHE_VOLUME, "mountPath": MOUNT_PATH}, *mounts],
    }


def _container(
    name: str, source: str, spec: ModelSpec, settings: OperatorSettings, command: list[str]
) -> dict[str, Any]:
    return fetcher_container(name, settings, command, _extra_mounts(spec)) | _environment(spec, source, settings)


def _command(model: CustomResource, source: str, mounted: str, settings: OperatorSettings, wanted: Wanted) -> list[str]:
    """The command of one fetch; a claim that is the source is mounted at `mounted`."""
    expected = _flags({"--sha256": wanted.sha256, "--size": wanted.size, "--etag": wanted.etag})
    subject = ["--namespace", model.metadata.namespace, "--name", model.metadata.name]
    where = ["--cache", MOUNT_PATH, *subject, *_TELLING]
    allowed = _allowed(source, mounted, settings)
    return ["llmkube", "fetch", _source(source, mounted), *where, *expected, *allowed]


def _beside(nodes: tuple[str, ...]) -> dict[str, Any]:
    """A wish, no demand: the volume may have moved on when the pod is scheduled."""
    field = {"key": "metadata.name", "operator": "In", "values": [nodes[0]]}
    term = {"weight": 100, "preference": {"matchFields": [field]}}
    return {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [term]}}


def literal(word: str) -> str:
    """Return the word so that the kubelet hands it on as it is: `$(NAME)` would become a variable's value."""
    return word.replace("$", "$$")


def _flags(values: dict[str, str | int | None]) -> list[str]:
    return [word for flag, value in values.items() if value is not None for word in (flag, str(value))]


def _allowed(source: str, mounted: str, settings: OperatorSettings) -> list[str]:
    """What the administrator allows; a claim's files are below the one directory where it is mounted."""
    roots = (mounted,) if _source_claim(source) else settings.source_roots
    hosts = [word for host in settings.source_allow for word in ("--allow", host)]
    return hosts + [word for root in roots for word in ("--allow-root", root)]


def _source(source: str, mounted: str) -> str:
    claim = _source_claim(source)
    return f"file://{mounted}/{source.removeprefix(f'pvc://{claim}/')}" if claim else source


def _source_claim(source: str) -> str:
    """Return the claim of a pvc:// source, else an empty text."""
    scheme, _, rest = source.partition("://")
    return rest.partition("/")[0] if scheme == "pvc" else ""


def _environment(spec: ModelSpec, source: str, settings: OperatorSettings) -> dict[str, Any]:
    """What a Secret may tell is named one by one: with all of it, it could name a proxy, which the policy trusts."""
    values = {
        "LLMKUBE_CA_BUNDLE": f"{CA_PATH}/ca.crt" if spec.ca_bundle_ref else "",
        "HF_ENDPOINT": settings.hugging_face if settings.hugging_face != HUGGING_FACE else "",
    }
    env = [{"name": name, "value": value} for name, value in values.items() if value]
    env += _credentials(spec, source)
    return {"env": env} if env else {}


def _credentials(spec: ModelSpec, source: str) -> list[dict[str, Any]]:
    if spec.source_secret_ref is None:
        return []
    keys = secret_keys(source.partition("://")[0].lower())
    name = spec.source_secret_ref.name
    return [
        {"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key, "optional": True}}}
        for variable, key in keys.items()
    ]


def _extra_mounts(spec: ModelSpec) -> list[dict[str, Any]]:
    paths = {"source": SOURCE_PATH, "source-mmproj": PROJECTOR_SOURCE_PATH, "ca-bundle": CA_PATH}
    return [
        {"name": volume["name"], "mountPath": paths[volume["name"]], "readOnly": True} for volume in fetch_volumes(spec)
    ]
