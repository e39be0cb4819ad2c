"""The catalogue that is shipped: complete, true to itself, and of models whose tensors add up."""

from __future__ import annotations

import pytest

from llmkube.api.strict import parse
from llmkube.cli.catalog import memory, read, show
from llmkube.cli.catalog.entries import Entry
from llmkube.gguf.outline import outline
from llmkube.gguf.quantize import requantized
from llmkube.models.source import parse as parse_source

ENTRIES = list(read.shipped().values())
SIZED = [(entry, one) for entry in ENTRIES for one in entry.quantizations if one.size_bytes]
TOKENIZER = 150
"""Bytes of a header for each token: its text, score, type and merges."""


def name(value: object) -> str:
    return value.id if isinstance(value, Entry) else ""


def test_it_has_models_of_every_task_size_and_kind_of_licence() -> None:
    assert {task for entry in ENTRIES for task in entry.tasks} >= {
        "chat",
        "code",
        "reasoning",
        "vision",
        "embedding",
        "rerank",
    }
    assert {entry.license for entry in ENTRIES} >= {"apache-2.0", "mit", "llama3.1", "gemma"}
    assert min(entry.parameters for entry in ENTRIES) < 2e8
    assert max(entry.parameters for entry in ENTRIES) > 1e11
    assert 25 <= len(ENTRIES) <= 80


@pytest.mark.parametrize("entry", ENTRIES, ids=name)
def test_the_tensors_that_its_numbers_describe_have_the_parameters_that_it_states(entry: Entry) -> None:
    described = outline(entry.architecture, entry.header, vocabulary=entry.vocabulary, tied=entry.tied)

    assert sum(one.elements for one in described.tensors) == pytest.approx(entry.parameters, rel=0.0025)


@pytest.mark.parametrize(("entry", "one"), SIZED, ids=name)
def test_a_published_file_is_as_long_as_its_tensors_and_a_tokenizer(entry: Entry, one: object) -> None:
    described = outline(entry.architecture, entry.header, vocabulary=entry.vocabulary, tied=entry.tied)
    quantization = next(each for each in entry.quantizations if each is one)
    assert quantization.size_bytes is not None

    tensors = requantized(described, quantization.name).tensor_bytes

    assert 0.9995 * tensors <= quantization.size_bytes <= 1.0005 * tensors + TOKENIZER * entry.vocabulary


@pytest.mark.parametrize("entry", [each for each in ENTRIES if each.id.startswith("qwen")], ids=name)
def test_files_of_one_model_differ_from_their_tensors_by_the_same_header(entry: Entry) -> None:
    """What llama-quantize makes is known to the byte: published files of five quantisations leave the same rest."""
    described = outline(entry.architecture, entry.header, vocabulary=entry.vocabulary, tied=entry.tied)
    rests = [
        one.size_bytes - requantized(described, one.name).tensor_bytes
        for one in entry.quantizations
        if one.size_bytes is not None
    ]

    assert max(rests, default=0) - min(rests, default=0) < 1000


@pytest.mark.parametrize("entry", ENTRIES, ids=name)
def test_every_file_is_a_source_and_what_deploy_makes_is_valid(entry: Entry) -> None:
    for one in entry.quantizations:
        source = entry.source_of(one)
        assert "{" not in source
        assert parse_source(source).kind == "hf"
        for document in show.manifests(show.name_of(entry), show.wishes(entry, one)):
            parse(document)


@pytest.mark.parametrize("entry", ENTRIES, ids=name)
def test_more_context_and_more_bits_need_more_memory(entry: Entry) -> None:
    for row in memory.table(entry).values():
        assert list(row.values()) == sorted(row.values())
        assert len(row) == len(memory.contexts(entry))


def test_most_of_it_is_pinned_to_a_digest() -> None:
    files = [one for entry in ENTRIES for one in entry.quantizations]
    digests = [one.sha256 for one in files if one.sha256]
    assert len(digests) > len(files) // 2
    assert len(set(digests)) == len(digests)
