"""The Deployment of an InferenceService: pods that run llama-server on a model's verified file.

    deployment_name(isvc_name: str) -> str
    deployment(isvc: CustomResource, spec: InferenceServiceSpec, inputs: Inputs, settings: OperatorSettings,
               engine: EnginePlan) -> dict

It is the sum of its parts (pod_part.py). The status of the Model must tell path and sha256: a Deployment is rendered
for verified bytes only, and ValueError says so otherwise. The selector must never change.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llmkube.desired.adapters import adapters_part
from llmkube.desired.arguments import PORT, arguments
from llmkube.desired.drafts import draft_part
from llmkube.desired.drain import drain_part
from llmkube.desired.engine_log import log_part
from llmkube.desired.images import engine_image, image_part
from llmkube.desired.labels import owner_reference, selector, service_labels
from llmkube.desired.model_volume import model_files, models_part
from llmkube.desired.naming import child_name
from llmkube.desired.placement import placement
from llmkube.desired.pod_monitor import scrape_part
from llmkube.desired.pod_part import CONTAINER, PodPart, combined
from llmkube.desired.probes import probes, secured
from llmkube.desired.referenced_files import keys_part, template_part, tls_part
from llmkube.desired.resources import gpus, needs
from llmkube.desired.rollout import rollout
from llmkube.desired.security import container_security, pod_security, user_namespace
from llmkube.desired.service import PORT_NAME

if TYPE_CHECKING:
    from llmkube.api.inference import InferenceServiceSpec
    from llmkube.desired.engine.build import Build
    from llmkube.desired.engine.plan import EnginePlan
    from llmkube.desired.inputs import Inputs, Served
    from llmkube.desired.settings import OperatorSettings
    from llmkube.kube.objects import CustomResource


def deployment_name(isvc_name: str) -> str:
    """Return the Deployment's name."""
    return child_name(isvc_name)


def deployment(
    isvc: CustomResource, spec: InferenceServiceSpec, inputs: Inputs, settings: OperatorSettings, engine: EnginePlan
) -> dict[str, Any]:
    """Return the Deployment of pods that run the engine as it was planned."""
    name = isvc.metadata.name
    part = combined(_parts(name, spec, inputs, settings, engine))
    labels = service_labels(name)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": deployment_name(name),
            "namespace": isvc.metadata.namespace,
            "labels": labels,
            "ownerReferences": [owner_reference(isvc)],
        },
        "spec": {
            "replicas": spec.replicas,
            "selector": {"matchLabels": selector(name, "inference")},
            **rollout(spec, inputs.served),
            "template": {
                "metadata": {"labels": labels, "annotations": dict(part.annotations)},
                "spec": _pod(part, spec),
            },
        },
    }


def _parts(
    name: str, spec: InferenceServiceSpec, inputs: Inputs, settings: OperatorSettings, engine: EnginePlan
) -> tuple[PodPart, ...]:
    """What every feature adds; what the person says in extraArgs and env comes last."""
    served = inputs.served
    image = engine_image(spec, served.spec, settings)
    return (
        models_part(inputs.models, settings),
        image_part(image, spec, settings),
        _engine_part(name, spec, inputs.served, image.build, engine),
        draft_part(spec, inputs, image.build),
        adapters_part(inputs, image.build),
        template_part(spec, inputs.referenced),
        keys_part(spec, inputs.referenced),
        tls_part(spec, inputs.referenced),
        scrape_part(spec, settings),
        PodPart(pod=placement(name, spec, served.spec, architecture=image.architecture) | user_namespace(settings)),
        PodPart(container=_probed(spec, served)),
        drain_part(spec.termination_grace_period_seconds),
        log_part(has_gpus=gpus(spec, served.spec) > 0),
        PodPart(args=spec.extra_args, env=tuple(each.manifest() for each in spec.env)),
    )


def _probed(spec: InferenceServiceSpec, served: Served) -> dict[str, Any]:
    found = probes(spec.probes, served.status.size_bytes or 0)
    return secured(found) if spec.endpoint.tls else found


def _engine_part(name: str, spec: InferenceServiceSpec, served: Served, build: Build, engine: EnginePlan) -> PodPart:
    """What the engine is told, and what it needs for that."""
    found = needs(spec, served.spec, engine)
    files = model_files(name, served)
    part = arguments(name, spec, served.spec, engine, files=files, threads=found.threads, build=build)
    return replace(part, container={"resources": found.manifest()})


def _pod(part: PodPart, spec: InferenceServiceSpec) -> dict[str, Any]:
    """The pod; lists that are empty are left out, as the API server would."""
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        **part.pod,
        "containers": [_engine(part)],
        "initContainers": list(part.init_containers),
        "volumes": list(part.volumes),
    }
    return {field: value for field, value in pod.items() if value != []}


def _engine(part: PodPart) -> dict[str, Any]:
    """The container of the engine. It has no command: the images' own entrypoint is llama-server."""
    engine = {
        "name": CONTAINER,
        "args": list(part.args),
        "ports": [{"name": PORT_NAME, "containerPort": PORT, "protocol": "TCP"}],
        "securityContext": container_security(),
        "volumeMounts": list(part.mounts),
        **part.container,
    }
    return engine | ({"env": list(part.env)} if part.env else {})
