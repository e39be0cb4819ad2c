"""Does it fit: a plan held against the memory of a machine, with the numbers that are missing and what would help.

Pure: from a model's facts, the engine's options and a machine to a verdict.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llmkube.cli.fit.gpus import GPU, larger
from llmkube.gguf.plan.fit import largest_context
from llmkube.gguf.plan.memory import plan
from llmkube.gguf.plan.remedies import Remedy, Room, remedies

if TYPE_CHECKING:
    from llmkube.gguf.facts import ModelFacts
    from llmkube.gguf.plan.buffers import Buffers, MemoryPlan
    from llmkube.gguf.plan.options import EngineOptions

UNBOUNDED = 2**62
ALONE = frozenset({"context", "cacheType", "quantization", "gpu"})
"""What helps a board that shares its memory: its host has no other to take layers into, and no second GPU."""


@dataclass(frozen=True, slots=True)
class Machine:
    """So many GPUs of one kind, the bytes kept back on each (None: the table's rule), and the host's free bytes.

    `host` None: nobody asked whether the host's part fits.
    """

    gpu: GPU | None = None
    count: int = 0
    reserve: int | None = None
    host: int | None = None

    @property
    def room(self) -> Room:
        """Free bytes, by which it is decided."""
        gpus = (self.gpu.free(self.reserve),) * self.count if self.gpu else ()
        others = tuple((each.name, each.free(self.reserve)) for each in larger(self.gpu)) if self.gpu else ()
        return Room(gpus, UNBOUNDED if self.host is None else self.host, others)


@dataclass(frozen=True, slots=True)
class Device:
    """What one device has to hold. `free` None: not limited; `memory` is all of it, the reserve included."""

    name: str
    buffers: Buffers
    free: int | None
    memory: int | None

    @property
    def missing(self) -> int:
        """Bytes that it lacks."""
        return 0 if self.free is None else max(0, self.buffers.total - self.free)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`largest` is the longest context that fits, in tokens: as trained at the most, unless more was asked for.

    None when not even the shortest does.
    """

    devices: tuple[Device, ...]
    planned: MemoryPlan
    largest: int | None
    remedies: tuple[Remedy, ...]

    @property
    def fits(self) -> bool:
        """Whether no device lacks anything."""
        return not any(device.missing for device in self.devices)


def verdict(facts: ModelFacts, options: EngineOptions, machine: Machine) -> Verdict:
    """PlanError when the engine would refuse the options for this model.

    Where the GPU's memory is the whole board's, the host's part is taken from it first.
    """
    shared = machine.gpu is not None and machine.gpu.shared
    room = machine.room
    planned = plan(facts, options, free=room.gpus)
    if shared:
        room = _less(room, planned.host.total)
    gpus = [
        Device(f"GPU{index}", buffers, free, machine.gpu.memory if machine.gpu else None)
        for index, (buffers, free) in enumerate(zip(planned.devices, room.gpus, strict=True))
    ]
    devices = (*gpus, Device("host", planned.host, machine.host, machine.host))
    longest = largest_context(facts, options, room.gpus, room.host)
    if any(device.missing for device in devices):
        helping = remedies(facts, options, room)
        return Verdict(devices, planned, longest, tuple(each for each in helping if not shared or each.change in ALONE))
    return Verdict(devices, planned, max(longest or 0, planned.context), ())


def _less(room: Room, taken: int) -> Room:
    """What is left of every GPU when so many bytes of it are somebody else's."""
    larger_ones = tuple((name, max(0, free - taken)) for name, free in room.larger)
    return replace(room, gpus=tuple(max(0, free - taken) for free in room.gpus), larger=larger_ones)


def buffers_of(buffers: Buffers) -> dict[str, int]:
    """Return the buffers in bytes, by the names of the JSON."""
    return {
        "model": buffers.model,
        "kv": buffers.kv + buffers.kv_swa,
        "recurrent": buffers.recurrent,
        "compute": buffers.compute,
        "output": buffers.output,
    }


def told(found: Verdict) -> dict[str, Any]:
    """Return the verdict for programs; all sizes in bytes."""
    planned = found.planned
    return {
        "fits": found.fits,
        "contextSize": planned.context,
        "largestContext": found.largest,
        "gpuLayers": planned.gpu_layers,
        "totalLayers": planned.total_layers,
        "buffers": {device.name: buffers_of(device.buffers) for device in found.devices},
        "devices": [
            {
                "name": device.name,
                "memory": device.memory,
                "available": device.free,
                "needed": device.buffers.total,
                "missing": device.missing,
            }
            for device in found.devices
        ],
        "remedies": [{"change": each.change, "value": each.value} for each in found.remedies],
    }
