"""The Deployment of an InferenceService: pods that run llama-server on a model's verified file.

    deployment_name(isvc_name: str) -> str
    deployment(isvc: CustomResource, spec: InferenceServiceSpec, *, model: CustomResource, model_spec: ModelSpec,
               model_status: ModelStatus, settings: OperatorSettings) -> dict

`model_status` must tell path and sha256: a Deployment is rendered for verified bytes only, and ValueError says so
otherwise. The selector must never change, and the engine's volume must never be writable for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.api.group import GROUP
from llmkube.desired.arguments import API_KEYS_PATH, PORT, Files, arguments, effective_context
from llmkube.desired.cache import MOUNT_PATH, claim_name, ephemeral_size
from llmkube.desired.fetch_job import CACHE_VOLUME, DEADLINE_SECONDS, Wanted, fetch_containers, fetch_volumes, literal
from llmkube.desired.images import pull_policy
from llmkube.desired.labels import owner_reference, selector, service_labels
from llmkube.desired.naming import child_name
from llmkube.desired.placement import placement
from llmkube.desired.probes import probes, startup_seconds
from llmkube.desired.resources import gpus, needs
from llmkube.desired.security import container_security, pod_security
from llmkube.desired.service import PORT_NAME

if TYPE_CHECKING:
    from llmkube.api.container import Strategy
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.api.model import ModelSpec, ModelStatus
    from llmkube.desired.settings import OperatorSettings
    from llmkube.kube.objects import CustomResource

CONTAINER = "llama-server"
MODEL_DIGEST = f"{GROUP}/model-sha256"
_KEYS_VOLUME = "api-keys"
_SCHEDULING_SECONDS = 600  # for a node, an image and a volume, on top of the start itself


def deployment_name(isvc_name: str) -> str:
    """Return the Deployment's name."""
    return child_name(isvc_name)


def deployment(
    isvc: CustomResource,
    spec: InferenceServiceSpec,
    *,
    model: CustomResource,
    model_spec: ModelSpec,
    model_status: ModelStatus,
    settings: OperatorSettings,
) -> dict[str, Any]:
    """Return the Deployment."""
    name = isvc.metadata.name
    pod = {
        **_pod(spec),
        **placement(name, spec, model_spec),
        "containers": [_engine(name, spec, model_spec=model_spec, model_status=model_status, settings=settings)],
    }
    if claim_name(model_spec, model.metadata.name) is None:
        pod["initContainers"] = _fetchers(model, model_spec, model_status=model_status, settings=settings)
    pod["volumes"] = _volumes(spec, model, model_spec=model_spec, model_status=model_status)
    annotations = {MODEL_DIGEST: model_status.sha256}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": deployment_name(name),
            "namespace": isvc.metadata.namespace,
            "labels": service_labels(name),
            "ownerReferences": [owner_reference(isvc)],
        },
        "spec": {
            "replicas": spec.replicas,
            "selector": {"matchLabels": selector(name, "inference")},
            "strategy": _strategy(spec.strategy, is_tight=gpus(spec, model_spec) > 0),
            "progressDeadlineSeconds": _deadline(model_spec, model_status),
            "template": {"metadata": {"labels": service_labels(name), "annotations": annotations}, "spec": pod},
        },
    }


def _engine(
    isvc_name: str,
    spec: InferenceServiceSpec,
    *,
    model_spec: ModelSpec,
    model_status: ModelStatus,
    settings: OperatorSettings,
) -> dict[str, Any]:
    """The container of the engine. It has no command: the images' own entrypoint is llama-server."""
    context = effective_context(spec, model_status.gguf).size
    resources = needs(spec, model_spec, model_status.memory, context=context)
    files = _files(isvc_name, model_status)
    words = arguments(isvc_name, spec, model_spec, files=files, context=context, threads=resources.threads)
    environment = {"env": [variable.manifest() for variable in spec.env]} if spec.env else {}
    image = spec.image or settings.image(model_spec.hardware.accelerator)
    return {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": pull_policy(image),
        "args": list(words),
        "ports": [{"name": PORT_NAME, "containerPort": PORT, "protocol": "TCP"}],
        "resources": resources.manifest(),
        "securityContext": container_security(),
        "volumeMounts": _mounts(spec),
        **probes(model_status.size_bytes or 0),
        **environment,
    }


def _fetchers(
    model: CustomResource, model_spec: ModelSpec, *, model_status: ModelStatus, settings: OperatorSettings
) -> list[dict[str, Any]]:
    """The init containers that fetch for this pod alone: exactly the bytes that were accepted for the Model."""
    mmproj = model_status.mmproj
    wanted = Wanted(model_status.sha256, model_status.etag, model_status.size_bytes)
    projector = Wanted(mmproj.sha256, mmproj.etag, mmproj.size_bytes) if mmproj else Wanted()
    return fetch_containers(model, model_spec, settings, wanted, projector)


def _pod(spec: InferenceServiceSpec) -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "terminationGracePeriodSeconds": spec.termination_grace_period_seconds,
    }


def _files(isvc_name: str, model_status: ModelStatus) -> Files:
    if not model_status.path or not model_status.sha256:
        raise ValueError(f"{isvc_name}: expected a Model with path and sha256 in its status, found none; wait for it")
    mmproj = model_status.mmproj
    projector = literal(f"{MOUNT_PATH}/{mmproj.path}") if mmproj and mmproj.path else None
    return Files(literal(f"{MOUNT_PATH}/{model_status.path}"), projector)


def _mounts(spec: InferenceServiceSpec) -> list[dict[str, Any]]:
    paths = {CACHE_VOLUME: MOUNT_PATH} | ({_KEYS_VOLUME: API_KEYS_PATH} if spec.auth else {})
    return [{"name": name, "mountPath": path, "readOnly": True} for name, path in paths.items()]


def _volumes(
    spec: InferenceServiceSpec, model: CustomResource, *, model_spec: ModelSpec, model_status: ModelStatus
) -> list[dict[str, Any]]:
    claim = claim_name(model_spec, model.metadata.name)
    if claim:
        volumes: list[dict[str, Any]] = [{"name": CACHE_VOLUME, "persistentVolumeClaim": {"claimName": claim}}]
    else:
        mmproj = model_status.mmproj
        size = (model_status.size_bytes or 0) + ((mmproj.size_bytes or 0) if mmproj else 0)
        limit = ephemeral_size(model_spec, size_bytes=size)
        volumes = [{"name": CACHE_VOLUME, "emptyDir": {"sizeLimit": limit}}, *fetch_volumes(model_spec)]
    if spec.auth:
        items = [{"key": spec.auth.secret_ref.key, "path": "keys"}]
        secret = {"secretName": spec.auth.secret_ref.name, "items": items, "defaultMode": 0o440}
        volumes.append({"name": _KEYS_VOLUME, "secret": secret})
    return volumes


def _strategy(said: Strategy | None, *, is_tight: bool) -> dict[str, Any]:
    """Both numbers are always said: a default of the API server's would bar a later change to Recreate.

    A surge waits for ever for GPUs that the old pods hold; Recreate would stop all replicas to change one.
    """
    if said and said.type == "Recreate":
        return {"type": "Recreate"}
    numbers = said.rolling_update.manifest() if said and said.rolling_update else {}
    surge = numbers.get("maxSurge", 0 if is_tight else 1)
    unavailable = numbers.get("maxUnavailable", 1 if surge in {0, "0%"} else 0)
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def _deadline(model_spec: ModelSpec, model_status: ModelStatus) -> int:
    start = startup_seconds(model_status.size_bytes or 0) + _SCHEDULING_SECONDS
    return start + (DEADLINE_SECONDS if model_spec.cache.mode == "Ephemeral" else 0)
