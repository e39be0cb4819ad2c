"""`llmkube fit` as a person and a script use it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from llmkube.cli import errors
from llmkube.cli.fit import command
from llmkube.cli.fit.show import bar_of, table
from llmkube.cli.fit.verdict import Device
from llmkube.gguf.plan.buffers import Buffers

GIB = 1024**3
BUFFERS = {"model", "kv", "recurrent", "compute", "output"}


def fit(invoke: Any, *arguments: str) -> Result:
    result: Result = invoke("fit", *arguments)
    return result


def test_what_fits_is_yes_and_zero(invoke: Any) -> None:
    result = fit(invoke, "qwen3-8b", "--gpu", "L4", "--context", "16384")
    assert result.exit_code == 0
    assert "It fits." in result.stdout
    assert "37 of 37 layers on L4" in result.stdout
    assert "█" in next(line for line in result.stdout.splitlines() if line.startswith("GPU0"))


def test_what_does_not_fit_is_no_one_and_the_number_that_is_missing(invoke: Any) -> None:
    arguments = ("qwen3-32b", "--gpu", "L4", "--context", "32768")
    result = fit(invoke, *arguments)
    missing = json.loads(fit(invoke, *arguments, "-o", "json").stdout)["devices"][0]["missing"]
    assert result.exit_code == 1
    assert f"GPU0 lacks {missing / GIB:.1f}Gi" in result.stdout
    for words in ("--gpu-layers", "--context", "--cache-type-k q", "file", "--gpu-count 2", "--gpu "):
        assert words in result.stdout


@pytest.mark.parametrize("flags", [("--gpu-layers", "20"), ("--gpu-count", "2"), ("--gpu", "A100-80G")])
def test_what_is_told_to_help_helps(invoke: Any, flags: tuple[str, str]) -> None:
    base = {"--gpu": "L4", "--context": "32768"} | dict([flags])
    assert fit(invoke, "qwen3-32b", *(word for pair in base.items() for word in pair)).exit_code == 0


def test_json_has_every_buffer_of_every_device_in_bytes(invoke: Any) -> None:
    flags = ("--gpu-memory", "24Gi", "--gpu-count", "2", "--host-memory", "8Gi", "-o", "json")
    told = json.loads(fit(invoke, "qwen3-8b", *flags).stdout)
    assert told["fits"] is True
    assert set(told["buffers"]) == {"GPU0", "GPU1", "host"}
    assert all(set(sizes) == BUFFERS for sizes in told["buffers"].values())
    assert told["gpu"] == {"name": "24Gi GPU", "count": 2, "memory": 24 * GIB, "reserved": 794_568_949}
    for device in told["devices"]:
        assert device["needed"] == sum(told["buffers"][device["name"]].values())
        assert device["missing"] == 0
    assert told["devices"][2]["available"] == 8 * GIB


def test_json_is_printed_too_when_it_does_not_fit(invoke: Any) -> None:
    result = fit(invoke, "llama-3.3-70b-instruct", "--gpu", "T4", "-o", "json")
    told = json.loads(result.stdout)
    assert result.exit_code == 1
    assert told["fits"] is False
    assert told["devices"][0]["missing"] > 20 * GIB
    assert {"change": "gpuCount", "value": 4} in told["remedies"]


def test_a_smaller_kv_type_and_less_context_need_less(invoke: Any) -> None:
    def kv(*flags: str) -> int:
        told = json.loads(fit(invoke, "qwen3-8b", "--gpu", "L4", "-o", "json", *flags).stdout)
        size: int = told["buffers"]["GPU0"]["kv"]
        return size

    half = kv("--context", "16384")
    assert kv("--context", "32768") == 2 * half
    assert kv("--context", "16384", "--cache-type-k", "q8_0", "--cache-type-v", "q8_0") == half * 17 // 32


def test_a_quantization_of_the_catalogue_is_named_behind_a_colon(invoke: Any) -> None:
    def weights(model: str) -> int:
        told = json.loads(fit(invoke, model, "--host-memory", "64Gi", "-o", "json").stdout)
        size: int = told["buffers"]["host"]["model"]
        return size

    assert (
        weights("llama-3.1-8b-instruct:q8_0")
        > weights("llama-3.1-8b-instruct")
        == weights("llama-3.1-8b-instruct:Q4_K_M")
    )


def test_without_a_gpu_it_is_planned_for_this_machines_memory(invoke: Any) -> None:
    told = json.loads(fit(invoke, "smollm2-135m-instruct", "-o", "json").stdout)
    assert told["gpu"] is None
    assert set(told["buffers"]) == {"host"}
    assert told["devices"][0]["available"] > GIB


def test_a_boards_own_memory_holds_the_hosts_part_too(invoke: Any) -> None:
    flags = ("--gpu", "Orin-Nano", "-o", "json")
    told = json.loads(fit(invoke, "llama-3.2-3b-instruct", *flags).stdout)
    host = told["devices"][1]["needed"]
    assert told["devices"][0]["available"] == told["gpu"]["memory"] - told["gpu"]["reserved"] - host
    larger = json.loads(fit(invoke, "qwen3-14b", *flags).stdout)
    assert larger["fits"] is False
    assert {"change": "gpu", "value": "Jetson-Orin-NX-16G"} in larger["remedies"]
    assert {"gpuLayers", "gpuCount"}.isdisjoint(each["change"] for each in larger["remedies"])


def test_in_a_container_the_memory_is_its_limit(invoke: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(command, "CGROUP_LIMIT", str(limit))

    def available() -> int:
        size: int = json.loads(fit(invoke, "smollm2-135m-instruct", "-o", "json").stdout)["devices"][0]["available"]
        return size

    limit.write_text("268435456\n")
    assert available() == 256 * 1024**2
    limit.write_text("max\n")
    assert available() > GIB


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("qwen3-8b", "--gpu", "L5"), errors.USAGE, "did you mean L4"),
        (("qwen3-8b", "--gpu-memory", "lots"), errors.USAGE, "--gpu-memory: expected a quantity"),
        (("qwen3-8b", "--gpu-count", "2"), errors.USAGE, "expected --gpu or --gpu-memory with it"),
        (("qwen3-8b", "--gpu", "L4", "--tensor-split", "3;1"), errors.USAGE, "expected shares such as 3,1"),
        (("qwen3-8b", "--gpu", "L4", "--tensor-split", "3,1"), errors.USAGE, "at most one share for each of 1 GPUs"),
        (
            ("qwen3-8b", "--flash-attention", "off", "--cache-type-v", "q8_0"),
            errors.USAGE,
            "turn flash attention on",
        ),
        (("no-such-model",), errors.NOT_FOUND, "No such file"),
        (("qwen3-8b:Q1",), errors.USAGE, "expected a quantization among Q4_K_M"),
    ],
)
def test_what_cannot_be_is_one_line(invoke: Any, arguments: tuple[str, ...], code: int, words: str) -> None:
    result = fit(invoke, *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_pipe_gets_no_colours(invoke: Any) -> None:
    assert "\x1b" not in fit(invoke, "qwen3-8b", "--gpu", "L4").stdout


FULL = Device("GPU0", Buffers(model=6 * GIB, kv=GIB, kv_swa=GIB, compute=GIB, output=GIB), 20 * GIB, 24 * GIB)


def test_the_bar_has_a_part_for_each_buffer_and_the_rest_is_free() -> None:
    assert bar_of(FULL, 20, largest=1).plain == "█" * 6 + "▓" * 2 + "▒" * 2 + "░" * 10
    assert bar_of(FULL, 20, largest=1, encoding="ascii").plain == "#" * 6 + "=" * 2 + "+" * 2 + "." * 10


def test_a_bar_that_is_too_long_shows_where_the_memory_ends() -> None:
    lacking = Device("GPU0", Buffers(model=16 * GIB, kv=4 * GIB), 10 * GIB, 12 * GIB)
    drawn = bar_of(lacking, 20, largest=1).plain
    assert drawn.index("|") == 10
    assert len(drawn) == 20


SIZES = st.integers(0, 2**40)


@given(
    st.builds(Buffers, model=SIZES, kv=SIZES, kv_swa=SIZES, recurrent=SIZES, compute=SIZES, output=SIZES),
    st.one_of(st.none(), SIZES),
    st.integers(10, 60),
)
def test_a_bar_is_as_wide_as_it_should_be_whatever_it_shows(buffers: Buffers, free: int | None, width: int) -> None:
    drawn = bar_of(Device("GPU0", buffers, free, None), width, largest=2**40).plain
    assert len(drawn) <= width
    assert len(drawn) == width or free is None
    assert ("|" in drawn) == (free is not None and buffers.total > free)


def test_the_example_of_the_documentation_is_what_the_command_prints(invoke: Any) -> None:
    """Numbers apart: better plans move them."""
    document = (Path(__file__).parents[3] / "docs" / "models.md").read_text()
    command, _, shown = document.partition("    $ llmkube fit ")[2].partition("\n")
    lines = [line[4:] for line in shown.partition("\n- **Exit code**")[0].rstrip().splitlines()]

    printed = fit(invoke, *command.split()).stdout.rstrip().splitlines()

    assert [masked(line) for line in printed] == [masked(line) for line in lines]


def masked(line: str) -> str:
    """A line without its numbers and the bar's length."""
    return re.sub(r"\s+", " ", re.sub(r"[█▓▒░|]+", "#", re.sub(r"\d+(\.\d+)?(Mi|Gi)?", "0", line)))


@pytest.mark.parametrize(("width", "columns"), [(120, 7), (80, 7), (60, 4), (36, 3)])
def test_a_narrow_terminal_loses_columns_and_wraps_nothing(width: int, columns: int) -> None:
    console = Console(width=width, no_color=True)
    with console.capture() as captured:
        console.print(table((FULL,), width=width))
    lines = captured.get().splitlines()
    assert len(lines) == 2
    assert len(lines[0].split()) == columns
    assert all(len(line) <= width for line in lines)
