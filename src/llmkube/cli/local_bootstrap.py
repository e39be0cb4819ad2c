"""What local mode starts with: its namespace, the CustomResourceDefinitions, and the operator as a Deployment.

The operator is the same program as in a cluster; only its flags say that it is on one machine. Objects only: nothing
here starts or writes anything, and no credential goes into one (a kubeconfig is named by its path).
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from llmkube import __version__
from llmkube.api.crd import crds
from llmkube.api.group import GROUP
from llmkube.desired.settings import FETCHER_IMAGE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from llmkube.local.home import Home

Object = dict[str, Any]

NAMESPACE = "llmkube-system"
OPERATOR = "llmkube-operator"
HEALTH_PORT = 8081
LABELS = {"app.kubernetes.io/name": "llmkube", "app.kubernetes.io/component": "operator"}
LOOPBACK = ("127.0.0.0/8", "::1/128")
"""A model may come from a server on this machine; other private networks are named by LLMKUBE_SOURCE_ALLOW."""
HANDED_ON = ("HF_ENDPOINT",)
"""What else the person's environment says of where models come from; never a token, which belongs in a Secret."""


def bootstrap(home: Home, environ: Mapping[str, str]) -> list[Object]:
    """Return the objects, in the order in which they can be applied."""
    namespace: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    return [namespace, *crds(), deployment(home.kubeconfig, environ)]


def deployment(kubeconfig: Path, environ: Mapping[str, str]) -> Object:
    """Return the operator's Deployment. One at a time: no Lease. A new kubeconfig or version replaces it."""
    annotations = {
        f"{GROUP}/kubeconfig-sha256": hashlib.sha256(kubeconfig.read_bytes()).hexdigest(),
        f"{GROUP}/version": __version__,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": OPERATOR, "namespace": NAMESPACE, "labels": LABELS},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": LABELS},
            "template": {
                "metadata": {"labels": LABELS, "annotations": annotations},
                "spec": {"terminationGracePeriodSeconds": 30, "containers": [container(kubeconfig, environ)]},
            },
        },
    }


def container(kubeconfig: Path, environ: Mapping[str, str]) -> Object:
    """Return the operator's container; 0.0.0.0 becomes the pod's own address on the process node."""
    return {
        "name": "operator",
        "image": FETCHER_IMAGE,
        "command": ["llmkube", "operator"],
        "args": arguments(environ),
        "env": [variable("KUBECONFIG", str(kubeconfig)), *handed_on(environ)],
        "ports": [{"name": "health", "containerPort": HEALTH_PORT}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "health"}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/livez", "port": "health"}, "initialDelaySeconds": 30},
    }


def arguments(environ: Mapping[str, str]) -> list[str]:
    """Return the operator's flags: no Lease, no cluster DNS, a log for people, sources on this machine."""
    flags = ["--no-leader-elect", "--cluster-domain", "", "--log-format", "console"]
    flags += ["--health-host", "0.0.0.0", "--health-port", str(HEALTH_PORT)]  # noqa: S104 - the pod's address
    for network in (*LOOPBACK, *words(environ.get("LLMKUBE_SOURCE_ALLOW", ""))):
        flags += ["--source-allow", network]
    for flag in ("--refresh-interval", "--reference-interval"):
        if interval := environ.get(f"LLMKUBE{flag[1:].replace('-', '_').upper()}"):
            flags += [flag, interval]
    for root in words(environ.get("LLMKUBE_SOURCE_ROOTS", "")) or words(environ.get("HOME", "")):
        flags += ["--source-root", root]
    return flags


def words(value: str) -> list[str]:
    """Return the words of an environment variable, which are apart by commas or spaces."""
    return [word for word in re.split(r"[,\s]+", value) if word]


def handed_on(environ: Mapping[str, str]) -> list[Object]:
    """Return what the operator gets of the person's environment."""
    return [variable(name, environ[name]) for name in HANDED_ON if environ.get(name)]


def variable(name: str, value: str) -> Object:
    """Return an environment variable whose value is taken as it is: $(NAME) in it is not a reference."""
    return {"name": name, "value": value.replace("$", "$$")}
