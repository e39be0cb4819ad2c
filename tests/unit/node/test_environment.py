from __future__ import annotations

import pytest

from llmkube.local.node.environment import ConfigError, declared, expand, host_environment

POD = {
    "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"app": "x"}},
    "spec": {"nodeName": "local"},
    "status": {"podIP": "127.88.0.1"},
}


def nothing(resource, name):
    return None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("$(A)", "1"), ("$(B)", "$(B)"), ("$$(A)", "$(A)"), ("x$(A)y$(A)", "x1y1"), ("$A ${A}", "$A ${A}"), ("$$", "$")],
)
def test_references_expand_as_in_kubernetes(text, expected):
    assert expand(text, {"A": "1"}) == expected


def test_only_what_describes_the_machine_comes_from_it():
    found = host_environment(
        {"PATH": "/bin", "HOME": "/h", "HF_TOKEN": "secret", "PYTHONPATH": "/x", "VIRTUAL_ENV": "/v"}
    )
    assert found == {"PATH": "/bin", "HOME": "/h"}


def test_loopback_never_goes_through_a_proxy():
    found = host_environment({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "internal"})
    assert found["NO_PROXY"] == "internal,localhost,127.0.0.1,127.0.0.0/8"
    assert found["no_proxy"] == "localhost,127.0.0.1,127.0.0.0/8"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "p"),
        ("metadata.labels['app']", "x"),
        ("status.podIP", "127.88.0.1"),
        ("spec.nodeName", "local"),
    ],
)
def test_fields_of_the_pod(path, expected):
    container = {"name": "c", "env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}]}
    assert declared(container, POD, nothing) == {"X": expected}


def test_an_unknown_field_is_named():
    container = {"name": "c", "env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "spec.nothing"}}}]}
    with pytest.raises(ConfigError, match=r"fieldRef spec\.nothing"):
        declared(container, POD, nothing)


def test_an_optional_secret_that_is_not_there_leaves_the_variable_out():
    reference = {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}
    container = {"name": "c", "env": [{"name": "X", "valueFrom": reference}]}
    assert declared(container, POD, nothing) == {}


def test_a_secret_without_the_key_is_named():
    container = {"name": "c", "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}
    with pytest.raises(ConfigError, match="couldn't find key k in secret s"):
        declared(container, POD, lambda resource, name: {"data": {"other": "dg=="}})
