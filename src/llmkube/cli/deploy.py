"""`llmkube deploy`: a Model and an InferenceService of one name, written from flags and applied as documents are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from llmkube.cli.apply import send, tell_client_dry_run
from llmkube.cli.connection import Target, connected
from llmkube.cli.documents import Document, check
from llmkube.cli.errors import one_line
from llmkube.cli.options import WriteOptions, write_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Manifest = dict[str, Any]
_BODIES = {
    "chat": '"stream":true,"messages":[{"role":"user","content":"Hello!"}]',
    "embedding": '"input":"Hello!"',
    "rerank": '"query":"lighthouse","documents":["A tower with a lamp.","A bird."]',
}
"""A request of each mode, without the name of the model."""
ACCELERATORS = {"nvidia": "cuda", "amd": "rocm", "intel": "intel"}


@dataclass(frozen=True)
class Wishes:
    """What the flags say; None leaves a field to its default."""

    source: str
    sha256: str | None = None
    mmproj: str | None = None
    quantization: str | None = None
    mode: str | None = None
    secret: str | None = None
    gpu: bool = False
    gpu_count: int | None = None
    gpu_layers: int | None = None
    gpu_memory: str | None = None
    gpu_vendor: str | None = None
    accelerator: str | None = None
    context_size: int | None = None
    parallel: int | None = None
    replicas: int | None = None
    cpu: str | None = None
    memory: str | None = None
    image: str | None = None
    port: int | None = None


def file_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add a flag for each wish about the file."""
    return _with(function, _FILE)


def use_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add a flag for each wish about how the model is run."""
    return _with(function, _USE)


def _with(function: Callable[..., Any], options: Iterable[Callable[..., Any]]) -> Callable[..., Any]:
    for option in reversed(tuple(options)):
        function = option(function)
    return function


_FILE = (
    click.option(
        "--source",
        required=True,
        metavar="URL",
        help="https://, hf://org/repo/file.gguf, s3://, oci://, pvc://, file://.",
    ),
    click.option("--sha256", metavar="HEX", help="Digest that the file must have."),
    click.option("--mode", type=click.Choice(list(_BODIES)), help="What it is for; chat by default."),
    click.option("--mmproj", metavar="URL", help="Multimodal projector beside it, for a model that sees."),
)
_USE = (
    click.option("--secret", metavar="NAME", help="Secret with the source's credentials (HF_TOKEN, ...)."),
    click.option("--gpu", is_flag=True, help="Use a GPU; NVIDIA's, unless --gpu-vendor says otherwise."),
    click.option("--gpu-count", type=click.IntRange(0, 64), metavar="N", help="GPUs per pod; implies --gpu."),
    click.option("--gpu-layers", type=click.IntRange(-1, 10000), metavar="N", help="Layers on GPUs; -1: all that fit."),
    click.option("--gpu-memory", metavar="QUANTITY", help="Memory that each GPU must have, e.g. 16Gi."),
    click.option("--gpu-vendor", type=click.Choice(sorted(ACCELERATORS)), help="Whose GPUs; implies --gpu."),
    click.option(
        "--accelerator",
        type=click.Choice(["cpu", "cuda", "rocm", "metal", "vulkan", "intel"]),
        help="Backend of the engine; by default cpu, or the GPU vendor's.",
    ),
    click.option("--context-size", type=int, metavar="TOKENS", help="Context, shared by the parallel slots."),
    click.option("--parallel", type=int, metavar="N", help="Requests that a pod works on at once."),
    click.option("--replicas", type=int, metavar="N", help="Number of pods; 1 by default."),
    click.option("--cpu", metavar="QUANTITY", help="CPU request of each pod, e.g. 2 or 500m."),
    click.option("--memory", metavar="QUANTITY", help="Memory request of each pod, e.g. 4Gi."),
    click.option("--image", metavar="IMAGE", help="Image of the engine, in place of the accelerator's."),
    click.option("--port", type=int, metavar="PORT", help="Port of the Service; 8080 by default."),
)


@click.command(
    epilog="""\b
Examples:
  llmkube deploy qwen --source hf://Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q4_k_m.gguf
  llmkube deploy llama --source hf://org/repo/llama.gguf --gpu --context-size 32768 --parallel 4
  llmkube deploy qwen --source https://example.com/qwen.gguf --dry-run=client -o yaml > qwen.yaml
"""
)
@click.argument("name")
@file_options
@use_options
@write_options(wait=True, timeout="30m")
@connected()
def deploy(name: str, *, options: WriteOptions, target: Target, **wishes: Any) -> None:
    """Make a Model and an InferenceService in one line, and wait until it answers.

    The documents are the same as those of `llmkube apply`; print them with --dry-run=client -o yaml to keep them in
    git.
    """
    apply_wishes(name, Wishes(**wishes), options, target)


def apply_wishes(name: str, wishes: Wishes, options: WriteOptions, target: Target) -> None:
    """Check, and apply or print, the documents; say how to talk to what serves then."""
    documents = [Document("flags", number, each) for number, each in enumerate(manifests(name, wishes), start=1)]
    with one_line():
        check(documents)
    if options.dry_run == "client":
        tell_client_dry_run(documents, options)
        return
    from llmkube.cli.connection import run

    endpoint = run(send(target, documents, options))
    if endpoint and not options.form:
        click.echo(curl_line(endpoint, name, wishes.mode))


def manifests(name: str, wishes: Wishes) -> tuple[Manifest, Manifest]:
    """Return the two documents that the flags stand for, with nothing in them that was not asked for."""
    return _manifest("Model", name, _model(wishes)), _manifest("InferenceService", name, _service(name, wishes))


def curl_line(endpoint: str, name: str, mode: str | None = None) -> str:
    """Return the commands with which a person asks what was deployed."""
    mode = mode or "chat"
    talk = f"\nllmkube chat {name}\n" if mode == "chat" else ""
    body = f'{{"model":"{name}",{_BODIES[mode]}}}'
    return f"{talk}\ncurl -N {endpoint} -H 'Content-Type: application/json' \\\n  -d '{body}'"


def _manifest(kind: str, name: str, spec: Manifest) -> Manifest:
    from llmkube.api.group import API_VERSION

    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": _given(spec)}


def _model(wishes: Wishes) -> Manifest:
    return {
        "source": wishes.source,
        "quantization": wishes.quantization,
        "sha256": wishes.sha256,
        "mmprojSource": wishes.mmproj,
        "sourceSecretRef": {"name": wishes.secret},
        "hardware": {"accelerator": _accelerator(wishes), "gpu": _gpu(wishes)},
    }


def _service(name: str, wishes: Wishes) -> Manifest:
    return {
        "modelRef": name,
        "replicas": wishes.replicas,
        "image": wishes.image,
        "endpoint": {"port": wishes.port},
        "resources": {"cpu": wishes.cpu, "memory": wishes.memory},
        "contextSize": wishes.context_size,
        "parallel": wishes.parallel,
        "mode": wishes.mode,
    }


def _uses_gpu(wishes: Wishes) -> bool:
    return wishes.gpu or bool(wishes.gpu_count or wishes.gpu_vendor)


def _accelerator(wishes: Wishes) -> str | None:
    if wishes.accelerator or not _uses_gpu(wishes):
        return wishes.accelerator
    return ACCELERATORS[wishes.gpu_vendor or "nvidia"]


def _gpu(wishes: Wishes) -> Manifest:
    return {
        "enabled": True if _uses_gpu(wishes) else None,
        "count": wishes.gpu_count,
        "memory": wishes.gpu_memory,
        "vendor": wishes.gpu_vendor,
        "layers": wishes.gpu_layers,
    }


def _given(fields: Manifest) -> Manifest:
    """Return the fields that have a value, at any depth."""
    kept = {name: _given(value) if isinstance(value, dict) else value for name, value in fields.items()}
    return {name: value for name, value in kept.items() if value is not None and value != {}}
