"""Whether what is there already says what is wanted."""

from __future__ import annotations

from typing import Any

import pytest

from llmkube.kube.diff import covers, difference, same

COVERED: list[tuple[str, Any, Any]] = [
    ("what others added is theirs", {"a": 1, "b": 2}, {"a": 1}),
    ("an empty text is not kept", {"env": [{"name": "E"}]}, {"env": [{"name": "E", "value": ""}]}),
    ("an empty list is not kept", {}, {"tolerations": []}),
    ("an empty map is not kept", {"metadata": {}}, {"metadata": {"annotations": {}}}),
    ("what others added to an empty struct is theirs", {"emptyDir": {"medium": "Memory"}}, {"emptyDir": {}}),
    ("a false that the API server leaves out", {"containers": [{"name": "c"}]}, {"hostNetwork": False}),
    ("a zero that the API server leaves out", {"livenessProbe": {}}, {"livenessProbe": {"initialDelaySeconds": 0}}),
    (
        "defaults of the API server in structs",
        {"livenessProbe": {"httpGet": {"path": "/", "scheme": "HTTP"}, "successThreshold": 1, "failureThreshold": 3}},
        {"livenessProbe": {"httpGet": {"path": "/"}, "failureThreshold": 3}},
    ),
    (
        "the API server's default of a rule's port",
        {"ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 80, "protocol": "TCP"}]}]},
        {"ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 80}]}]},
    ),
    (
        "the API server's default version of a field",
        {"env": [{"name": "E", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}]},
        {"env": [{"name": "E", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]},
    ),
    (
        "what a peer leaves out when it is empty",
        {"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}, {"podSelector": {}}]},
        {
            "from": [
                {"ipBlock": {"cidr": "10.0.0.0/8", "except": []}},
                {"podSelector": {"matchLabels": {}, "matchExpressions": []}},
            ]
        },
    ),
    (
        "what a toleration leaves out when it is empty",
        {"tolerations": [{"operator": "Exists", "tolerationSeconds": 0}]},
        {"tolerations": [{"key": "", "operator": "Exists", "value": "", "tolerationSeconds": 0}]},
    ),
    ("a selector of nodes that selects by nothing", {}, {"nodeSelector": {}}),
    (
        "quantities by value",
        {"requests": {"cpu": "1", "memory": "1Gi"}},
        {"requests": {"cpu": "1000m", "memory": "1024Mi"}},
    ),
    (
        "containers by name, wherever they stand",
        {"containers": [{"name": "injected"}, {"name": "a", "image": "x"}]},
        {"containers": [{"name": "a", "image": "x"}]},
    ),
    (
        "ports by number and protocol, which is TCP by default",
        {"spec": {"ports": [{"port": 80, "protocol": "TCP", "nodePort": 30000}]}},
        {"spec": {"ports": [{"port": 80}]}},
    ),
    ("the size of a volume by value", {"emptyDir": {"sizeLimit": "9728Mi"}}, {"emptyDir": {"sizeLimit": "9.5Gi"}}),
    (
        "variables by name",
        {"env": [{"name": "X", "value": "1"}, {"name": "A", "value": "2"}]},
        {"env": [{"name": "A", "value": "2"}]},
    ),
    (
        "volumes by name",
        {"volumes": [{"name": "x"}, {"name": "a", "emptyDir": {}}]},
        {"volumes": [{"name": "a", "emptyDir": {}}]},
    ),
    (
        "init containers by name",
        {"initContainers": [{"name": "x"}, {"name": "a", "image": "i"}]},
        {"initContainers": [{"name": "a", "image": "i"}]},
    ),
    (
        "mounts by path",
        {"volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/x"}]},
        {"volumeMounts": [{"name": "v", "mountPath": "/a"}]},
    ),
    (
        "a container's ports by number and protocol, which is TCP by default",
        {"containers": [{"name": "c", "ports": [{"containerPort": 1}, {"containerPort": 8080, "protocol": "TCP"}]}]},
        {"containers": [{"name": "c", "ports": [{"containerPort": 8080}]}]},
    ),
    (
        "owners by uid",
        {"ownerReferences": [{"uid": "2", "name": "a"}, {"uid": "1", "name": "a"}]},
        {"ownerReferences": [{"uid": "2", "name": "a"}]},
    ),
    (
        "conditions by type",
        {"conditions": [{"type": "X", "status": "True"}, {"type": "A", "status": "True"}]},
        {"conditions": [{"type": "A", "status": "True"}]},
    ),
    ("finalizers as a set", {"finalizers": ["a", "b"]}, {"finalizers": ["b"]}),
]
DIFFERENT: list[tuple[str, Any, Any]] = [
    ("another value", {"a": 1}, {"a": 2}),
    ("arguments are one value", {"args": ["--a", "--b"]}, {"args": ["--b"]}),
    ("a command is one value", {"command": ["a", "b"]}, {"command": ["a"]}),
    ("access modes are one value", {"accessModes": ["ReadOnlyMany", "x"]}, {"accessModes": ["ReadOnlyMany"]}),
    ("tolerations are one value", {"tolerations": [{"key": "x"}, {"key": "a"}]}, {"tolerations": [{"key": "a"}]}),
    (
        "the same port of another protocol",
        {"containers": [{"name": "c", "ports": [{"containerPort": 80, "protocol": "UDP"}]}]},
        {"containers": [{"name": "c", "ports": [{"containerPort": 80}]}]},
    ),
    (
        "a mount of the same volume elsewhere",
        {"volumeMounts": [{"name": "v", "mountPath": "/x"}]},
        {"volumeMounts": [{"name": "v", "mountPath": "/a"}]},
    ),
    (
        "another owner of the same name",
        {"ownerReferences": [{"uid": "1", "name": "a"}]},
        {"ownerReferences": [{"uid": "2", "name": "a"}]},
    ),
    ("a missing container", {"containers": [{"name": "b"}]}, {"containers": [{"name": "a"}]}),
    ("text is not a number", {"port": "8080"}, {"port": 8080}),
    ("a list that should be empty", {"args": ["x"]}, {"args": []}),
    ("another label in a selector, which is one value", {"selector": {"a": "b", "x": "y"}}, {"selector": {"a": "b"}}),
    ("a token that is mounted, as nothing says no", {}, {"automountServiceAccountToken": False}),
    (
        "privileges that may grow, as nothing says no",
        {"containers": [{"name": "c", "securityContext": {}}]},
        {"containers": [{"name": "c", "securityContext": {"allowPrivilegeEscalation": False}}]},
    ),
    ("the users of the host, as nothing says no", {}, {"hostUsers": False}),
    ("the image's own user", {"securityContext": {}}, {"securityContext": {"runAsUser": 0, "fsGroup": 0}}),
    ("links of services, as nothing says no", {}, {"enableServiceLinks": False}),
    ("a taint that is tolerated for ever", {"tolerations": [{}]}, {"tolerations": [{"tolerationSeconds": 0}]}),
    ("one replica, as nothing says none", {}, {"replicas": 0}),
    ("a default that comes back", {"maxSurge": "25%"}, {"maxSurge": 0}),
    ("the network of the host", {"hostNetwork": True}, {"hostNetwork": False}),
    ("the peers of another namespace", {"from": [{"namespaceSelector": {}}]}, {"from": [{"podSelector": {}}]}),
    (
        "the peers of all namespaces",
        {"from": [{"podSelector": {}, "namespaceSelector": {}}]},
        {"from": [{"podSelector": {}}]},
    ),
    ("everybody", {"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}, {"from": [{"podSelector": {}}]}),
    (
        "an exception that is gone",
        {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]},
        {"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]},
    ),
    ("another peer", {"from": [{"podSelector": {}}, {"namespaceSelector": {}}]}, {"from": [{"podSelector": {}}]}),
    (
        "a label that no pod of ours has",
        {"podSelector": {"matchLabels": {"a": "b", "x": "y"}}},
        {"podSelector": {"matchLabels": {"a": "b"}}},
    ),
    ("a selector that is to select all", {"podSelector": {"matchLabels": {"x": "y"}}}, {"podSelector": {}}),
    ("a selector of all where there is none", {"topologyKey": "zone"}, {"topologyKey": "zone", "labelSelector": {}}),
    ("a selector of all namespaces where there is none", {}, {"namespaceSelector": {}}),
    (
        "a label without a text in a selector",
        {"namespaceSelector": {}},
        {"namespaceSelector": {"matchLabels": {"trusted": ""}}},
    ),
    ("a label of nodes without a text", {}, {"nodeSelector": {"node-role.kubernetes.io/inference": ""}}),
    ("an annotation without a text", {"annotations": {}}, {"annotations": {"a": ""}}),
    (
        "a key that needs not be there",
        {"env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}}]},
        {"env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
    ),
    (
        "a toleration of another effect",
        {"tolerations": [{"operator": "Exists"}]},
        {"tolerations": [{"operator": "Exists", "effect": "NoSchedule"}]},
    ),
    ("a toleration of more", {"tolerations": [{"operator": "Exists"}]}, {"tolerations": [{}]}),
    (
        "a volume that has become another",
        {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
        {"volumes": [{"name": "v", "emptyDir": {}}]},
    ),
    ("another quantity", {"limits": {"memory": "2Gi"}}, {"limits": {"memory": "1Gi"}}),
    ("a map where there is a text", {"a": "x"}, {"a": {"b": 1}}),
]


@pytest.mark.parametrize(("live", "desired"), [each[1:] for each in COVERED], ids=[each[0] for each in COVERED])
def test_nothing_is_written_when_it_would_change_nothing(live: Any, desired: Any) -> None:
    assert covers(live, desired)


@pytest.mark.parametrize(("live", "desired"), [each[1:] for each in DIFFERENT], ids=[each[0] for each in DIFFERENT])
def test_a_difference_is_written(live: Any, desired: Any) -> None:
    assert not covers(live, desired)


def test_a_status_is_compared_whole_but_for_empty_values() -> None:
    assert same({"phase": "Ready"}, {"phase": "Ready", "progress": None, "conditions": []})
    assert not same({"phase": "Ready", "progress": {"bytes": 1}}, {"phase": "Ready"})


@pytest.mark.parametrize(
    ("live", "desired", "path"),
    [
        ({"spec": {"replicas": 1}}, {"spec": {"replicas": 1}}, ""),
        ({"spec": {"replicas": 1}}, {"spec": {"replicas": 2}}, ".spec.replicas"),
        ({"spec": {}}, {"spec": {"hostUsers": False}}, ".spec.hostUsers"),
        ({}, {"spec": {"a": 1}}, ".spec"),
        ({"ports": [{"port": 1}]}, {"ports": [{"port": 2}]}, ".ports"),
        (
            {"containers": [{"name": "a"}, {"name": "b", "image": "x"}]},
            {"containers": [{"name": "b", "image": "y"}]},
            '.containers[name="b"].image',
        ),
        ({"selector": {"a": "b"}}, {"selector": {"a": "c"}}, ".selector"),
        ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "1000m"}}, ""),
    ],
)
def test_a_difference_is_named_by_its_path(live: dict, desired: dict, path: str) -> None:
    assert difference(live, desired) == path
