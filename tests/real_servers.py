"""The real servers of hack/servers on loopback, for one test module each: an S3 object store and OCI registries.

They check signatures, passwords and tokens themselves. What is put into them goes the protocol's own way.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hack import gobuild

FOLDER = Path(__file__).resolve().parents[1] / "hack" / "servers"
PATIENCE = 30.0
ACCESS, SECRET = "tester", "a secret+of/some=length"
USER, PASSWORD = "ann", "s3cret"
HTPASSWD = f"{USER}:$2b$04$IrO5hZWbPanJHrwKF6/fO.Hh1qAIa/bnZQqr4o2WZoFxMhKvIC716\n"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
EMPTY = {
    "mediaType": "application/vnd.oci.empty.v1+json",
    "digest": f"sha256:{hashlib.sha256(b'{}').hexdigest()}",
    "size": 2,
}


def program() -> Path:
    """The binary; without Go it is not to be had, and the tests of these protocols do not happen."""
    try:
        return gobuild.binary(FOLDER)
    except gobuild.BuildError as error:
        pytest.skip(f"NOT TESTED: s3:// and oci:// against real servers (hack/servers): {error}")


def oras(folder: Path, *arguments: str) -> None:
    """Run the client of ORAS in a folder. It ends with its stdin, so that this stays open."""
    process = subprocess.Popen(
        [program(), "oras", *arguments],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    said = process.stdout.read().decode()
    process.communicate()
    assert process.returncode == 0, said


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def running(arguments: list[str], log: Path, port: int, **environment: str) -> Iterator[None]:
    """The program, which ends with its stdin, and so with us."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program(), *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env={**os.environ, **environment},
        )
        try:
            _await_port(process, port, log)
            yield
        finally:
            process.kill()
            process.communicate()


def _await_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args} does not listen on {port}:\n{log.read_text()[-2000:]}")


@dataclass(frozen=True)
class ObjectStore:
    """An S3 server; what is put goes through Amazon's own client."""

    endpoint: str
    client: Any
    region: str = "eu-test-1"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": ACCESS,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": self.region,
        }

    def put(self, bucket: str, key: str, data: bytes) -> str:
        self.client.put_object(Bucket=bucket, Key=key, Body=data)
        return f"s3://{bucket}/{key}"


@contextlib.contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    import botocore.session

    port, region = free_port(), ObjectStore.region
    arguments = ["objectstore", str(folder), f"127.0.0.1:{port}", region]
    with running(arguments, folder / "log", port, ROOT_ACCESS_KEY=ACCESS, ROOT_SECRET_KEY=SECRET):
        session = botocore.session.Session()
        session.set_credentials(ACCESS, SECRET)
        endpoint = f"http://127.0.0.1:{port}"
        client = session.create_client("s3", region_name=region, endpoint_url=endpoint)
        yield ObjectStore(endpoint, client)
        client.close()


@dataclass
class RegistryServer:
    """A registry; `authorization` is what pushing needs."""

    host: str
    authorization: dict[str, str] = field(default_factory=dict)

    def push(self, repository: str, tag: str, layers: list[dict[str, Any]], **manifest: Any) -> str:
        """A manifest of these layers; its digest."""
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": EMPTY, "layers": layers, **manifest}
        self.blob(repository, b"{}")
        return self.manifest(repository, tag, document)

    def manifest(self, repository: str, tag: str, document: dict[str, Any]) -> str:
        data = json.dumps(document).encode()
        self._send("PUT", f"/v2/{repository}/manifests/{tag}", data, {"Content-Type": document["mediaType"]})
        return f"sha256:{hashlib.sha256(data).hexdigest()}"

    def blob(self, repository: str, data: bytes, media_type: str = "application/octet-stream", name: str = "") -> Any:
        """A layer, as manifests have it."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        where = self._send("POST", f"/v2/{repository}/blobs/uploads/", b"", {})
        mark = "&" if "?" in where else "?"
        self._send("PUT", f"{where}{mark}digest={digest}", data, {"Content-Type": "application/octet-stream"})
        notes = {"annotations": {"org.opencontainers.image.title": name}} if name else {}
        return {"mediaType": media_type, "digest": digest, "size": len(data), **notes}

    def _send(self, method: str, path: str, data: bytes, headers: dict[str, str]) -> str:
        url = path if path.startswith("http") else f"http://{self.host}{path}"
        given = {"Content-Length": str(len(data)), **headers, **self.authorization}
        request = urllib.request.Request(url, data=data, headers=given, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=PATIENCE) as response:
            return str(response.headers.get("Location", ""))


@contextlib.contextmanager
def registry(folder: Path, auth: dict[str, Any]) -> Iterator[RegistryServer]:
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "of this test"},
        **({"auth": auth} if auth else {}),
    }
    (folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    with running(["registry", str(folder / "config.yml")], folder / "log", port, OTEL_TRACES_EXPORTER="none"):
        yield RegistryServer(f"127.0.0.1:{port}")


@contextlib.contextmanager
def password_registry(folder: Path) -> Iterator[RegistryServer]:
    """A registry that knows one person."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "htpasswd").write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    with registry(folder, auth) as server:
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        server.authorization = {"Authorization": f"Basic {pair}"}
        yield server
