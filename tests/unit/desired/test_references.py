"""What an InferenceService refers to: said when it is missing, and in the pods when it is another one."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from llmkube.desired.referenced import Found, Reference, found
from llmkube.desired.referenced_files import KEYS_VERSION, TEMPLATE_VERSION, keys_part, template_part
from llmkube.desired.references import held, references
from llmkube.kube.objects import Data, ObjectMeta

Factory = Callable[..., Any]
KEYS, TEMPLATE = Reference("Secret", "keys"), Reference("ConfigMap", "style")
AUTH = {"auth": {"secretRef": {"name": "keys"}}}
STYLE = {"chatTemplateRef": {"name": "style"}}


def from_secret(key: str = "k", *, optional: bool | None = None) -> dict[str, Any]:
    reference = {"name": "keys", "key": key} | ({} if optional is None else {"optional": optional})
    return {"env": [{"name": "A", "valueFrom": {"secretKeyRef": reference}}]}


def secret(**entries: str) -> Found:
    encoded = {name.replace("_", "-"): base64.b64encode(text.encode()).decode() for name, text in entries.items()}
    return found(Data(metadata=ObjectMeta(uid="1"), data=encoded), "Secret")


def config_map(**entries: str) -> Found:
    return found(Data(metadata=ObjectMeta(uid="1"), data=entries), "ConfigMap")


def test_a_plain_service_refers_to_nothing(isvc_spec: Factory) -> None:
    assert references(isvc_spec()) == ()
    assert held(isvc_spec(), {}) is None


def test_what_is_referred_to_twice_is_looked_at_once(isvc_spec: Factory) -> None:
    config = {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "style", "key": "a"}}}]}
    assert references(isvc_spec(**AUTH | STYLE | config)) == (KEYS, TEMPLATE)


def test_what_a_variable_may_lack_is_not_looked_at(isvc_spec: Factory) -> None:
    assert references(isvc_spec(**from_secret(optional=True))) == ()
    assert references(isvc_spec(**from_secret(optional=False))) == (KEYS,)


@pytest.mark.parametrize(
    ("spec", "there", "reason", "words"),
    [
        (AUTH, {KEYS: Found(problem="none")}, "SecretNotFound", "spec.auth.secretRef: expected Secret keys"),
        (AUTH, {KEYS: secret(other="x")}, "SecretKeyNotFound", "expected a key api-keys in Secret keys, found other"),
        (AUTH, {KEYS: secret(api_keys="")}, "SecretEmpty", "found it empty"),
        (AUTH, {KEYS: secret(api_keys="# later\n\n")}, "NoAPIKeys", "found blank lines and comments only"),
        (AUTH, {KEYS: secret(api_keys="good\nbad \n")}, "APIKeysUnusable", "found 1 of 2 that end in a blank"),
        (AUTH, {KEYS: secret(api_keys="a\r\nb\r\n")}, "APIKeysUnusable", "found 2 of 2"),
        (
            STYLE,
            {TEMPLATE: Found(problem="none")},
            "ConfigMapNotFound",
            "spec.chatTemplateRef: expected ConfigMap style",
        ),
        (STYLE, {TEMPLATE: config_map(a="x")}, "ConfigMapKeyNotFound", "expected a key chat-template.jinja"),
        (STYLE, {TEMPLATE: config_map(**{"chat-template.jinja": ""})}, "ConfigMapEmpty", "found it empty"),
        (
            from_secret(),
            {KEYS: secret(b="x")},
            "SecretKeyNotFound",
            "spec.env[A].valueFrom.secretKeyRef: expected a key k",
        ),
    ],
)
def test_what_is_missing_is_said_with_where_it_is_asked_for(
    spec: dict[str, Any], there: Mapping[Reference, Found], reason: str, words: str, isvc_spec: Factory
) -> None:
    told = held(isvc_spec(**spec), there)
    assert told is not None
    assert (told.reason, words in told.message) == (reason, True), told.message


def test_a_variable_may_be_empty(isvc_spec: Factory) -> None:
    assert held(isvc_spec(**from_secret()), {KEYS: secret(k="")}) is None


def test_no_key_is_ever_told(isvc_spec: Factory) -> None:
    told = held(isvc_spec(**AUTH), {KEYS: secret(api_keys="hunter2 \n")})
    assert told is not None
    assert "hunter2" not in told.message


def test_other_keys_replace_the_pods_and_no_annotation_tells_them(isvc_spec: Factory) -> None:
    spec = isvc_spec(**AUTH)
    parts = [keys_part(spec, {KEYS: secret(api_keys=text)}) for text in ("hunter2", "hunter3", "hunter2")]
    versions = [part.annotations[KEYS_VERSION] for part in parts]
    assert versions[0] == versions[2] != versions[1]
    assert "hunter" not in repr(parts)


def test_another_template_replaces_the_pods_and_another_key_beside_it_does_not(isvc_spec: Factory) -> None:
    spec, key = isvc_spec(**STYLE), "chat-template.jinja"
    texts = ({key: "a"}, {key: "b"}, {key: "a", "other": "c"})
    versions = [template_part(spec, {TEMPLATE: config_map(**each)}).annotations[TEMPLATE_VERSION] for each in texts]
    assert versions[0] == versions[2] != versions[1]
