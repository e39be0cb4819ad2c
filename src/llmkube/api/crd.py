"""The CustomResourceDefinitions, generated from the models: what `manifests/crd` holds and local mode installs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from llmkube.api.group import GROUP, VERSION
from llmkube.api.inference import InferenceService
from llmkube.api.model import Model
from llmkube.api.schema import structural

if TYPE_CHECKING:
    from llmkube.api.fields import Record

_API_VERSION_TEXT = "Version of the schema that this document follows: inference.llmkube.dev/v1alpha1."
_KIND_TEXT = "Kind of the object."


def _column(name: str, path: str, *, kind: str = "string", wide: bool = False, text: str = "") -> dict[str, Any]:
    column = {"name": name, "type": kind, "jsonPath": path}
    return column | ({"description": text} if text else {}) | ({"priority": 1} if wide else {})


_AGE = _column("Age", ".metadata.creationTimestamp", kind="date")
_MODEL_COLUMNS = [
    _column("Phase", ".status.phase"),
    _column("Size", ".status.size"),
    _column("Accelerator", ".spec.hardware.accelerator"),
    _column("Architecture", ".status.gguf.architecture", wide=True),
    _column("Quantization", ".status.gguf.quantization", wide=True),
    _column("License", ".status.gguf.license", wide=True),
    _AGE,
]
_INFERENCE_COLUMNS = [
    _column("Phase", ".status.phase"),
    _column("Model", ".spec.modelRef"),
    _column("Replicas", ".status.readyReplicas", kind="integer", text="Pods that answer."),
    _column("Endpoint", ".status.endpoint"),
    _column("Context", ".status.plan.contextSize", kind="integer", wide=True),
    _column("GPU layers", ".status.plan.gpuLayers", kind="integer", wide=True),
    _column(
        "Reason", '.status.conditions[?(@.type=="Available")].reason', wide=True, text="Why it is Available, or is not."
    ),
    _AGE,
]
_SCALE = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}


def crds() -> list[dict[str, Any]]:
    """Return the CustomResourceDefinitions, ready to apply."""
    return [
        _definition(Model, plural="models", short="mdl", columns=_MODEL_COLUMNS, subresources={"status": {}}),
        _definition(
            InferenceService,
            plural="inferenceservices",
            short="isvc",
            columns=_INFERENCE_COLUMNS,
            subresources={"status": {}, "scale": _SCALE},
        ),
    ]


def as_yaml(document: dict[str, Any]) -> str:
    """Return a definition as the YAML that is committed: stable order, readable width, CEL unescaped."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=118, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Writes texts that hold quotes as folded blocks, so that CEL reads as CEL."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=">" if "'" in text else None)


_Dumper.add_representer(str, _text)


def _definition(
    record: type[Record],
    *,
    plural: str,
    short: str,
    columns: list[dict[str, Any]],
    subresources: dict[str, Any],
) -> dict[str, Any]:
    kind = record.__name__
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": subresources,
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": _root(record)},
    }
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List", "shortNames": [short]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
    }


def _root(record: type[Record]) -> dict[str, Any]:
    """Return the schema of the whole object; the API server owns what apiVersion, kind and metadata look like."""
    schema = structural(record)
    schema["required"] = ["spec"]
    schema["properties"] = {
        "apiVersion": {"description": _API_VERSION_TEXT, "type": "string"},
        "kind": {"description": _KIND_TEXT, "type": "string"},
        "metadata": {"type": "object", "properties": {"name": schema["properties"]["metadata"]["properties"]["name"]}},
        "spec": schema["properties"]["spec"],
        "status": {key: value for key, value in schema["properties"]["status"].items() if key != "default"},
    }
    return schema
