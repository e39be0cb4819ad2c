"""What the engine's log tells of its start, and what has it tell that.

    log_part(*, has_gpus: bool) -> PodPart
    offloaded(log: str) -> int | None        layers on GPUs; None when the log does not say

llama.cpp says "offloaded 31/31 layers to GPU" of what it was asked for, also on a machine without any GPU (b11669):
only the buffers that it has made tell where the weights are. The log may be anybody's: patterns are as in crash.py.
"""

from __future__ import annotations

import re

from llmkube.desired.pod_part import PodPart

LONGEST = 256 * 1024
"""Bytes of a log within which the start is told; a model's metadata is in them, a chat template among it."""
_LOADING = "loading model tensors"
_OFFLOADED = re.compile(r"offloaded (\d{1,6})/\d{1,6} layers to GPU")
_BUFFER = re.compile(r"load_tensors: {1,32}(\S{1,512}) model buffer size {1,8}= {1,32}(\d{1,12}(?:\.\d{1,3})?) MiB")
_HOST = frozenset({"CPU", "AMX", "BLAS", "ZenDNN"})
"""Buffers in the host's memory: ggml's CPU backend and its companions; and see `_is_on_host`."""


def log_part(*, has_gpus: bool) -> PodPart:
    """Return what makes a start and an end told: each device's buffers, and the last lines in the pod's status.

    A variable, as an extra argument may ask for another log; a build that does not know it leaves it alone.
    """
    verbosity = ({"name": "LLAMA_ARG_LOG_VERBOSITY", "value": "4"},) if has_gpus else ()
    return PodPart(env=verbosity, container={"terminationMessagePolicy": "FallbackToLogsOnError"})


def offloaded(log: str) -> int | None:
    """Return how many layers are on GPUs, of the first model that the log tells of: a draft model comes after it."""
    _, loading, rest = log[:LONGEST].partition(_LOADING)
    told = rest.partition(_LOADING)[0]
    buffers = _BUFFER.findall(told)
    if not loading or not buffers:
        return None
    if not any(float(size) > 0 and not _is_on_host(device) for device, size in buffers):
        return 0
    layers = _OFFLOADED.search(told)
    return int(layers[1]) if layers else None


def _is_on_host(device: str) -> bool:
    """A GPU reads what is called by its backend and `_Host` over the bus."""
    return device.endswith("_Host") or device.partition("_")[0] in _HOST
