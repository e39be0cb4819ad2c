"""`llmkube fit`: does a model fit on these GPUs, before anything is downloaded and before there is a cluster."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmkube.cli.errors import InputError
from llmkube.cli.output import as_json, output_option
from llmkube.gguf.plan.options import CACHE_TYPES, FLASH_ATTENTION, SPLIT_MODES

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmkube.cli.fit.verdict import Machine
    from llmkube.gguf.facts import ModelFacts
    from llmkube.gguf.plan.options import EngineOptions

DOES_NOT_FIT = 1
CONTEXT = 8192
CGROUP_LIMIT = "/sys/fs/cgroup/memory.max"
_CACHE_TYPE = click.Choice(list(CACHE_TYPES))


def _gpus(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    from llmkube.cli.fit.gpus import known

    return [each.name for each in known() if each.name.lower().startswith(incomplete.lower())]


def _quantity(_: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    from llmkube.api.quantity import QuantityError, to_int

    try:
        return None if value is None else to_int(value)
    except QuantityError as error:
        raise InputError(f"{parameter.opts[0]}: {error}") from None


def _shares(_: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(one) for one in value.split(",")) if value else ()
    except ValueError:
        raise InputError(f"{parameter.opts[0]}: expected shares such as 3,1, found {value!r}") from None


_MACHINE = (
    click.option("--gpu", metavar="NAME", shell_complete=_gpus, help="GPU of the table: L4, A100-80G, RTX-4090, …"),
    click.option("--gpu-count", type=click.IntRange(1, 128), help="How many of them; 1 by default."),
    click.option("--gpu-memory", metavar="QUANTITY", callback=_quantity, help="Memory of each GPU, e.g. 24Gi."),
    click.option(
        "--gpu-reserve", metavar="QUANTITY", callback=_quantity, help="Kept back on each GPU; 512Mi + 1% by default."
    ),
    click.option("--host-memory", metavar="QUANTITY", callback=_quantity, help="Memory of the host, e.g. 64Gi."),
)
_ENGINE = (
    click.option("--context", "--ctx-size", type=click.IntRange(1, 2**24), help="Tokens, shared by the slots."),
    click.option("--parallel", type=click.IntRange(1, 256), default=1, show_default=True, help="Requests at once."),
    click.option("--cache-type-k", type=_CACHE_TYPE, default="f16", show_default=True, help="Type of keys."),
    click.option("--cache-type-v", type=_CACHE_TYPE, default="f16", show_default=True, help="Type of values."),
    click.option("--flash-attention", type=click.Choice(FLASH_ATTENTION), default="auto", show_default=True),
    click.option("--batch", type=click.IntRange(1, 2**20), default=2048, show_default=True, help="Logical batch."),
    click.option("--ubatch", type=click.IntRange(1, 2**20), default=512, show_default=True, help="Physical batch."),
    click.option("--gpu-layers", type=click.IntRange(-1, 10_000), default=-1, help="Layers on GPUs; all by default."),
    click.option("--split-mode", type=click.Choice(SPLIT_MODES), default="layer", show_default=True),
    click.option("--tensor-split", metavar="N,N,…", callback=_shares, help="Share of each GPU; by memory by default."),
    click.option("--main-gpu", type=click.IntRange(0, 127), default=0, help="The GPU of --split-mode none."),
    click.option("--kv-unified", is_flag=True, help="One KV cache for all slots."),
    click.option("--swa-full", is_flag=True, help="Sliding-window layers keep all of the context."),
    click.option("--no-kv-offload", is_flag=True, help="The KV cache stays on the host."),
    click.option("--mmproj", metavar="SOURCE", help="Multimodal projector loaded beside it."),
    click.option("--draft", metavar="SOURCE", help="Draft model loaded beside it."),
)


def _with(options: tuple[Callable[..., Any], ...]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@click.command(
    epilog="""\b
Examples:
  llmkube fit hf://Qwen/Qwen3-8B-GGUF/Qwen3-8B-Q4_K_M.gguf --gpu L4 --context 32768 --parallel 4
  llmkube fit qwen3-32b --gpu RTX-4090 --cache-type-k q8_0 --cache-type-v q8_0
  llmkube fit model.gguf --gpu-memory 24Gi --gpu-count 2 -o json
  llmkube fit model.gguf --host-memory 16Gi
"""
)
@click.argument("source", metavar="SOURCE|FILE|ID")
@_with(_MACHINE)
@_with(_ENGINE)
@output_option("table", "json")
def fit(*, source: str, output: str, **options: Any) -> None:
    """Say whether a model fits, from its header alone: nothing is downloaded.

    SOURCE is what `llmkube inspect` takes, or a model of the catalogue (ID or ID:QUANTIZATION). Without a GPU the
    model is planned for the CPU of a machine with --host-memory, by default this one's.

    \b
    Exit code: 0 it fits, 1 it does not (or it could not be found out: then there is an error and no plan).
    """
    from llmkube.cli.fit.verdict import told, verdict
    from llmkube.cli.resolving import facts_of
    from llmkube.gguf.plan.options import PlanError

    facts = facts_of(source)
    try:
        machine = _machine(options)
        engine = _options(facts, machine, options)
        found = verdict(facts, engine, machine)
    except PlanError as error:
        raise InputError(f"{source}: {error}") from None
    if output == "json":
        click.echo(as_json({"source": source, **_gpu(machine), **told(found)}), nl=False)
    else:
        from llmkube.cli.fit.show import show

        show(found, facts, engine, machine)
    if not found.fits:
        raise click.exceptions.Exit(DOES_NOT_FIT)


def _machine(options: dict[str, Any]) -> Machine:
    """The machine that the flags describe."""
    from llmkube.cli.fit.gpus import named, sized
    from llmkube.cli.fit.verdict import Machine

    gpu = named(options["gpu"]) if options["gpu"] else None
    if options["gpu_memory"] is not None:
        given = sized(options["gpu_memory"])
        gpu = gpu.model_copy(update={"memory_mib": given.memory_mib, "source": "given"}) if gpu else given
    if gpu is None and options["gpu_count"]:
        raise InputError("--gpu-count: expected --gpu or --gpu-memory with it, found neither; say which GPUs")
    host = options["host_memory"]
    if gpu is None and host is None:
        host = _here()
    return Machine(gpu, (options["gpu_count"] or 1) if gpu else 0, options["gpu_reserve"], host)


def _here() -> int:
    """The memory of this machine, or of the container that this runs in, in bytes."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path(CGROUP_LIMIT).read_text().strip()
    except OSError:
        return memory
    return min(memory, int(limit)) if limit.isdecimal() else memory


def _options(facts: ModelFacts, machine: Machine, options: dict[str, Any]) -> EngineOptions:
    from llmkube.gguf.plan.options import EngineOptions

    engine = EngineOptions(
        context=options["context"] or min(CONTEXT, facts.context_length or CONTEXT),
        parallel=options["parallel"],
        cache_type_k=options["cache_type_k"],
        cache_type_v=options["cache_type_v"],
        flash_attention=options["flash_attention"],
        batch=options["batch"],
        ubatch=options["ubatch"],
        gpu_layers=options["gpu_layers"],
        gpus=machine.count,
        split_mode=options["split_mode"],
        tensor_split=options["tensor_split"],
        main_gpu=options["main_gpu"],
        kv_unified=options["kv_unified"],
        swa_full=options["swa_full"],
        kv_offload=not options["no_kv_offload"],
    )
    return _with_companions(engine, options)


def _with_companions(engine: EngineOptions, options: dict[str, Any]) -> EngineOptions:
    """With what is loaded beside the model: a projector by its size, a draft model with the same options."""
    from dataclasses import replace

    from llmkube.cli.resolving import facts_of, resolved
    from llmkube.gguf.plan.options import Draft

    if options["mmproj"]:
        found, facts = resolved(options["mmproj"])
        engine = replace(engine, projector_bytes=found.size_bytes or facts.weights_bytes)
    if options["draft"]:
        engine = replace(engine, draft=Draft(facts_of(options["draft"]), replace(engine, projector_bytes=0)))
    return engine


def _gpu(machine: Machine) -> dict[str, Any]:
    gpu = machine.gpu
    if gpu is None:
        return {"gpu": None}
    reserved = gpu.memory - gpu.free(machine.reserve)
    return {"gpu": {"name": gpu.name, "count": machine.count, "memory": gpu.memory, "reserved": reserved}}
