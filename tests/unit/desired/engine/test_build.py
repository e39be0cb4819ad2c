"""Which flags an engine has: as measured of each build, and only old ones where nobody knows the build."""

from __future__ import annotations

import re
import subprocess

import pytest
from tests.real_engine import MISSING, program

from llmkube.desired.engine.build import LONG_STANDING, Build, build_of, known_builds


@pytest.mark.parametrize(
    ("image", "told", "number"),
    [
        ("ghcr.io/ggml-org/llama.cpp:server-cuda-b11669", None, 11669),
        ("registry:5000/llama.cpp:server-b10068@sha256:ab", None, 10068),
        ("registry:5000/mine/llama-server:b11000", None, 11000),
        ("registry:5000/mine/llama-server:1.2", None, None),
        ("registry:5000/mine/llama-server:1.2", 11669, 11669),
        ("registry/llama.cpp:server-b11669", 10068, 11669),
        ("registry/llama.cpp:server-b99999", None, None),
        ("registry/llama.cpp:server-b4000", None, None),
        ("registry-b11669/engine", None, None),
        ("engine@sha256:" + "ab" * 32, 11669, 11669),
    ],
)
def test_the_tag_tells_the_build_and_the_operator_does_where_it_does_not(
    image: str, told: int | None, number: int | None
) -> None:
    assert build_of(image, told=told) == Build(number)


def test_flags_come_and_go_with_the_builds() -> None:
    old, new = Build(10068), Build(11669)
    assert (old.has("--load-mode"), new.has("--load-mode"), new.has("-lm"), old.has("-lm")) == (
        False,
        True,
        True,
        False,
    )
    assert (old.has("--no-mmap"), new.has("--no-mmap")) == (True, False)


def test_a_build_between_two_measured_ones_has_what_both_have() -> None:
    between = Build(11000)  # of 10068 and 11549
    assert not between.has("--load-mode")
    assert not between.has("--no-mmap")
    assert between.has("--temp")


def test_an_unknown_build_has_what_every_measured_one_has() -> None:
    assert not Build(None).has("--load-mode")
    assert Build(None).has("--ctx_size")
    for number in known_builds():
        assert [flag for flag in LONG_STANDING if not Build(number).has(flag)] == []


@pytest.mark.parametrize(
    ("flag", "values"),
    [("--temp", 1), ("-fa", 1), ("--no-warmup", 0), ("--control-vector-layer-range", 2), ("--ctx_size", 1)],
)
def test_it_is_known_how_many_words_follow_a_flag(flag: str, values: int) -> None:
    assert Build(11669).values(flag) == values


def test_a_flag_that_there_is_not_has_a_nearest_one() -> None:
    assert Build(11669).nearest("--tempp") == "--temp"
    assert Build(11669).nearest("--qqqqqqqqqqqq") is None


@pytest.mark.engine
def test_the_table_of_the_newest_build_is_what_the_real_engine_prints() -> None:
    found = program("llama-server")
    if not found:
        pytest.skip(f"NO llama-server: {MISSING}; whether our table of its flags is true is NOT tested")
    run = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=30, check=False)
    number = re.search(r"build (\d+)", run.stdout + run.stderr)
    assert number, run.stderr
    if int(number[1]) != known_builds()[-1]:
        pytest.skip(f"llama-server is b{number[1]}: whether the table of b{known_builds()[-1]} is true is NOT tested")
    told = subprocess.run([found, "--help"], capture_output=True, text=True, timeout=30, check=False).stdout
    entries = [entry for entry in re.split(r"\n(?=-)", told) if "the argument has been removed" not in entry]
    heads = [entry.splitlines()[0][:100] for entry in entries if re.match(r"--?[a-z]", entry)]
    spelled = {name for head in heads for name in re.findall(r"(?:^|, )(--?[A-Za-z][\w.-]*)", re.sub(" +", " ", head))}
    assert len(spelled) > 300
    assert {name for name in spelled if not Build(int(number[1])).has(name)} == set()
