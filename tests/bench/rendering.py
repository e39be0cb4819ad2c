"""What LLMKube writes for a service, as templates for those who do the same."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from tests.layouts import planned

from llmkube.api.inference import InferenceServiceSpec
from llmkube.api.model import ModelSpec, ModelStatus
from llmkube.controllers.caches import with_kind
from llmkube.desired.deployment import deployment
from llmkube.desired.inputs import Inputs, Served
from llmkube.desired.reading import spec_of, status_of
from llmkube.desired.service import service
from llmkube.desired.settings import OperatorSettings
from llmkube.kube.applied import with_hash
from llmkube.kube.kinds import INFERENCE_SERVICE, MODEL, Kind
from llmkube.kube.objects import CustomResource

Manifest = dict[str, Any]

MARKS = {"@UID@": "uid", "@NAMESPACE@": "namespace", "@NAME@": "name"}


def templates(model: Manifest, isvc: Manifest) -> list[str]:
    """The Service, the Deployment and the status of a service that the operator has reconciled, a line each."""
    typed_model, typed = typed_of(MODEL, model), typed_of(INFERENCE_SERVICE, isvc)
    spec, model_spec = spec_of(typed, InferenceServiceSpec), spec_of(typed_model, ModelSpec)
    assert isinstance(spec, InferenceServiceSpec)
    assert isinstance(model_spec, ModelSpec)
    status = status_of(typed_model, ModelStatus)
    settings = OperatorSettings()
    inputs = Inputs(Served(typed_model, model_spec, status))
    wanted = deployment(typed, spec, inputs, settings, planned(spec, inputs))
    told = {"apiVersion": isvc["apiVersion"], "kind": isvc["kind"], "metadata": {"namespace": "", "name": ""}}
    objects = [
        {"apiVersion": "v1", "kind": "Service", **with_hash(service(typed, spec))},
        {"apiVersion": "apps/v1", "kind": "Deployment", **with_hash(wanted)},
        {
            **told,
            "metadata": {name: isvc["metadata"][name] for name in ("namespace", "name")},
            "status": isvc["status"],
        },
    ]
    return [emptied(json.dumps(each), isvc["metadata"]) for each in objects]


def typed_of(kind: Kind[CustomResource], obj: Manifest) -> CustomResource:
    return with_kind(msgspec.json.decode(msgspec.json.encode(obj), type=CustomResource), kind)


def emptied(text: str, metadata: Manifest) -> str:
    """Marks where the name, the namespace and the uid were: they must occur in nothing else."""
    for mark, name in MARKS.items():
        text = text.replace(metadata[name], mark)
    return text


def filled(template: str, metadata: Manifest) -> str:
    """The object for the service with this name, namespace and uid."""
    for mark, name in MARKS.items():
        template = template.replace(mark, metadata[name])
    return template
