"""How many layers are on GPUs, by the engine's own log; tests/component/test_offload.py has a real engine say it."""

from __future__ import annotations

import pytest

from llmkube.desired.engine_log import LONGEST, offloaded

START = """\
0.00.140.444 I load_tensors: loading model tensors, this can take a while... (load_mode = mmap)
0.00.148.007 I load_tensors: offloading output layer to GPU
0.00.148.028 I load_tensors: offloading 29 repeating layers to GPU
0.00.148.029 I load_tensors: offloaded {layers}/31 layers to GPU
"""
HOST = "0.00.148.033 I load_tensors:   CPU_Mapped model buffer size =    92.10 MiB\n"


def log(*devices: str, layers: int = 31) -> str:
    lines = [f"0.00.148.033 I load_tensors: {device:>12} model buffer size =    42.10 MiB\n" for device in devices]
    return START.format(layers=layers) + HOST + "".join(lines)


@pytest.mark.parametrize(
    "device",
    ["CUDA0", "ROCm0", "Vulkan0", "SYCL0", "MTL0_Mapped", "RPC0[127.0.0.1:5000]", "CUDA0_Split", "Meta(CUDA0,CUDA1)"],
)
def test_layers_are_on_a_gpu_where_a_buffer_of_one_holds_weights(device: str) -> None:
    assert offloaded(log(device)) == 31
    assert offloaded(log(device, layers=12)) == 12


@pytest.mark.parametrize("devices", [(), ("CPU",), ("CUDA_Host", "CPU_REPACK"), ("AMX",)])
def test_what_the_engine_says_of_itself_does_not_count_where_every_buffer_is_the_hosts(
    devices: tuple[str, ...],
) -> None:
    """As b11669 says it on a machine without any GPU."""
    assert offloaded(log(*devices)) == 0


def test_a_draft_model_after_the_first_one_does_not_count() -> None:
    assert offloaded(log() + log("CUDA0")) == 0
    assert offloaded(log("CUDA0") + log()) == 31


@pytest.mark.parametrize("text", ["", "hello", START.format(layers=31), "x" * LONGEST + log("CUDA0"), "\n" * 1000])
def test_a_log_that_does_not_tell_is_unknown(text: str) -> None:
    assert offloaded(text) is None
