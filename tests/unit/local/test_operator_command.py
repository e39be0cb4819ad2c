"""What `llmkube operator` makes of flags and environment, and how it ends when it cannot start."""

from __future__ import annotations

import asyncio
import socket
import uuid
from typing import Any

import pytest
from click.testing import CliRunner, Result

from llmkube.cli import operator as command
from llmkube.desired.settings import OperatorSettings
from llmkube.kube import config
from llmkube.kube.client import Client
from llmkube.kube.config import ClusterConfig, StaticToken
from llmkube.kube.lease import LeaseLostError, Timing


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[command.Options, OperatorSettings]]:
    """What the operator was started with, instead of starting it."""
    seen: list[tuple[command.Options, OperatorSettings]] = []

    async def run(options: command.Options, settings: OperatorSettings) -> None:
        seen.append((options, settings))

    monkeypatch.setattr(command, "run", run)
    monkeypatch.setattr("llmkube.runtime.logging.configure", lambda **_: None)
    return seen


def invoke(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(command.operator, list(arguments), env=environ)


def test_without_flags_it_leads_by_a_lease_and_serves_health(started: list[Any]) -> None:
    assert invoke().exit_code == 0
    ((options, settings),) = started
    assert (options.leader_elect, options.health_port, settings.cluster_domain) == (True, 8081, "cluster.local")
    assert settings.namespaces == ()


def test_flags_become_settings(started: list[Any]) -> None:
    done = invoke("--image", "cuda=registry/engine:1", "--namespace", "a", "--namespaces", "b", "--cluster-domain", "")
    assert done.exit_code == 0, done.output
    ((_, settings),) = started
    assert settings.image("cuda") == "registry/engine:1"
    assert settings.image("cpu").startswith("ghcr.io/")
    assert (settings.namespaces, settings.cluster_domain) == (("a", "b"), "")


def test_images_come_from_a_mirror_but_for_those_that_are_named(started: list[Any]) -> None:
    flags = ("--image-repository", "mirror/llama.cpp", "--image", "cuda/arm64=registry/jetson:1")
    done = invoke(*flags, "--image-pull-secret", "site", "--engine-build", "11669")
    assert done.exit_code == 0, done.output
    ((_, settings),) = started
    assert settings.image("rocm") == "mirror/llama.cpp:server-rocm-b11669"
    assert settings.image("cuda", "arm64") == "registry/jetson:1"
    assert settings.image("cuda", "amd64") == settings.image("cuda") == "mirror/llama.cpp:server-cuda-b11669"
    assert (settings.image_pull_secrets, settings.engine_build) == (("site",), 11669)


def test_what_the_engines_know_and_how_often_things_are_looked_at_can_be_said(started: list[Any]) -> None:
    flags = ("--architecture", "hal9000", "--architecture", "deep-thought")
    assert invoke(*flags, "--refresh-interval", "30", "--reference-interval", "5").exit_code == 0
    said = {"LLMKUBE_REFRESH_INTERVAL": "30", "LLMKUBE_REFERENCE_INTERVAL": "5"}
    assert invoke(LLMKUBE_ARCHITECTURES="hal9000,deep-thought", **said).exit_code == 0
    assert [invoke(each, "0").exit_code for each in ("--refresh-interval", "--reference-interval")] == [2, 2]
    found = {(each.architectures, each.refresh_seconds, each.reference_seconds) for _, each in started}
    assert found == {(("hal9000", "deep-thought"), 30.0, 5.0)}


def test_the_environment_says_the_same_as_flags_and_flags_win(started: list[Any]) -> None:
    done = invoke(
        "--health-port",
        "9000",
        LLMKUBE_HEALTH_PORT="9001",
        LLMKUBE_SOURCE_ALLOW="10.0.0.0/8, nas.lan",
        LLMKUBE_IMAGES="cpu=one,cuda=two",
        LLMKUBE_LEADER_ELECT="false",
    )
    assert done.exit_code == 0, done.output
    ((options, settings),) = started
    assert (options.health_port, options.leader_elect) == (9000, False)
    assert settings.source_allow == ("10.0.0.0/8", "nas.lan")
    assert (settings.image("cpu"), settings.image("cuda")) == ("one", "two")


def test_a_health_port_below_zero_serves_none(started: list[Any]) -> None:
    assert invoke("--health-port", "-1").exit_code == 0
    assert started[0][0].health_port is None


@pytest.mark.parametrize("value", ["abacus=x", "cuda", "cuda=", "=x", "cuda/=x", "cuda/a/b=x"])
def test_an_image_for_no_accelerator_is_a_usage_error_that_names_them(started: list[Any], value: str) -> None:
    done = invoke("--image", value)
    assert done.exit_code == 2
    assert "vulkan" in done.output
    assert started == []


def test_a_kubeconfig_that_is_not_there_is_one_line_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmkube.runtime.logging.configure", lambda **_: None)
    done = invoke("--kubeconfig", "/nowhere/kubeconfig")
    assert done.exit_code == 1
    (line,) = done.output.splitlines()
    assert line.startswith("error: /nowhere/kubeconfig")


def test_a_lost_lease_is_one_line_and_a_bug_beside_it_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = LeaseLostError("lease a/b: not renewed")

    def failing(*errors: Exception) -> Any:
        async def run(*_: object) -> None:
            raise ExceptionGroup("", [ExceptionGroup("", errors)])

        return run

    monkeypatch.setattr("llmkube.runtime.logging.configure", lambda **_: None)
    monkeypatch.setattr(command, "run", failing(lost))
    assert invoke().output == "error: lease a/b: not renewed\n"
    monkeypatch.setattr(command, "run", failing(lost, ZeroDivisionError("a bug")))
    assert isinstance(invoke().exception, ExceptionGroup)


def test_two_processes_of_one_host_have_two_identities_that_name_the_host() -> None:
    found = {command.identity() for _ in range(2)}
    assert len(found) == 2
    for each in found:
        host, _, unique = each.rpartition("_")
        assert host == socket.gethostname()
        assert uuid.UUID(unique)


class Ended:
    """A manager that has done its work."""

    async def run(self) -> None: ...
    def stop(self) -> None: ...


def test_the_lease_has_a_way_of_its_own_to_the_api_server_and_bounds_every_write_on_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[Client, Client, Any]] = []
    build = command.build

    def built(client: Client, leasing: Client, *given: Any, **parts: Any) -> Any:
        seen.append((client, leasing, build(client, leasing, *given, **parts)._elector))
        assert parts["metrics"].registry.get_sample_value("llmkube_events_dropped_total") == 0
        return Ended()

    async def load(*_: object) -> ClusterConfig:
        return ClusterConfig("http://127.0.0.1:1", "team", StaticToken())

    monkeypatch.setattr(config, "load", load)
    monkeypatch.setattr(command, "build", built)
    nowhere = {"kubeconfig": None, "context": None, "health_host": None, "health_port": None}
    options = command.Options(**nowhere, leader_elect=True, leader_election_namespace=None)
    asyncio.run(command.run(options, OperatorSettings()))
    ((client, leasing, elector),) = seen
    assert client.transport._session is not leasing.transport._session
    assert (elector._client, elector._timing) == (leasing, Timing(duration=15, renew_deadline=10, retry=2))
    assert (client.transport.fence, leasing.transport.fence) == (elector.seconds_left, None)
