"""A control plane with LLMKube's manifests on it: the embedded one in a thread, or the real one of the session."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.component.operator.api import Api, Refused, from_environment, path
from tests.conformance.backends import KUBECONFIG, TOKEN, NoLogs, access_of, read_kubeconfig

from llmkube.cli.operator import LEASE
from llmkube.kube.trust import trusting
from llmkube.local.apiserver.registry import Registry
from llmkube.local.apiserver.server import ApiServer
from llmkube.local.apiserver.tls import certificates
from llmkube.local.controllers import run_controllers

MANIFESTS = Path(__file__).parents[3] / "manifests"
CRDS = sorted((MANIFESTS / "crd").glob("*llmkube.dev.yaml"))
SYSTEM = "llmkube-system"
ACCOUNT = "llmkube-operator"


@dataclass(frozen=True)
class Plane:
    """`api` may do everything, as `admin`'s user; `kubeconfig` is the operator's own."""

    api: Api
    kubeconfig: Path
    admin: Path
    is_real: bool
    authority: Mapping[str, str] = field(default_factory=dict)

    def without_leader(self) -> None:
        """The lease as it is where nobody has led yet."""
        with suppress(Refused):
            self.api.delete("leases", SYSTEM, LEASE)
        self.api.apply_files(MANIFESTS / "base" / "lease.yaml")

    def access(self, folder: Path, server: str) -> tuple[Path, str]:
        """Another kubeconfig of the operator's, by way of `server`, and the id of its token in the audit log."""
        token = new_token(self.api)
        _, claims, _ = token.split(".")
        folder.mkdir()
        found = json.loads(base64.urlsafe_b64decode(claims + "==="))
        return kubeconfig(folder, server, token, **self.authority), f"JTI={found['jti']}"


class EmbeddedServer:
    """The embedded API server and its controllers, without a node, in a thread of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.url = ""
        self.certificates = certificates(home)  # kubectl sends no token over HTTP
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)

    def __enter__(self) -> EmbeddedServer:
        self._stopped = asyncio.Event()
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(20)
        self._loop.close()

    async def _serve(self) -> None:
        registry = Registry(self.home / "objects.db")
        server = ApiServer(registry, token=TOKEN, tls=self.certificates.context, log_reader=NoLogs())
        await server.start()
        controllers = asyncio.create_task(run_controllers(registry, volumes=self.home / "volumes"))
        self.url = server.url
        self._ready.set()
        await self._stopped.wait()
        controllers.cancel()
        with suppress(asyncio.CancelledError):
            await controllers
        await server.stop()
        registry.close()


@contextmanager
def embedded() -> Iterator[Plane]:
    with tempfile.TemporaryDirectory() as home, EmbeddedServer(Path(home)) as server:
        authority = server.certificates.ca_pem
        api = Api(server.url, trusting(cadata=authority), TOKEN)
        api.apply_files(*CRDS, MANIFESTS / "base" / "namespace.yaml")
        encoded = {"certificate-authority-data": base64.b64encode(authority.encode()).decode()}
        own = kubeconfig(Path(home), server.url, TOKEN, **encoded)
        yield Plane(api, own, own, is_real=False)


@contextmanager
def real() -> Iterator[Plane]:
    """The operator is its service account, with the rights of manifests/rbac and no others."""
    api = from_environment()
    api.apply_files(*CRDS, MANIFESTS / "base" / "namespace.yaml", MANIFESTS / "rbac" / "operator.yaml")
    cluster, _ = access_of(read_kubeconfig())
    authority = {
        name: cluster[name] for name in ("certificate-authority", "certificate-authority-data") if name in cluster
    }
    with tempfile.TemporaryDirectory() as home:
        own = kubeconfig(Path(home), api.server, new_token(api), **authority)
        yield Plane(api, own, Path(os.environ[KUBECONFIG]), is_real=True, authority=authority)


def new_token(api: Api) -> str:
    """A token of the operator's service account."""
    where = path("serviceaccounts", SYSTEM, ACCOUNT, "token")
    token: str = api.ask("POST", where, {"spec": {"expirationSeconds": 7200}})["status"]["token"]
    return token


def kubeconfig(folder: Path, server: str, token: str, **authority: str) -> Path:
    """Write a kubeconfig that only we can read."""
    cluster = {"server": server, **authority}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": SYSTEM}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": token}}],
    }
    file = folder / "operator.kubeconfig"
    file.touch(mode=0o600)
    file.write_text(json.dumps(content))
    return file
