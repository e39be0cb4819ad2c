from __future__ import annotations

from pathlib import Path

import pytest

from llmkube.local.node.mounts import Rewriter

HOST = Path("/h/models")


def rewriter(address="127.88.0.9"):
    return Rewriter({"/models": HOST, "/models/extra": Path("/h/extra"), "/tmp": Path("/h/tmp")}, address=address)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/models", "/h/models"),
        ("/models/a.gguf", "/h/models/a.gguf"),
        ("--model=/models/a.gguf", "--model=/h/models/a.gguf"),
        ("file:///models/a.gguf", "file:///h/models/a.gguf"),
        ("/models/extra/b", "/h/extra/b"),
        ("/tmp:/models", "/h/tmp:/h/models"),
        ("cat /models/a > /tmp/b; ls", "cat /h/models/a > /h/tmp/b; ls"),
        ("/models-old/a", "/models-old/a"),
        ("/models.bak", "/models.bak"),
        ("/srv/models/a", "/srv/models/a"),
        ("models/a", "models/a"),
        ("s3://models/a.gguf", "s3://models/a.gguf"),
        ("https://tmp/models/a", "https://tmp/models/a"),
        ("0.0.0.0", "127.88.0.9"),
        ("::", "127.88.0.9"),
        ("0.0.0.0:80", "0.0.0.0:80"),
    ],
)
def test_whole_paths_and_their_beginnings_are_rewritten_and_nothing_else(text, expected):
    assert rewriter()(text) == expected


def test_a_pod_on_the_hosts_network_means_every_address():
    assert rewriter(address=None)("0.0.0.0") == "0.0.0.0"


def test_a_container_without_mounts_changes_nothing():
    assert Rewriter({}, address="127.88.0.9")("/models") == "/models"
