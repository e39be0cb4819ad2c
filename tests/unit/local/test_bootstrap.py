"""What local mode starts with, as the API server and the process node will read it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from llmkube.cli.local_bootstrap import bootstrap
from llmkube.cli.operator import operator
from llmkube.local.home import Home

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


@pytest.fixture
def home(tmp_path: Path) -> Home:
    found = Home(tmp_path)
    found.make()
    found.kubeconfig.write_text("one")
    return found


def deployment(home: Home, **environ: str) -> dict[str, Any]:
    (found,) = [each for each in bootstrap(home, environ) if each["kind"] == "Deployment"]
    return found


def container(home: Home, **environ: str) -> dict[str, Any]:
    found: dict[str, Any] = deployment(home, **environ)["spec"]["template"]["spec"]["containers"][0]
    return found


def test_definitions_and_the_namespace_come_before_the_operator_that_needs_them(home: Home) -> None:
    kinds = [each["kind"] for each in bootstrap(home, {})]
    assert kinds == ["Namespace", "CustomResourceDefinition", "CustomResourceDefinition", "Deployment"]


def test_the_operator_takes_every_flag_that_it_is_given(home: Home) -> None:
    given = container(home, LLMKUBE_SOURCE_ALLOW="10.0.0.0/8, nas", LLMKUBE_SOURCE_ROOTS="/data")["args"]
    parsed = operator.make_context("operator", list(given)).params
    assert parsed["leader_elect"] is False
    assert parsed["cluster_domain"] == ""
    assert parsed["source_allow"] == ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "nas")
    assert parsed["source_roots"] == ("/data",)


def test_its_probe_asks_the_port_on_which_it_listens(home: Home) -> None:
    found = container(home)
    (port,) = found["ports"]
    assert found["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port["name"]}
    assert operator.make_context("operator", list(found["args"])).params["health_port"] == port["containerPort"]


def test_a_new_kubeconfig_replaces_the_operator_and_an_old_one_does_not(home: Home) -> None:
    before = deployment(home)
    assert deployment(home) == before
    home.kubeconfig.write_text("two")
    assert deployment(home)["spec"]["template"] != before["spec"]["template"]


def test_no_token_gets_into_an_object(home: Home) -> None:
    home.kubeconfig.write_text("token: kube-secret")
    written = json.dumps(bootstrap(home, {"HF_TOKEN": "hf-secret", "LLMKUBE_SOURCE_TOKEN": "src-secret"}))
    assert not [each for each in ("kube-secret", "hf-secret", "src-secret") if each in written]


def test_what_the_environment_says_of_sources_is_handed_on_without_being_expanded(home: Home) -> None:
    env = container(home, HF_ENDPOINT="https://mirror/$(KUBECONFIG)")["env"]
    assert {"name": "HF_ENDPOINT", "value": "https://mirror/$$(KUBECONFIG)"} in env
    assert {"name": "KUBECONFIG", "value": str(home.kubeconfig)} in env


def test_files_of_the_persons_own_home_may_be_sources_unless_other_roots_are_named(home: Home) -> None:
    def roots(**environ: str) -> Any:
        return operator.make_context("operator", list(container(home, **environ)["args"])).params["source_roots"]

    assert roots(HOME="/home/ada") == ("/home/ada",)
    assert roots(HOME="/home/ada", LLMKUBE_SOURCE_ROOTS="/data") == ("/data",)
