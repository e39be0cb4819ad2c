"""The table of GPUs: names as people and drivers write them, and what is kept back on each."""

from __future__ import annotations

import pytest

from llmkube.cli.errors import InputError
from llmkube.cli.fit.gpus import MIB, known, larger, named, reserve_of, sized


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("L4", "L4"),
        ("l4", "L4"),
        ("Tesla T4", "T4"),
        ("NVIDIA A100-SXM4-80GB", "A100-80G"),
        ("a100 80gb", "A100-80G"),
        ("A100", "A100-40G"),
        ("NVIDIA H100 80GB HBM3", "H100-80G"),
        ("NVIDIA GeForce RTX 4090", "RTX-4090"),
        ("rtx_3060", "RTX-3060"),
        ("AMD Instinct MI300X", "MI300X"),
        ("Jetson Orin", "Jetson-AGX-Orin-64G"),
        ("B580", "Arc-B580"),
    ],
)
def test_a_gpu_is_known_as_people_and_drivers_write_it(written: str, name: str) -> None:
    assert named(written).name == name


def test_an_unknown_name_lists_those_that_look_alike_and_the_other_way() -> None:
    with pytest.raises(InputError) as caught:
        named("RTX 4095")
    assert "RTX-4090" in caught.value.message
    assert "--gpu-memory 24Gi" in caught.value.message
    assert "\n" not in caught.value.message


def test_no_two_gpus_share_a_name() -> None:
    names = [name for each in known() for name in (each.name, *each.aliases)]
    assert len(names) == len({name.lower().replace("-", "") for name in names})
    assert all(named(name).name == each.name for each in known() for name in (each.name, *each.aliases))


def test_every_figure_says_where_it_is_from_and_is_of_a_plausible_size() -> None:
    assert {each.source for each in known()} == {"smi", "rocm", "log", "sheet"}
    assert all(4 * 1024 <= each.memory_mib <= 512 * 1024 for each in known())
    assert {"nvidia", "amd", "intel"} == {each.vendor for each in known()}


def test_what_is_free_is_the_memory_less_a_reserve_that_grows_with_it() -> None:
    gpu = named("L4")
    assert gpu.memory == 23_034 * MIB
    assert gpu.free() == gpu.memory - reserve_of(gpu.memory)
    assert reserve_of(gpu.memory) == 512 * MIB + gpu.memory // 100
    assert gpu.free(reserve=0) == gpu.memory
    assert sized(100 * MIB).free() == 0


def test_larger_gpus_are_of_the_same_vendor_and_in_order() -> None:
    found = larger(named("L4"))
    assert {each.vendor for each in found} == {"nvidia"}
    assert [each.memory for each in found] == sorted(each.memory for each in found)
    assert all(each.memory > named("L4").memory and not each.shared for each in found)
