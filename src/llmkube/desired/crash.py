"""Why an engine ended, from the last lines that it wrote: one reason, one sentence, one next step.

    crash(exit_code: int, reason: str, log: str) -> Crash | None       None: nothing that is known

The lines are llama.cpp's own (b11669; tests/unit/desired/test_crash.py has them as the engine wrote them). They come
from a container, so from anywhere: they choose among these sentences and are quoted in part, never taken as they are.
No pattern may repeat anything without a bound, or two things of which one can be the other (test_patterns.py): a look
at a text must cost the loop a time that is linear in its length, whatever is written there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST_LOG = 16 * 1024
_QUOTED = 200
_CLOCK = re.compile(r"[\d.:]{1,32} [A-Z] (?:(?:srv|cmn) {1,32})?")


@dataclass(frozen=True, slots=True)
class Crash:
    """`lasting` ones come again however often the engine is started."""

    reason: str
    message: str
    lasting: bool = True


@dataclass(frozen=True, slots=True)
class _Cause:
    reason: str
    pattern: re.Pattern[str]
    step: str
    lasting: bool = True


def _cause(reason: str, pattern: str, step: str, *, lasting: bool = True) -> _Cause:
    return _Cause(reason, re.compile(pattern, re.IGNORECASE | re.MULTILINE), step, lasting)


_MEMORY = "lower spec.contextSize or spec.parallel, quantise the KV cache (cacheTypeK), or give it more"
CAUSES = (
    _cause(
        "OutOfGPUMemory",
        r"(cuda|hip|sycl|vk|vulkan|metal)[^\n]{0,100}(?-i:out of (device )?memory)|cudaMalloc failed|"
        r"allocating [\d.]{1,20} MiB on device \d|ErrorOutOfDeviceMemory|unable to allocate \w{1,64} buffer",
        f"another process may hold the GPU; {_MEMORY}, or put fewer layers on it (hardware.gpu.layers of the Model)",
        lasting=False,
    ),
    _cause(
        "OutOfMemory",
        r"failed to allocate|std::bad_alloc|cannot allocate memory",
        f"{_MEMORY} (spec.resources.memory)",
        lasting=False,
    ),
    _cause("ArchitectureUnknown", r"unknown (model )?architecture", "take a newer spec.image, or another model"),
    _cause(
        "ModelDamaged",
        r"model is corrupted or incomplete|invalid magic characters|tensor '[^'\n]{1,100}' (not found|has wrong)",
        "its bytes are read again, and fetched anew if they are damaged: see the Model's condition Degraded",
        lasting=False,
    ),
    _cause(
        "QuantizedCacheRefused",
        r"quantized V cache requires flash_attn|V cache quantization requires flash_attn",
        "set spec.flashAttention to on, or take cacheTypeV f16",
    ),
    _cause(
        "AdapterRefused", r"failed to (load|apply) lora adapter", "correct spec.loraAdapters: adapters of this model"
    ),
    _cause("ProjectorRefused", r"failed to load (clip|multimodal) model", "correct mmprojSource of the Model"),
    _cause("APIKeysUnreadable", r"\"--api-key-file\": error", "correct the Secret that spec.auth.secretRef names"),
    _cause(
        "InvalidArgument",
        r"invalid argument: |error while handling argument|to show complete usage|^error: --?\w[\w-]{0,64}: expected",
        "correct spec.extraArgs or spec.image",
    ),
    _cause(
        "FileMissing",
        r"no such file or directory|failed to open file",
        "see that the file is in the cache: `llmkube cache verify`",
        lasting=False,
    ),
    _cause(
        "AddressInUse",
        r"couldn't bind HTTP server socket|address already in use",
        "remove what listens on the engine's port in this pod",
    ),
    _cause(
        "GPUUnavailable",
        r"no (usable|cuda-capable) (gpu|device)|cuda driver version is insufficient|failed to initialize cuda|"
        r"no kernel image is available",
        "see that the node's driver fits spec.image, and spec.runtimeClassName",
    ),
)
"""In the order in which they are looked for: the closer to the cause, the earlier."""


def crash(exit_code: int, reason: str, log: str) -> Crash | None:
    """Return what is known of an end with this exit code, the kubelet's reason, and the last lines of the log."""
    if reason == "OOMKilled":
        return Crash(
            "OutOfMemory",
            f"the kernel killed it, as it used more memory than its limit; {_MEMORY} (spec.resources.memory)",
            lasting=False,
        )
    text = log[-LONGEST_LOG:]
    for cause in CAUSES:
        found = cause.pattern.search(text)
        if found is not None:
            return Crash(cause.reason, f"{_line(text, found)}; {cause.step}", cause.lasting)
    return _by_signal(exit_code)


def _by_signal(exit_code: int) -> Crash | None:
    if exit_code in {132, 134, 136, 139}:
        step = (
            "its last lines are in `llmkube logs`; if they say nothing, the node's CPU or driver may not fit spec.image"
        )
        return Crash("EngineAborted", f"the engine broke off (signal {exit_code - 128}); {step}", lasting=False)
    return None


def _line(text: str, found: re.Match[str]) -> str:
    """The whole line, without the clock and the level in front of it."""
    start = text.rfind("\n", 0, found.start()) + 1
    end = text.find("\n", found.end())
    line = text[start : end if end >= 0 else None].strip()
    clock = _CLOCK.match(line)
    return line[clock.end() if clock else 0 :][:_QUOTED]
