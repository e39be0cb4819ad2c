"""The commands as typed: help that reads well, exit codes, and what needs no cluster."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from llmkube.cli import errors
from llmkube.cli.deploy import curl_line
from llmkube.cli.options import duration
from llmkube.kube.errors import Forbidden, NotFound, TransportError

OURS = (
    "apply",
    "chat",
    "completion",
    "delete",
    "deploy",
    "fit",
    "inspect",
    "list",
    "logs",
    "scale",
    "status",
    "version",
    "wait",
)
SAMPLE = Path(__file__).parents[3] / "manifests" / "samples" / "quickstart.yaml"


@pytest.mark.parametrize("name", OURS)
def test_every_command_explains_itself_with_examples(invoke: Any, name: str) -> None:
    result = invoke(name, "--help")
    assert result.exit_code == 0
    assert f"llmkube {name}" in result.output.partition("Options:")[2] or name == "completion"


@pytest.mark.parametrize(
    "name", ["apply", "catalog", "chat", "deploy", "fit", "inspect", "list", "logs", "status", "wait"]
)
def test_help_imports_neither_an_http_client_nor_the_kubernetes_client(name: str) -> None:
    code = (
        "import sys\nfrom llmkube.cli.main import main\n"
        f"try: main(['{name}', '--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'aiohttp', 'kubernetes_asyncio', 'pydantic'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_without_a_cluster_one_line_says_what_to_do(invoke: Any) -> None:
    result = invoke("list")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: no cluster is configured")
    assert "llmkube local up" in result.stderr


def test_bad_documents_end_with_usage_and_nothing_on_stdout(invoke: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(SAMPLE.read_text().replace("modelRef", "modelref"))
    result = invoke("apply", "-f", str(file))
    assert result.exit_code == errors.USAGE
    assert result.stdout == ""
    assert "InferenceService smollm2: spec.modelref: unknown field; did you mean modelRef?" in result.stderr


def test_a_client_dry_run_needs_no_cluster_and_returns_the_documents(invoke: Any) -> None:
    result = invoke("apply", "-f", str(SAMPLE), "--dry-run=client", "-o", "yaml")
    assert result.exit_code == 0
    assert list(yaml.safe_load_all(result.stdout)) == list(yaml.safe_load_all(SAMPLE.read_text()))


def test_documents_come_through_a_pipe(invoke: Any) -> None:
    result = invoke("apply", "-f", "-", "--dry-run=client", stdin=SAMPLE.read_text())
    assert result.stdout.splitlines()[0] == "model.inference.llmkube.dev/smollm2 checked (client dry run)"


def test_deploy_prints_documents_that_apply_takes(invoke: Any) -> None:
    flags = ("--source", "hf://a/b/c.gguf", "--gpu-vendor", "amd", "--gpu-count", "2", "--context-size", "4096")
    result = invoke("deploy", "qwen", *flags, "--dry-run=client", "-o", "yaml")
    model, service = yaml.safe_load_all(result.stdout)
    hardware = {"accelerator": "rocm", "gpu": {"enabled": True, "count": 2, "vendor": "amd"}}
    assert model["spec"] == {"source": "hf://a/b/c.gguf", "hardware": hardware}
    assert service["spec"] == {"modelRef": "qwen", "contextSize": 4096}
    assert invoke("apply", "-f", "-", "--dry-run=client", stdin=result.stdout).exit_code == 0


def test_deploy_writes_nothing_that_was_not_asked_for(invoke: Any) -> None:
    result = invoke("deploy", "qwen", "--source", "hf://a/b/c.gguf", "--dry-run=client", "-o", "yaml")
    model, service = yaml.safe_load_all(result.stdout)
    assert model["spec"] == {"source": "hf://a/b/c.gguf"}
    assert service["spec"] == {"modelRef": "qwen"}


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("chat", ("llmkube chat vectors", '"messages":')),
        ("embedding", ('"input":"Hello!"',)),
        ("rerank", ('"query":', '"documents":[')),
    ],
)
def test_what_is_deployed_is_asked_for_what_it_is_for(mode: str, words: tuple[str, ...], invoke: Any) -> None:
    flags = ("--source", "hf://a/b/c.gguf", "--mode", mode, "--dry-run=client", "-o", "yaml")
    assert f"mode: {mode}" in invoke("deploy", "vectors", *flags).stdout
    told = curl_line("http://h:8080/v1/x", "vectors", mode)
    assert [word for word in (*words, "curl -N http://h:8080/v1/x") if word not in told] == []
    assert ("llmkube chat" in told) == (mode == "chat")


def test_deploy_refuses_a_flag_that_the_api_would_refuse(invoke: Any) -> None:
    result = invoke("deploy", "qwen", "--source", "hf://a/b/c.gguf", "--memory", "4Gx")
    assert result.exit_code == errors.USAGE
    assert "spec.resources.memory" in result.stderr


@pytest.mark.parametrize("arguments", [("wait", "pod/x"), ("scale", "model/x", "--replicas", "1"), ("delete",)])
def test_what_makes_no_sense_is_usage(invoke: Any, arguments: tuple[str, ...]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == errors.USAGE
    assert result.stderr.startswith("error: ")


def test_the_client_version_needs_no_cluster(invoke: Any) -> None:
    assert invoke("version", "--client").stdout.startswith("client:")


def test_completion_prints_a_script(invoke: Any) -> None:
    assert "_LLMKUBE_COMPLETE" in invoke("completion", "zsh").stdout


@pytest.mark.parametrize(("text", "seconds"), [("120s", 120), ("5m", 300), ("1h30m", 5400), ("0.5", 0.5), ("7", 7)])
def test_times_are_written_as_kubectl_takes_them(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "-5s", "9x", "1000h", "5 m"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected a time"):
        duration(text)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (NotFound(404, "NotFound", 'models "x" not found'), errors.NOT_FOUND, 'models "x" not found'),
        (NotFound(404, "", "HTTP 404: 404 page not found"), errors.FAILED, "llmkube crds"),
        (Forbidden(403, "Forbidden", "may not list"), errors.FAILED, "ask for a role"),
        (TransportError("nobody answered"), errors.FAILED, "nobody answered"),
    ],
)
def test_a_failed_request_has_its_exit_code_and_its_line(error: Any, code: int, words: str) -> None:
    with pytest.raises(errors.CommandError) as caught, errors.one_line():
        raise error
    assert caught.value.exit_code == code
    assert words in caught.value.message


def test_a_failure_inside_a_task_group_is_told_the_same_way() -> None:
    with pytest.raises(errors.CommandError, match="nobody answered"), errors.one_line():
        raise ExceptionGroup("tasks", [ExceptionGroup("more", [TransportError("nobody answered")])])


def test_a_bug_is_never_turned_into_a_line() -> None:
    with pytest.raises(ZeroDivisionError), errors.one_line():
        raise ZeroDivisionError
