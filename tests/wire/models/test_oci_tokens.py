"""oci:// against a real registry (distribution) that names a server of tokens."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.real_servers import (
    PASSWORD,
    USER,
    RegistryServer,
    free_port,
    registry,
)
from tests.wire.models.registries import DIGEST, LOOPBACK, MODEL, docker_config, fetched, refused, resolved

from llmkube.models.places import BlobPlace
from llmkube.models.policy import SourcePolicy
from llmkube.models.remote import Remote
from llmkube.models.session import open_session
from llmkube.models.source import parse

pytestmark = pytest.mark.timeout(1200)  # the first one may have to build the server


@dataclass
class TokenServer:
    """Gives tokens that the registry checks (https://distribution.github.io/distribution/spec/auth/token)."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    lifetime: int = 300

    @property
    def key_set(self) -> str:
        public = encoded(self.key.public_key().public_bytes_raw())
        return json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "one", "x": public}]})

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append({**request.query, "Authorization": request.headers.get("Authorization", "")})
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {pair}":
            return web.json_response({"errors": [{"code": "UNAUTHORIZED"}]}, status=401)
        kind, name, actions = request.query["scope"].split(":")
        access = {"type": kind, "name": name, "actions": actions.split(",")}
        return web.json_response({"token": self.token(access), "expires_in": self.lifetime})

    def token(self, access: dict[str, Any]) -> str:
        now = int(time.time())
        claims = {
            "iss": "tests",
            "aud": "registry",
            "sub": USER,
            "iat": now,
            "nbf": now - 9,
            "exp": now + self.lifetime,
        }
        head = {"alg": "EdDSA", "typ": "JWT", "kid": "one"}
        signed = ".".join(encoded(json.dumps(each).encode()) for each in (head, {**claims, "access": [access]}))
        return f"{signed}.{encoded(self.key.sign(signed.encode()))}"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@pytest.fixture
async def tokens(tmp_path: Path) -> AsyncIterator[tuple[TokenServer, RegistryServer]]:
    """A registry that wants tokens, with a model in it, and the server that gives them."""
    giver, port = TokenServer(), free_port()
    app = web.Application()
    app.router.add_get("/token", giver.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    giver.url = f"http://127.0.0.1:{port}/token"
    (tmp_path / "jwks.json").write_text(giver.key_set)
    auth = {"realm": giver.url, "service": "registry", "issuer": "tests", "jwks": str(tmp_path / "jwks.json")}
    with registry(tmp_path / "registry", {"token": auth}) as running:
        access = {"type": "repository", "name": "team/model", "actions": ["pull", "push"]}
        running.authorization = {"Authorization": f"Bearer {giver.token(access)}"}
        running.push("team/model", "v1", [running.blob("team/model", MODEL, name="m.gguf")])
        yield giver, running
    await runner.cleanup()


async def test_a_token_is_got_from_the_server_that_the_registry_names(
    tokens: tuple[TokenServer, RegistryServer], tmp_path: Path
) -> None:
    giver, server = tokens
    source = f"oci://{server.host}/team/model:v1"

    found = await resolved(source, docker_config(server.host))

    assert found.sha256 == DIGEST
    assert [one["scope"] for one in giver.asked] == ["repository:team/model:pull"]
    assert giver.asked[0]["service"] == "registry"
    assert (await fetched(source, tmp_path / "cache", docker_config(server.host))).sha256 == DIGEST


async def test_a_token_that_is_not_taken_any_more_is_renewed(tokens: tuple[TokenServer, RegistryServer]) -> None:
    giver, server = tokens
    source = parse(f"oci://{server.host}/team/model:v1")
    async with open_session(LOOPBACK) as session:
        remote = Remote(session, LOOPBACK, docker_config(server.host))
        await remote.probe(source)
        access = {"type": "repository", "name": "team/model", "actions": ["pull"]}
        giver.lifetime = -3600
        place = await remote._place(source)
        assert isinstance(place, BlobPlace)
        place._registry._authorization = {"Authorization": f"Bearer {giver.token(access)}"}
        giver.lifetime = 300

        data = bytearray(b"GG")
        assert (await remote.append(source, data, 2), data) == (2, b"GGUF")

    assert len(giver.asked) == 2


async def test_a_token_that_does_not_help_is_not_asked_for_again_and_again(
    tokens: tuple[TokenServer, RegistryServer],
) -> None:
    giver, server = tokens
    giver.lifetime = -120

    error = await refused(f"oci://{server.host}/team/model:v1", docker_config(server.host))

    assert (error.reason, len(giver.asked)) == ("Unauthorized", 1)


async def test_a_wrong_password_is_the_token_servers_refusal(tokens: tuple[TokenServer, RegistryServer]) -> None:
    _, server = tokens

    error = await refused(f"oci://{server.host}/team/model:v1", docker_config(server.host, password="wr0ng"))

    assert error.reason == "Unauthorized"
    assert "token" in error.message


async def test_a_token_server_is_held_to_the_policy(tokens: tuple[TokenServer, RegistryServer]) -> None:
    giver, server = tokens
    port = server.host.partition(":")[2]
    source, by_name = f"oci://localhost:{port}/team/model:v1", SourcePolicy(("localhost",))

    error = await refused(source, docker_config(f"localhost:{port}"), policy=by_name)

    assert (error.reason, giver.asked) == ("SourceDenied", [])
    assert "127.0.0.1" in error.message
