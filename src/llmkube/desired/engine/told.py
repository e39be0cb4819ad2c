"""A plan in words: what each GPU holds of what it has, what is left to the host, or what nobody has said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.api.quantity import format_bytes

if TYPE_CHECKING:
    from llmkube.desired.engine.plan import EnginePlan
    from llmkube.gguf.plan.buffers import MemoryPlan


def told(engine: EnginePlan, host: int | None) -> str:
    """Return one line. `host`: bytes of the host, all that the pod asks for."""
    of_host = f"; {format_bytes(host)} on the host" if host else ""
    if engine.memory is None:
        return "Not planned: the Model's status.memory.layout does not say what its layers are"
    if not engine.gpus:
        return f"All {engine.total} layers on the CPU{of_host}"
    return f"{_of_gpus(engine, engine.memory)}{of_host}"


def _of_gpus(engine: EnginePlan, memory: MemoryPlan) -> str:
    layers, total = memory.gpu_layers, memory.total_layers
    which = f"All {total}" if layers == total else f"{layers} of {total}"
    sizes = ", ".join(format_bytes(device.total) for device in memory.devices)
    where = f"{which} layers on {engine.gpus} GPU{'s' if engine.gpus > 1 else ''}"
    if engine.room is not None:
        return f"{where}, which hold {sizes} of the {format_bytes(engine.room)} that the driver leaves of each"
    unknown = "the engine takes as many as it finds room for: hardware.gpu.memory does not say how much there is"
    return f"{where} need {sizes}; {unknown}" if engine.layers is None else f"{where} need {sizes}"
