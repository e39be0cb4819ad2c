"""The kubeconfig of local mode, as kubectl and every Kubernetes client read it."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from llmkube.local.apiserver.tls import write_secret

if TYPE_CHECKING:
    from pathlib import Path

    from llmkube.local.objects import Object

NAME = "llmkube-local"


def kubeconfig(*, server: str, ca_pem: str, token: str, namespace: str = "default") -> Object:
    """One cluster, one user, one context, which is the current one."""
    authority = base64.b64encode(ca_pem.encode()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": {"server": server, "certificate-authority-data": authority}}],
        "users": [{"name": NAME, "user": {"token": token}}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME, "namespace": namespace}}],
        "current-context": NAME,
    }


def write_kubeconfig(path: Path, *, server: str, ca_pem: str, token: str, namespace: str = "default") -> None:
    """Write it as JSON, which is YAML too, for its owner alone."""
    content = kubeconfig(server=server, ca_pem=ca_pem, token=token, namespace=namespace)
    write_secret(path, json.dumps(content, indent=2).encode() + b"\n")
