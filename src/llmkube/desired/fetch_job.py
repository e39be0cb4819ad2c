"""The Job that brings a model's bytes into its claim, and the container that does it.

    job_name(model_name: str, spec: ModelSpec, *, claim_name: str, claim_uid: str, sha256: str | None,
             etag: str | None) -> str
    job(model: CustomResource, spec: ModelSpec, settings: OperatorSettings, *, claim_name: str, claim_uid: str,
        sha256: str | None, etag: str | None, size: int | None) -> dict
    fetch_container(model, spec, settings, *, sha256, etag, size) -> dict      mounts the volume `models` at /models
    fetch_volumes(spec: ModelSpec) -> list[dict]                               what else the container mounts

A Job's template cannot change: create the Job when there is none of that name, never apply over a live one. What may
change the outcome is part of the name, so that a corrected spec gets a Job of its own. Credentials must never get into
the command: they come from the environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.desired.cache import MOUNT_PATH
from llmkube.desired.images import pull_policy
from llmkube.desired.labels import model_labels, owner_reference
from llmkube.desired.naming import child_name, short_hash
from llmkube.desired.security import container_security, pod_security
from llmkube.models.credentials import secret_keys
from llmkube.models.source import HUGGING_FACE

if TYPE_CHECKING:
    from llmkube.api.model import ModelSpec
    from llmkube.desired.settings import OperatorSettings
    from llmkube.kube.objects import CustomResource

CONTAINER = "fetch"
CACHE_VOLUME = "models"
SOURCE_PATH = "/source"
CA_PATH = "/etc/llmkube/ca"
PERMANENT = 65
"""Exit code of the fetcher that says: trying again will not help."""
DEADLINE_SECONDS = 24 * 60 * 60
BACKOFF_LIMIT = 6


def job_name(
    model_name: str, spec: ModelSpec, *, claim_name: str, claim_uid: str, sha256: str | None, etag: str | None
) -> str:
    """Return the name of the Job that fetches these bytes into this claim with these credentials."""
    secret = spec.source_secret_ref.name if spec.source_secret_ref else ""
    bundle = f"{spec.ca_bundle_ref.name}/{spec.ca_bundle_ref.key}" if spec.ca_bundle_ref else ""
    parts = (model_name, spec.source, sha256 or "", etag or "", claim_name, claim_uid, secret, bundle)
    return child_name(model_name, f"fetch-{short_hash(*parts)}")


def job(
    model: CustomResource,
    spec: ModelSpec,
    settings: OperatorSettings,
    *,
    claim_name: str,
    claim_uid: str,
    sha256: str | None,
    etag: str | None,
    size: int | None,
) -> dict[str, Any]:
    """Return the Job. It is kept when it ends: its outcome is what the Model's status tells."""
    name = job_name(model.metadata.name, spec, claim_name=claim_name, claim_uid=claim_uid, sha256=sha256, etag=etag)
    labels = model_labels(model.metadata.name, "fetch")
    container = fetch_container(model, spec, settings, sha256=sha256, etag=etag, size=size)
    cache = {"name": CACHE_VOLUME, "persistentVolumeClaim": {"claimName": claim_name}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": model.metadata.namespace,
            "labels": labels,
            "ownerReferences": [owner_reference(model)],
        },
        "spec": {
            "backoffLimit": BACKOFF_LIMIT,
            "activeDeadlineSeconds": DEADLINE_SECONDS,
            "podFailurePolicy": {"rules": _failure_rules()},
            "template": {
                "metadata": {"labels": dict(labels)},
                "spec": _pod(container, [cache, *fetch_volumes(spec)]),
            },
        },
    }


def fetch_container(
    model: CustomResource,
    spec: ModelSpec,
    settings: OperatorSettings,
    *,
    sha256: str | None,
    etag: str | None,
    size: int | None,
) -> dict[str, Any]:
    """Return the container that runs `llmkube fetch`; its last words are in the termination message."""
    expected = _flags({"--sha256": sha256, "--size": size, "--etag": etag})
    subject = ["--namespace", model.metadata.namespace, "--name", model.metadata.name]
    where = ["--cache", MOUNT_PATH, *subject, "--result", "/dev/termination-log", "--progress", "json"]
    command = ["llmkube", "fetch", _source(spec.source), *where, *expected, *_allowed(spec.source, settings)]
    return {
        "name": CONTAINER,
        "image": settings.fetcher_image,
        "imagePullPolicy": pull_policy(settings.fetcher_image),
        "command": [literal(word) for word in command],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": container_security(),
        "volumeMounts": [{"name": CACHE_VOLUME, "mountPath": MOUNT_PATH}, *_extra_mounts(spec)],
        **_environment(spec, settings),
    }


def fetch_volumes(spec: ModelSpec) -> list[dict[str, Any]]:
    """Return the volumes that the container mounts besides the cache."""
    volumes: list[dict[str, Any]] = []
    if claim := _source_claim(spec.source):
        volumes.append({"name": "source", "persistentVolumeClaim": {"claimName": claim}})
    if bundle := spec.ca_bundle_ref:
        items = [{"key": bundle.key, "path": "ca.crt"}]
        volumes.append({"name": "ca-bundle", "configMap": {"name": bundle.name, "items": items}})
    return volumes


def literal(word: str) -> str:
    """Return the word so that the kubelet hands it on as it is: `$(NAME)` would become a variable's value."""
    return word.replace("$", "$$")


def _pod(container: dict[str, Any], volumes: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": pod_security(),
        "containers": [container],
        "volumes": volumes,
    }


def _failure_rules() -> list[dict[str, Any]]:
    """A permanent error ends the Job at once; a pod that was evicted does not count as a failure."""
    codes = {"containerName": CONTAINER, "operator": "In", "values": [PERMANENT]}
    return [
        {"action": "FailJob", "onExitCodes": codes},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]


def _flags(values: dict[str, str | int | None]) -> list[str]:
    return [word for flag, value in values.items() if value is not None for word in (flag, str(value))]


def _allowed(source: str, settings: OperatorSettings) -> list[str]:
    """What the administrator allows; a claim's files are below the one directory where it is mounted."""
    roots = (SOURCE_PATH,) if _source_claim(source) else settings.source_roots
    hosts = [word for host in settings.source_allow for word in ("--allow", host)]
    return hosts + [word for root in roots for word in ("--allow-root", root)]


def _source(source: str) -> str:
    claim = _source_claim(source)
    return f"file://{SOURCE_PATH}/{source.removeprefix(f'pvc://{claim}/')}" if claim else source


def _source_claim(source: str) -> str:
    """Return the claim of a pvc:// source, else an empty text."""
    scheme, _, rest = source.partition("://")
    return rest.partition("/")[0] if scheme == "pvc" else ""


def _environment(spec: ModelSpec, settings: OperatorSettings) -> dict[str, Any]:
    """What a Secret may tell is named one by one: with all of it, it could name a proxy, which the policy trusts."""
    values = {
        "LLMKUBE_CA_BUNDLE": f"{CA_PATH}/ca.crt" if spec.ca_bundle_ref else "",
        "HF_ENDPOINT": settings.hugging_face if settings.hugging_face != HUGGING_FACE else "",
    }
    env = [{"name": name, "value": value} for name, value in values.items() if value]
    env += _credentials(spec)
    return {"env": env} if env else {}


def _credentials(spec: ModelSpec) -> list[dict[str, Any]]:
    if spec.source_secret_ref is None:
        return []
    keys = secret_keys(spec.source.partition("://")[0].lower())
    name = spec.source_secret_ref.name
    return [
        {"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key, "optional": True}}}
        for variable, key in keys.items()
    ]


def _extra_mounts(spec: ModelSpec) -> list[dict[str, Any]]:
    paths = {"source": SOURCE_PATH, "ca-bundle": CA_PATH}
    return [
        {"name": volume["name"], "mountPath": paths[volume["name"]], "readOnly": True} for volume in fetch_volumes(spec)
    ]
