"""What a plan answers: bytes of each buffer, under the names of the engine's own log lines."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Buffers:
    """Bytes on one device. `kv_swa`: of layers that see a window only. `output`: logits, always on the host."""

    model: int = 0
    kv: int = 0
    kv_swa: int = 0
    recurrent: int = 0
    compute: int = 0
    output: int = 0

    @property
    def total(self) -> int:
        return self.model + self.kv + self.kv_swa + self.recurrent + self.compute + self.output

    def __add__(self, other: Buffers) -> Buffers:
        return Buffers(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """One entry of `devices` per GPU. `gpu_layers` of `total_layers` are on GPUs: the output layer counts as one.

    `context` is what the engine makes of the context that was asked for: padded, and shared out among its slots.
    """

    devices: tuple[Buffers, ...]
    host: Buffers
    context: int
    gpu_layers: int
    total_layers: int

    @property
    def sum(self) -> Buffers:
        """All devices and the host together."""
        total = self.host
        for device in self.devices:
            total += device
        return total

    @property
    def total(self) -> int:
        return self.sum.total
