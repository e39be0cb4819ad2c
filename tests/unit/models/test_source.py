"""What a source may look like, and what it is then."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmkube.models.errors import SourceError
from llmkube.models.source import parse


def test_an_http_url_keeps_its_host_port_path_and_query() -> None:
    source = parse("https://models.example.com:8443/a/b/tiny.gguf?download=1")
    assert (source.kind, source.host, source.filename) == ("https", "models.example.com:8443", "tiny.gguf")
    assert source.url() == "https://models.example.com:8443/a/b/tiny.gguf?download=1"


def test_a_hugging_face_source_is_a_file_of_a_repository_at_a_revision() -> None:
    source = parse("hf://org/repo/folder/tiny.Q4_K_M.gguf@v1.0")
    assert source.url() == "https://huggingface.co/org/repo/resolve/v1.0/folder/tiny.Q4_K_M.gguf"
    assert parse("hf://org/repo/tiny.gguf").url("https://mirror.internal/") == (
        "https://mirror.internal/org/repo/resolve/main/tiny.gguf"
    )


def test_a_claim_and_a_file_are_places() -> None:
    assert (parse("pvc://claim/a/tiny.gguf").host, parse("pvc://claim/a/tiny.gguf").path) == ("claim", "a/tiny.gguf")
    assert parse("file:///models/tiny.gguf").path == parse("/models/tiny.gguf").path == "/models/tiny.gguf"


def test_the_first_part_of_a_split_model_stands_for_all_of_them() -> None:
    parts = parse("https://example.com/big-00001-of-00003.gguf").parts()
    assert [part.filename for part in parts] == [f"big-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    assert parts[2].url() == "https://example.com/big-00003-of-00003.gguf"
    assert len(parse("https://example.com/single.gguf").parts()) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tiny.gguf",
        "ftp://example.com/tiny.gguf",
        "https:///tiny.gguf",
        "https://example.com/",
        "https://example.com/../tiny.gguf",
        "https://example.com/%2e%2e/%2e%2e",
        "https://example.com:99999/tiny.gguf",
        "https://example.com/a b.gguf",
        "https://example.com/a\nb.gguf",
        "hf://org/tiny.gguf",
        "hf://org/repo/../tiny.gguf",
        "hf://org/repo/tiny.gguf@../../x",
        "pvc://claim",
        "file://host/models/tiny.gguf",
        "https://example.com/" + "a" * 3000,
    ],
)
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse(text)
    assert caught.value.reason == "InvalidSource"
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 600


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(SourceError) as caught:
        parse("https://user:hunter2@example.com/tiny.gguf")
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("name", ["big-00002-of-00003.gguf", "big-00000-of-00003.gguf", "big-00001-of-99999.gguf"])
def test_a_part_that_is_not_the_first_of_a_sane_number_is_refused(name: str) -> None:
    with pytest.raises(SourceError):
        parse(f"https://example.com/{name}").parts()


@given(st.text(max_size=200))
def test_no_text_does_worse_than_an_error_about_the_source(text: str) -> None:
    try:
        source = parse(text)
    except SourceError:
        return
    assert "/" not in source.filename
    assert source.filename not in {"", ".", ".."}
