"""The operator reads credentials, keys and certificates, and tells nobody: planted markers are searched everywhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.component.operator.api import PREFIXES, Refused
from tests.component.operator.conftest import is_ready
from tests.wire.models.web_servers import Authority

if TYPE_CHECKING:
    from tests.component.operator.api import Api, Object
    from tests.component.operator.conftest import Until
    from tests.component.operator.process import Operator

pytestmark = pytest.mark.usefixtures("steady")
TOKEN, KEY = "marker-token-7f3a", "marker-key-91bc"
UNSEARCHED = {"secrets", "customresourcedefinitions"}
"""Where the secrets are, and where nobody puts one."""


def secret(name: str, data: dict[str, str], kind: str = "Opaque") -> Object:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": kind, "data": encoded}


def certificate(folder: Path) -> dict[str, str]:
    Authority(folder).server()
    key, end, public = (folder / "server-127.0.0.1.pem").read_text().partition("-----END PRIVATE KEY-----\n")
    return {"tls.crt": public, "tls.key": key + end}


def test_secrets_are_in_no_object_log_or_page_of_the_operator(
    api: Api, here: str, operator: Operator, documents: Callable[..., Any], until: Until, tmp_path: Path
) -> None:
    pair = certificate(tmp_path)
    private = pair["tls.key"].splitlines()[1]
    api.apply("secrets", here, secret("credentials", {"LLMKUBE_SOURCE_TOKEN": TOKEN}))
    api.apply("secrets", here, secret("keys", {"api-keys": KEY}))
    api.apply("secrets", here, secret("cert", pair, "kubernetes.io/tls"))
    fields = {"auth": {"secretRef": {"name": "keys"}}, "endpoint": {"tls": {"secretRef": {"name": "cert"}}}}
    model, service = documents(**fields)
    model["spec"] |= {"sourceSecretRef": {"name": "credentials"}}
    for resource, each in (("models", model), ("inferenceservices", service)):
        api.apply(resource, here, each)
    until(lambda: api.get("inferenceservices", here, "chat"), is_ready)
    deployment = json.dumps(api.get("deployments", here, "chat"))
    assert "--ssl-key-file" in deployment
    assert "api-keys-version" in deployment
    api.patch("inferenceservices", here, "chat", {"spec": {"endpoint": {"tls": {"secretRef": {"name": "keys"}}}}})
    until(lambda: "tls.crt" in json.dumps(api.get("inferenceservices", here, "chat")["status"]))
    said = {resource: told(api, resource, here) for resource in PREFIXES.keys() - UNSEARCHED}
    said |= {"log": operator.log.read_text(), **pages(operator)}
    markers = [TOKEN, KEY, private, pair["tls.key"]]
    markers += [base64.b64encode(each.encode()).decode().rstrip("=")[:-1] for each in markers]
    assert {place for place, text in said.items() for marker in markers if marker in text} == set()
    assert "events" in said
    assert "LLMKUBE_SOURCE_TOKEN" in said["jobs"], "nothing was planted"


def told(api: Api, resource: str, here: str) -> str:
    try:
        return json.dumps(api.items(resource, here))
    except Refused:
        return ""  # not a kind of a namespace, or not served


def pages(operator: Operator) -> dict[str, str]:
    found = {page: operator.page(f"/{page}") for page in ("metrics", "debug/queues", "debug/stores", "readyz")}
    assert all(found.values())
    return found
