"""The real Traefik of hack/traefik on loopback, as the ingress controller and the Gateway of a control plane.

It serves the IngressClass and GatewayClass `traefik`, and those of ingress-nginx by its annotations as class `nginx`.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hack.gobuild import BuildError
from hack.traefik.binary import binary
from tests.real_servers import free_port

PATIENCE = 60.0
NOT_TESTED = "NOT TESTED: Ingresses and HTTPRoutes served by a real controller (Traefik, hack/traefik)"
CLASSES = (
    ("networking.k8s.io/v1", "IngressClass", "traefik", {"controller": "traefik.io/ingress-controller"}),
    ("networking.k8s.io/v1", "IngressClass", "nginx", {"controller": "k8s.io/ingress-nginx"}),
    ("gateway.networking.k8s.io/v1", "GatewayClass", "traefik", {"controllerName": "traefik.io/gateway-controller"}),
)


@dataclass(frozen=True)
class Traefik:
    """Where it listens, on 127.0.0.1: for HTTP, and for HTTPS."""

    http: int
    https: int
    log: Path


def program() -> Path:
    """The binary; without Go it is not to be had, and nothing is routed."""
    try:
        return binary()
    except BuildError as error:
        pytest.skip(f"{NOT_TESTED}: {error}")


def classes() -> list[dict[str, Any]]:
    """The classes that it serves, as an administrator makes them."""
    return [
        {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}
        for version, kind, name, spec in CLASSES
    ]


@contextlib.contextmanager
def traefik(kubeconfig: Path, log: Path) -> Iterator[Traefik]:
    """Run it against a cluster until it is left. Engines' own certificates are taken unseen: they are the tests'."""
    found = Traefik(free_port(), free_port(), log)
    arguments = [
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
        f"--entrypoints.web.address=127.0.0.1:{found.http}",
        f"--entrypoints.websecure.address=127.0.0.1:{found.https}",
        "--entrypoints.websecure.http.tls=true",  # as Traefik's chart has it
        "--ping=true",
        "--ping.entrypoint=web",
        "--providers.kubernetesingress=true",
        "--providers.kubernetesingress.ingressclass=traefik",
        "--providers.kubernetesingressnginx=true",
        "--providers.kubernetesgateway=true",
        "--serverstransport.insecureskipverify=true",
        # llama-server (b11669) promises to keep a connection and closes it after a stream: who reuses it answers 502.
        "--serverstransport.maxidleconnsperhost=-1",
        "--accesslog=true",
    ]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    with log.open("wb") as output:
        process = subprocess.Popen([program(), *arguments], env=environment, stdout=output, stderr=output)
        try:
            _await_ping(process, found)
            yield found
        finally:
            process.kill()
            process.wait()


def _await_ping(process: subprocess.Popen[bytes], found: Traefik) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{found.http}/ping", timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"Traefik does not answer on port {found.http}:\n{found.log.read_text()[-2000:]}")
