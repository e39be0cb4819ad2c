"""s3:// against a real object store that verifies every signature (versitygw, hack/servers)."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests import tiny
from tests.real_servers import ObjectStore, object_store

from llmkube.gguf.errors import GGUFError
from llmkube.gguf.resolve import Resolved, resolve
from llmkube.models.credentials import Credentials
from llmkube.models.errors import SourceError
from llmkube.models.fetch import Fetched, FetchRequest, fetch
from llmkube.models.policy import SourcePolicy

pytestmark = pytest.mark.timeout(1200)  # the first one may have to build the server
LOOPBACK = SourcePolicy(("127.0.0.0/8",))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with object_store(tmp_path_factory.mktemp("store")) as running:
        running.client.create_bucket(Bucket="models")
        yield running


async def resolved(source: str, environment: dict[str, str], *, policy: SourcePolicy = LOOPBACK) -> Resolved:
    return await resolve(source, policy=policy, credentials=Credentials.of(environment))


async def fetched(source: str, environment: dict[str, str], cache: Path) -> Fetched:
    credentials = Credentials.of(environment)
    request = FetchRequest(source, cache, "team", "tiny", policy=LOOPBACK, credentials=credentials)
    return await fetch(request, lambda _: None)


async def refused(source: str, environment: dict[str, str]) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await resolved(source, environment)
    assert "\n" not in caught.value.message
    return caught.value


KEYS = ["m.gguf", "a/b c".replace(" ", "+") + "/m.gguf", "tilde~(1)/ünï'code=&?#/m.gguf", "100%/%41/m.gguf"]


@pytest.mark.parametrize("key", KEYS)
async def test_an_object_of_any_key_is_read_by_ranges_and_fetched_with_a_signature(
    store: ObjectStore, tmp_path: Path, key: str
) -> None:
    data = tiny.model(tokens=90_000)
    source = store.put("models", key, data)

    found = await resolved(source, store.environment)
    done = await fetched(source, store.environment, tmp_path)

    assert found.facts is not None
    assert (found.size_bytes, found.facts.vocabulary_size) == (len(data), 90_000)
    assert found.etag
    assert done.sha256 == hashlib.sha256(data).hexdigest()


async def test_a_split_model_is_all_of_its_objects(store: ObjectStore, tmp_path: Path) -> None:
    files = tiny.parts()
    for name, data in files.items():
        store.put("models", f"split/{name}", data)
    source = f"s3://models/split/{next(iter(files))}"

    assert (await resolved(source, store.environment)).size_bytes == sum(map(len, files.values()))
    assert (await fetched(source, store.environment, tmp_path)).files == 3


async def test_a_session_token_reaches_the_server_which_knows_none_and_says_so(store: ObjectStore) -> None:
    source = store.put("models", "session.gguf", tiny.model())

    error = await refused(source, {**store.environment, "AWS_SESSION_TOKEN": "of a role"})

    assert (error.reason, "InvalidToken" in error.message) == ("Unauthorized", True)
    assert "renew AWS_SESSION_TOKEN" in error.message


@pytest.mark.parametrize(
    ("changed", "source", "reason", "words"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "s3://models/m.gguf", "Unauthorized", "SignatureDoesNotMatch"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "s3://models/m.gguf", "Unauthorized", "check AWS_ACCESS_KEY_ID"),
        ({}, "s3://models/missing.gguf", "NotFound", "NoSuchKey"),
        ({}, "s3://nothere/m.gguf", "NotFound", "NoSuchBucket"),
        ({"AWS_REGION": "eu-other-1"}, "s3://models/m.gguf", "WrongRegion", "set AWS_REGION to eu-test-1"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "s3://models/m.gguf", "Forbidden", "AccessDenied"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "s3://models/m.gguf", "InvalidCredentials", "found no AWS_SECRET_ACCESS_KEY"),
        ({"AWS_ENDPOINT_URL": "not a url"}, "s3://models/m.gguf", "InvalidEndpoint", "AWS_ENDPOINT_URL"),
    ],
)
async def test_what_the_server_says_is_told_with_what_to_do(
    store: ObjectStore, changed: dict[str, str], source: str, reason: str, words: str
) -> None:
    store.put("models", "m.gguf", tiny.model())

    error = await refused(source, {**store.environment, **changed})

    assert error.reason == reason
    assert words in error.message
    assert store.environment["AWS_SECRET_ACCESS_KEY"] not in error.message


async def test_a_public_object_needs_no_keys(store: ObjectStore) -> None:
    store.client.create_bucket(Bucket="public")
    everyone = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::public/*"}
    policy = {"Version": "2012-10-17", "Statement": [everyone]}
    store.client.put_bucket_policy(Bucket="public", Policy=json.dumps(policy))
    source = store.put("public", "m.gguf", tiny.model())

    found = await resolved(source, {"AWS_ENDPOINT_URL": store.endpoint})

    assert found.facts


async def test_an_endpoint_inside_a_private_network_is_the_administrators_to_allow(store: ObjectStore) -> None:
    source = store.put("models", "m.gguf", tiny.model())

    with pytest.raises(SourceError) as caught:
        await resolved(source, store.environment, policy=SourcePolicy())

    assert caught.value.reason == "SourceDenied"


async def test_a_truncated_object_is_called_that(store: ObjectStore) -> None:
    source = store.put("models", "cut.gguf", tiny.model()[:-100])

    with pytest.raises(GGUFError) as caught:
        await resolved(source, store.environment)

    assert caught.value.reason == "Truncated"


async def test_an_empty_object_is_called_that(store: ObjectStore) -> None:
    error = await refused(store.put("models", "empty.gguf", b""), store.environment)

    assert error.reason == "Truncated"


class Redirecting(BaseHTTPRequestHandler):
    """Sends everybody to `target`, and keeps what they showed it. It stands in for a bucket that moved."""

    protocol_version = "HTTP/1.1"
    target = ""
    shown: list[dict[str, str]]

    def do_GET(self) -> None:
        self.shown.append(dict(self.headers))
        self.send_response(307)
        self.send_header("Location", self.target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


async def test_a_signature_never_follows_a_redirect_to_another_host(store: ObjectStore) -> None:
    end = type("End", (Redirecting,), {"shown": [], "do_GET": _not_found})
    begin = type("Begin", (Redirecting,), {"shown": []})
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), one) for one in (end, begin)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    begin.target = f"http://127.0.0.1:{servers[0].server_port}/m.gguf"
    endpoint = f"http://127.0.0.1:{servers[1].server_port}"

    error = await refused("s3://models/m.gguf", {**store.environment, "AWS_ENDPOINT_URL": endpoint})

    for server in servers:
        server.shutdown()
        server.server_close()
    assert error.reason == "NotFound"
    assert "AWS4-HMAC-SHA256" in begin.shown[0]["Authorization"]
    assert not [name for name in end.shown[0] if name.lower() == "authorization" or name.lower().startswith("x-amz")]


def _not_found(handler: Redirecting) -> None:
    handler.shown.append(dict(handler.headers))
    handler.send_response(404)
    handler.send_header("Content-Length", "0")
    handler.end_headers()
