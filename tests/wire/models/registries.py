"""What tests of oci:// ask of LLMKube, and the model that registries have."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from tests import tiny
from tests.real_servers import (
    PASSWORD,
    USER,
)

from llmkube.gguf.resolve import Resolved, resolve
from llmkube.models.credentials import Credentials
from llmkube.models.errors import SourceError
from llmkube.models.fetch import Fetched, FetchRequest, fetch
from llmkube.models.policy import SourcePolicy

LOOPBACK = SourcePolicy(("127.0.0.0/8",))
MODEL = tiny.model(tokens=60_000)
DIGEST = hashlib.sha256(MODEL).hexdigest()
NOBODY = Credentials()


async def resolved(source: str, credentials: Credentials = NOBODY, *, policy: SourcePolicy = LOOPBACK) -> Resolved:
    return await resolve(source, policy=policy, credentials=credentials)


async def fetched(source: str, cache: Path, credentials: Credentials = NOBODY) -> Fetched:
    request = FetchRequest(source, cache, "team", "tiny", policy=LOOPBACK, credentials=credentials)
    return await fetch(request, lambda _: None)


async def refused(source: str, credentials: Credentials = NOBODY, *, policy: SourcePolicy = LOOPBACK) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await resolved(source, credentials, policy=policy)
    assert "\n" not in caught.value.message
    return caught.value


def docker_config(host: str, user: str = USER, password: str = PASSWORD) -> Credentials:
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return Credentials(docker_config=json.dumps({"auths": {host: {"auth": pair}}}))
