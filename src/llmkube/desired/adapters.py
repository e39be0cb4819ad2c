"""LoRA adapters: each is a Model of the service's own, fetched and verified as any other, and loaded beside the model.

    adapter_name(isvc_name: str, adapter: str) -> str
    adapter_model(isvc: CustomResource, adapter: LoraAdapter, served_name: str, served: ModelSpec) -> dict
    adapters_part(inputs: Inputs, build: Build) -> PodPart
    adapter_trouble(served: Served, adapter: Adapter) -> Trouble | None

So verdict, resume, cache, credentials, status and collection are a Model's. The engine takes `PATH:SCALE,PATH:SCALE`: a
file name with `,` or `:` would be read as another. With scale 0 an adapter is loaded, and applied only where a request
asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.api.group import API_VERSION, GROUP
from llmkube.desired.cache import claim_name
from llmkube.desired.labels import MANAGED_BY, SERVICE, owner_reference
from llmkube.desired.model_volume import model_file
from llmkube.desired.naming import child_name, short_hash
from llmkube.desired.pod_part import PodPart
from llmkube.desired.pod_trouble import Trouble

if TYPE_CHECKING:
    from llmkube.api.model import ModelSpec
    from llmkube.api.options import LoraAdapter
    from llmkube.desired.engine.build import Build
    from llmkube.desired.inputs import Adapter, Inputs, Served
    from llmkube.kube.objects import CustomResource

ADAPTER = f"{GROUP}/adapter"
DIGITS = 6
"""Of a scale: the engine reads a float and ends at one that is too small for it, such as 1e-50."""


def adapter_name(isvc_name: str, adapter: str) -> str:
    """Return the name of an adapter's Model."""
    return child_name(f"{isvc_name}-{adapter}", f"lora-{short_hash(isvc_name, adapter)}")


def where(adapter: str) -> str:
    """Return the path of the spec that asks for an adapter."""
    return f"spec.loraAdapters[{adapter}]"


def adapter_model(isvc: CustomResource, adapter: LoraAdapter, served_name: str, served: ModelSpec) -> dict[str, Any]:
    """Return the Model of an adapter: its bytes go where the model's are; the model's certificates are trusted too."""
    spec: dict[str, Any] = {"source": adapter.source, "cache": _cache(served_name, served)}
    if adapter.sha256:
        spec["sha256"] = adapter.sha256
    if adapter.source_secret_ref:
        spec["sourceSecretRef"] = adapter.source_secret_ref.manifest()
    if served.ca_bundle_ref:
        spec["caBundleRef"] = served.ca_bundle_ref.manifest()
    return {
        "apiVersion": API_VERSION,
        "kind": "Model",
        "metadata": {
            "name": adapter_name(isvc.metadata.name, adapter.name),
            "namespace": isvc.metadata.namespace,
            "labels": {MANAGED_BY: "llmkube", SERVICE: child_name(isvc.metadata.name), ADAPTER: adapter.name},
            "ownerReferences": [owner_reference(isvc)],
        },
        "spec": spec,
    }


def adapters_part(inputs: Inputs, build: Build) -> PodPart:
    """Return what the engine is told of its adapters, in the order of the spec: their ids in a request count from 0.

    No prompt is kept for the next request: b11669 goes on from what another request's scales made of it, where a
    request says no scales of its own (it compares them only where it does).
    """
    if not inputs.adapters:
        return PodPart()
    words = (f"{model_file(inputs.models, each.served)}:{round(each.scale, DIGITS):g}" for each in inputs.adapters)
    loaded = ("--lora-scaled", ",".join(words))
    if build.has("--no-cache-prompt"):
        return PodPart(args=(*loaded, "--no-cache-prompt"))
    return PodPart(args=loaded, env=({"name": "LLAMA_ARG_CACHE_PROMPT", "value": "0"},))


def adapter_trouble(served: Served, adapter: Adapter) -> Trouble | None:
    """Return why the engine would not start with an adapter."""
    facts, path = adapter.served.status.gguf, adapter.served.status.path or ""
    if facts is not None and (facts.type != "adapter" or facts.adapter_type != "lora"):
        found = f"{facts.type or 'no general.type'}{f', {facts.adapter_type}' if facts.adapter_type else ''}"
        line = f"{where(adapter.name)}: expected a LoRA adapter (general.type adapter, adapter.type lora)"
        return Trouble("NotAnAdapter", f"{line}, found {found} in {adapter.served.spec.source}; name an adapter's GGUF")
    base = served.status.gguf
    if facts is not None and base is not None and facts.architecture != base.architecture:
        line = f"{where(adapter.name)}: expected an adapter for the architecture {base.architecture}"
        fix = f"name one that was made for {served.model.metadata.name}, or remove it"
        return Trouble("AdapterArchitectureDiffers", f"{line}, found one for {facts.architecture}; {fix}")
    if any(mark in path.rpartition("/")[2] for mark in ",:"):
        line = f"{where(adapter.name)}: expected a file name without , and :"
        return Trouble("AdapterNameUnusable", f"{line}, found {path.rpartition('/')[2]}; give the file another name")
    return None


def _cache(served_name: str, served: ModelSpec) -> dict[str, Any]:
    claim = claim_name(served, served_name)
    return {"mode": "Existing", "claimName": claim} if claim else {"mode": "Ephemeral"}
