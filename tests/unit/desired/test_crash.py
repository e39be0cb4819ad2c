"""What an engine's last lines mean: each as llama.cpp b11669 wrote it, but for those of GPUs, which are marked."""

from __future__ import annotations

import pytest

from llmkube.desired.crash import CAUSES, crash

END = """\
0.00.024.348 E llama_model_load_from_file_impl: failed to load model
0.00.024.373 E cmn  common_init_: failed to load model '/models/m.gguf'
0.00.024.385 E srv    load_model: failed to load model, '/models/m.gguf'
0.00.024.398 I srv    operator(): operator(): cleaning up before exit...
0.00.024.965 E srv  llama_server: exiting due to model loading error"""
NO_CONTEXT = """\
0.00.264.654 E cmn  common_init_: failed to create context with model '/models/m.gguf'
0.00.264.713 I srv    operator(): operator(): cleaning up before exit...
0.00.266.763 E srv  llama_server: exiting due to model loading error"""
USAGE = "\n\nusage:\n--api-key-file FNAME   path to file containing API keys\n\n\nto show complete usage, run with -h"
SEEN = {
    "FileMissing": f"""\
0.00.034.378 E gguf_init_from_file: failed to open GGUF file '/models/m.gguf' (No such file or directory)
0.00.034.506 E llama_model_load: error loading model: llama_model_loader: failed to load model from /models/m.gguf
{END}""",
    "ModelDamaged": f"""\
0.00.047.062 E llama_model_load: error loading model: tensor 'token_embd.weight' data is not within the file bounds, \
model is corrupted or incomplete
{END}""",
    "ArchitectureUnknown": f"""\
0.00.103.822 E llama_model_load: error loading model: unknown model architecture: 'llamx'
{END}""",
    "QuantizedCacheRefused": f"""\
0.00.264.604 E llama_init_from_model: quantized V cache requires flash_attn to be enabled
{NO_CONTEXT}""",
    "OutOfMemory": f"""\
0.00.199.488 E llama_init_from_model: failed to initialize the context: failed to allocate buffer for kv cache
{NO_CONTEXT}""",
    "AdapterRefused": f"""\
0.00.176.812 E llama_adapter_lora_init_from_file_ptr: failed to apply lora adapter: expect general.type to be \
'adapter', but got: model
0.00.176.866 E cmn  common_init_: failed to load lora adapter '/models/m.gguf'
{NO_CONTEXT}""",
    "ProjectorRefused": """\
0.00.242.370 E mtmd_init_from_file: error: Failed to load CLIP model from /models/p.gguf

0.00.242.387 E srv    load_model: failed to load multimodal model, '/models/p.gguf'
0.00.247.106 E srv  llama_server: exiting due to model loading error""",
    "APIKeysUnreadable": "error while handling argument \"--api-key-file\": error: failed to open file 'keys'" + USAGE,
    "InvalidArgument": "error: invalid argument: --nonsense",
    "AddressInUse": """\
0.00.028.846 E srv         start: couldn't bind HTTP server socket, hostname: 0.0.0.0, port: 8080
0.00.028.861 I srv    operator(): operator(): cleaning up before exit...
0.00.028.935 E srv  llama_server: exiting due to HTTP server error""",
}
FROM_SOURCE = {  # not seen here: no GPU; the texts are those of ggml-cuda.cu, ggml-vulkan.cpp and of the CUDA runtime
    "OutOfGPUMemory": (
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 81.0 MiB on device 0: cudaMalloc failed: out of memory",
        "ggml_vulkan: Device memory allocation of size 1073 failed: vk::Device::allocateMemory: ErrorOutOfDeviceMemory",
        "CUDA error: out of memory",
    ),
    "GPUUnavailable": (
        "ggml_cuda_init: failed to initialize CUDA: CUDA driver version is insufficient for CUDA runtime version",
        "CUDA error: no kernel image is available for execution on the device",
    ),
}


@pytest.mark.parametrize("reason", SEEN)
def test_the_lines_of_an_engine_that_could_not_start_become_a_reason_and_a_next_step(reason: str) -> None:
    found = crash(1, "Error", SEEN[reason])
    assert found is not None
    assert found.reason == reason
    quoted, _, step = found.message.partition("; ")
    assert quoted in SEEN[reason]
    assert not quoted.startswith("0.0")
    assert step == next(each.step for each in CAUSES if each.reason == reason)


@pytest.mark.parametrize(
    ("reason", "line"), [(reason, line) for reason, lines in FROM_SOURCE.items() for line in lines]
)
def test_the_lines_of_a_gpu_that_could_not_be_used_become_a_reason(reason: str, line: str) -> None:
    found = crash(1, "Error", f"{line}\n{NO_CONTEXT}")
    assert found is not None
    assert found.reason == reason


def test_the_launcher_of_local_mode_says_what_it_does_not_take_in_words_of_its_own() -> None:
    found = crash(2, "Error", "error: --rope-scaling: expected one of none, linear, yarn, found 'x'; correct it\n")
    assert found is not None
    assert found.reason == "InvalidArgument"


def test_every_cause_is_shown_by_lines() -> None:
    assert {each.reason for each in CAUSES} == {*SEEN, *FROM_SOURCE}


def test_a_hundred_lines_become_one_sentence() -> None:
    noise = "\n".join(
        f"0.00.0{number:02} I load_tensors: layer {number} assigned to device CPU" for number in range(95)
    )
    found = crash(1, "Error", f"{noise}\n{SEEN['ArchitectureUnknown']}")
    assert found is not None
    assert found.message == (
        "llama_model_load: error loading model: unknown model architecture: 'llamx'; "
        "take a newer spec.image, or another model"
    )


def test_an_engine_that_the_kernel_killed_for_memory_needs_no_words() -> None:
    found = crash(137, "OOMKilled", "")
    assert found is not None
    assert (found.reason, found.lasting) == ("OutOfMemory", False)


def test_an_engine_that_broke_off_is_told_by_its_signal() -> None:
    found = crash(134, "Error", "GGML_ASSERT(x) failed")
    assert found is not None
    assert "signal 6" in found.message


@pytest.mark.parametrize("words", ["", "bye", "\x00" * 5000, "a" * 100_000, "\n" * 100_000])
def test_an_end_of_which_nothing_is_known_is_none(words: str) -> None:
    assert crash(1, "Error", words) is None


def test_a_line_of_any_length_is_quoted_in_part() -> None:
    found = crash(1, "Error", "unknown model architecture: '" + "x" * 100_000)
    assert found is None or len(found.message) < 500


@pytest.mark.parametrize("name", ["CUDA", "hip", "SYCL", "ggml_vulkan", "ggml_metal"])
def test_memory_of_a_gpu_is_told_from_the_hosts_by_a_name_before_it_on_the_same_line(name: str) -> None:
    found = crash(1, "Error", f"0.00.1 E {name} backend, buffer 3: out of device memory")
    assert found is not None
    assert found.reason == "OutOfGPUMemory"
    assert crash(1, "Error", f"{name}\nout of memory") is None


def test_the_clock_and_the_part_of_the_server_are_not_quoted() -> None:
    for before in ("", "0.00.028.846 E ", "0.00.028.846 E srv         ", "0.00.028.846 E cmn  "):
        found = crash(1, "Error", f"{before}start: address already in use")
        assert found is not None
        assert found.message.startswith("start: address already in use; ")
