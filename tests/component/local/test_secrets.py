"""What is secret is nowhere but where it belongs: markers are planted in every Secret, and everything is searched.

A source that wants a token, API keys, a TLS key, a variable of the engine and the password of a proxy; sources that
send the token back in what they answer. Searched are the arguments of every process while all this runs, all objects of
the API server but the Secrets, all files of local mode but the mounted Secrets and the API server's own storage, and
what the commands and the operator's debug pages say.
"""

from __future__ import annotations

import base64
import os
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from tests.component.local.conftest import running
from tests.component.local.local_mode import LocalMode, Object, condition, model, service, until
from tests.component.local.test_access import secret, tls_secret
from tests.real_engine import MISSING, program
from tests.real_engine import VARIABLE as ENGINE
from tests.wire.models.web_servers import Authority, serving

pytestmark = pytest.mark.timeout(300)
TOKEN, KEY, VARIABLE, PROXY = "marker-token-7f3a", "marker-key-91bc", "marker-variable-c4d2", "marker-proxy-e85f"


class Echoing(BaseHTTPRequestHandler):
    """Gives the model to who has the token; every other path sends back what it was sent."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *given: object, file: Path) -> None:
        self._file = file
        super().__init__(*given)  # type: ignore[arg-type]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        sent = self.headers.get("Authorization", "")
        if self.path == "/good.gguf" and sent == f"Bearer {TOKEN}":
            self._give()
        elif self.path == "/moved.gguf":
            self._answer(302, b"", Location=f"/refused.gguf?token={sent}")
        else:
            self._answer(403, f"{sent} may not read {self.path}".encode(), ETag=f'"{sent}"')

    def _give(self) -> None:
        content, asked = self._file.read_bytes(), self.headers.get("Range", "")
        if not asked:
            self._answer(200, content, ETag='"one"')
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        end = min(int(last or len(content) - 1), len(content) - 1)
        place = f"bytes {first}-{end}/{len(content)}"
        self._answer(206, content[int(first) : end + 1], ETag='"one"', **{"Content-Range": place})

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status, self.headers.get("Authorization"))
        for name, value in {**headers, "Content-Length": str(len(body)), "Accept-Ranges": "bytes"}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Arguments:
    """The arguments of every process of this machine that were seen, until it is left."""

    seen: set[bytes] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Arguments:
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._thread.join(10)

    def _look(self) -> None:
        while not self.over.wait(0.02):
            for each in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(each.read_bytes())
                except OSError:
                    continue


@pytest.fixture(scope="module")
def proxied() -> Iterator[LocalMode]:
    """Local mode behind a proxy that is never there: loopback does not go through it."""
    engine = program("llama-server")
    if not engine:
        pytest.skip(f"NO llama-server: {MISSING}; xllamacpp has no TLS, so that secrets are nowhere is NOT tested")
    with running({"HTTP_PROXY": f"http://person:{PROXY}@127.0.0.1:9", ENGINE: engine}) as mode:
        yield mode


def test_secrets_are_nowhere_but_where_they_belong(proxied: LocalMode, smollm2: Path, tmp_path: Path) -> None:
    certificate = tls_secret(Authority(tmp_path), tmp_path, "127.0.0.1")
    private = base64.b64decode(certificate["data"]["tls.key"]).decode().splitlines()[1]
    with serving(partial(Echoing, file=smollm2)) as url, Arguments() as arguments:
        apply_all(proxied, url, certificate)
        proxied.until_ready("safe")
        for name in ("refused", "moved", "proxied"):
            until(
                lambda of=name: proxied.model(of),
                lambda found: condition(found["status"], "Degraded")["status"] == "True",
            )
        said = everything_said(proxied)
        environments = b"".join(each.read_bytes() for each in readable("environ"))
    said["arguments"] = b"\n".join(arguments.seen)
    said |= files(proxied.home)
    markers = [TOKEN, KEY, VARIABLE, PROXY, private, certificate["data"]["tls.key"][:64]]
    found = {place for place, content in said.items() for marker in markers if has(content, marker)}
    assert found == set()
    assert b"--ssl-key-file" in said["arguments"], "nothing was seen of the engine"
    assert VARIABLE.encode() in environments
    assert PROXY.encode() in environments
    mounted = b"".join(each.read_bytes() for each in proxied.home.rglob("*/.volumes/**/*") if each.is_file())
    assert KEY.encode() in mounted
    assert private.encode() in mounted


def readable(name: str) -> Iterator[Path]:
    """Such a file of every process that is there and ours."""
    return (each for each in Path("/proc").glob(f"[0-9]*/{name}") if os.access(each, os.R_OK) and is_there(each))


def is_there(file: Path) -> bool:
    try:
        file.read_bytes()
    except OSError:
        return False
    return True


def apply_all(local: LocalMode, url: str, certificate: Object) -> None:
    credentials = {"sourceSecretRef": {"name": "credentials"}}
    variable = {"name": "EXTRA", "valueFrom": {"secretKeyRef": {"name": "variables", "key": "extra"}}}
    fields = {"auth": {"secretRef": {"name": "keys"}}, "endpoint": {"tls": {"secretRef": {"name": "cert"}}}}
    local.apply(
        certificate,
        secret("credentials", {"LLMKUBE_SOURCE_TOKEN": TOKEN}),
        secret("keys", {"api-keys": f"{KEY}\n"}),
        secret("variables", {"extra": VARIABLE}),
        model("safe", f"{url}/good.gguf", **credentials),
        model("refused", f"{url}/refused.gguf", **credentials),
        model("moved", f"{url}/moved.gguf", **credentials),
        model("proxied", "http://models.example.com/m.gguf", **credentials),
        service("safe", "safe", env=[variable], **fields),
    )


def has(content: bytes, marker: str) -> bool:
    """As it is, or as the data of a Secret has it."""
    return marker.encode() in content or base64.b64encode(marker.encode()).rstrip(b"=")[:-1] in content


def everything_said(local: LocalMode) -> dict[str, bytes]:
    """What the API server shows of all kinds but Secrets, the commands print, and the operator serves."""
    said = {each: shown(local, each) for each in kinds(local)}
    commands = [("status", "safe"), ("status", "model/refused"), ("list",), ("logs", "safe"), ("local", "status")]
    commands += [("chat", "safe", "Hello", "--max-tokens", "4"), ("chat", "model/none", "Hello")]
    for words in commands:
        done = local.llmkube(*words, check=False)
        said[" ".join(words)] = (done.stdout + done.stderr).encode()
    (operator,) = local.items("api/v1/namespaces/llmkube-system/pods")
    for page in ("metrics", "debug/queues", "debug/stores", "readyz"):
        with urllib.request.urlopen(f"http://{operator['status']['podIP']}:8081/{page}", timeout=10) as response:
            said[f"operator /{page}"] = response.read()
    return said


def shown(local: LocalMode, resource: str) -> bytes:
    return local.kubectl("get", resource, "-A", "-o", "yaml").stdout.encode()


def kinds(local: LocalMode) -> list[str]:
    names = local.kubectl("api-resources", "-o", "name", "--verbs=list").stdout.split()
    assert "events" in names
    return [each for each in names if each != "secrets"]


def files(home: Path) -> dict[str, bytes]:
    """Everything that is written below the home but Secrets where they are mounted, and where they are stored."""
    return {
        str(each): each.read_bytes()
        for each in home.rglob("*")
        if each.is_file() and "state.db" not in each.name and not {".volumes", "volumes"} & set(each.parts)
    }
