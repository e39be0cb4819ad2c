"""What tests of an InferenceService's inputs ask and make: answers with a key, Secrets, ConfigMaps, what is told."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from tests.component.local.local_mode import condition, until

if TYPE_CHECKING:
    from tests.component.local.local_mode import LocalMode, Object


def ask(endpoint: str, *, key: str = "", tokens: int = 8, **further: Any) -> Object:
    """Return a real answer, at temperature 0."""
    said = [{"role": "user", "content": "Say hello."}]
    body = {"messages": said, "max_tokens": tokens, "temperature": 0, **further}
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    url = f"{endpoint.partition('/v1')[0]}/v1/chat/completions"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=90) as found:
        answered: Object = json.load(found)
    return answered


def answers(endpoint: str, key: str = "") -> bool:
    return ask(endpoint, key=key, tokens=1)["usage"]["completion_tokens"] == 1


def text(answered: Object) -> str:
    said: str = answered["choices"][0]["message"]["content"]
    return said


def refused(endpoint: str, key: str) -> int:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(endpoint, key=key, tokens=1)
    caught.value.close()
    return caught.value.code


def secret(name: str, **entries: str) -> Object:
    encoded = {key.replace("_", "-"): base64.b64encode(text.encode()).decode() for key, text in entries.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata(name), "data": encoded}


def config_map(name: str, **entries: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(name), "data": entries}


def metadata(name: str) -> Object:
    return {"name": name, "namespace": "default"}


def degraded(local: LocalMode, name: str, reason: str) -> str:
    """Wait until the condition gives this reason; return what it says."""
    found = until(
        lambda: condition(local.service(name).get("status", {}), "Degraded"),
        lambda found: found.get("reason") == reason,
    )
    message: str = found["message"]
    return message


def template_of(local: LocalMode, name: str) -> Object:
    found: Object = local.get("apis/apps/v1/namespaces/default/deployments", name)["spec"]["template"]
    return found
