"""What llama-quantize makes of tensors, against files that it made."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmkube.gguf.outline import outline
from llmkube.gguf.quantize import DEFAULTS, requantized
from llmkube.gguf.reader import read_file

SMALL = {
    "block_count": 16,
    "embedding_length": 512,
    "feed_forward_length": 1024,
    "context_length": 4096,
    "attention.head_count": 8,
    "attention.head_count_kv": 2,
}


def types(file_type: str, **changes: object) -> dict[str, str]:
    header = outline("llama", {**SMALL, **changes}, vocabulary=1000, tied=False)
    return {one.name: one.type for one in requantized(header, file_type).tensors}


def test_a_real_file_in_its_own_file_type_stays_as_it_is(smollm2: Path) -> None:
    header = read_file(smollm2)

    again = requantized(header, "Q4_1")

    assert {one.name: one.type for one in again.tensors} == {one.name: one.type for one in header.tensors}
    assert again.tensor_bytes == sum(one.size for one in header.tensors)


def test_more_bits_are_more_bytes() -> None:
    header = outline("llama", SMALL, vocabulary=32_000, tied=False)
    quantized = [name for name in DEFAULTS if name not in {"F32", "BF16", "F16", "MXFP4_MOE"}]
    sizes = {name: requantized(header, name).tensor_bytes for name in quantized}

    by_family = [["Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q4_K_M", "Q4_K_S", "Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K"]]
    for family in by_family:
        assert [sizes[name] for name in family] == sorted((sizes[name] for name in family), reverse=True)


def test_the_medium_mix_favours_the_first_the_last_and_a_third_of_the_layers() -> None:
    found = types("Q4_K_M")
    favoured = [layer for layer in range(16) if found[f"blk.{layer}.ffn_down.weight"] == "Q6_K"]
    assert favoured == [0, 1, 4, 7, 10, 13, 14, 15]
    assert found["blk.2.ffn_down.weight"] == found["blk.0.attn_q.weight"] == "Q4_K"
    assert (found["output.weight"], found["token_embd.weight"]) == ("Q6_K", "Q4_K")
    assert found["blk.0.attn_norm.weight"] == "F32"


def test_rows_that_are_no_whole_blocks_fall_back_to_a_type_of_shorter_ones() -> None:
    found = types("Q4_K_M", embedding_length=480, **{"attention.key_length": 60, "attention.value_length": 60})
    assert found["blk.2.attn_q.weight"] == "Q5_0"
    assert found["output.weight"] == "Q8_0"


def test_experts_are_mxfp4_and_the_rest_q8_0() -> None:
    found = types("MXFP4_MOE", expert_count=4, expert_used_count=2)
    assert found["blk.0.ffn_up_exps.weight"] == "MXFP4"
    assert found["blk.0.attn_q.weight"] == found["output.weight"] == "Q8_0"
    assert found["blk.0.ffn_gate_inp.weight"] == "F32"


def test_an_unknown_file_type_and_architecture_name_what_there_is() -> None:
    header = outline("llama", SMALL, vocabulary=10, tied=True)
    with pytest.raises(ValueError, match="expected one of F32"):
        requantized(header, "Q9")
    with pytest.raises(ValueError, match="expected one of bert"):
        outline("abacus", SMALL, vocabulary=10, tied=True)
