"""What the CLI's tests share: a runner in a world without a cluster, and objects as an API server would return them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from llmkube.cli.main import main
from llmkube.cli.view import View, view_of
from llmkube.kube.objects import CustomResource

Invoke = Callable[..., Result]
MakeView = Callable[..., View]


@pytest.fixture(autouse=True)
def _no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own clusters out of the tests."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("LLMKUBE_HOME", raising=False)


@pytest.fixture
def invoke() -> Invoke:
    """Run `llmkube ARGUMENTS` in this process."""

    def run(*arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(main, list(arguments), input=stdin)

    return run


@pytest.fixture
def seen() -> MakeView:
    """Make the view of an object from its kind and status, as it would come off the wire."""

    def make(kind: str, status: dict[str, Any] | None = None, *, generation: int = 1, **spec: Any) -> View:
        told = {"observedGeneration": generation, **status} if status else {}
        manifest = {
            "metadata": {"name": "smollm2", "namespace": "default", "generation": generation},
            "spec": spec,
            "status": told,
        }
        obj = msgspec.json.decode(msgspec.json.encode(manifest), type=CustomResource)
        return view_of(obj, kind=kind)

    return make
