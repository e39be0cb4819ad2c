"""What an InferenceService takes from ConfigMaps and Secrets, with a real engine: templates, keys, variables."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from tests.component.local.inputs import answers, ask, config_map, degraded, refused, secret, template_of
from tests.component.local.local_mode import service, until
from tests.component.local.streams import Load

if TYPE_CHECKING:
    from tests.component.local.local_mode import LocalMode

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400), pytest.mark.usefixtures("neighbour")]

SHOUT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\nAYE"
)
"""Ends in the first word of the answer."""


@pytest.fixture(scope="module")
def local(watchful_local: LocalMode) -> LocalMode:
    return watchful_local


def test_a_template_is_the_engines_and_another_text_replaces_the_pods(local: LocalMode, steady: str) -> None:
    local.apply(service("styled", "tiny", chatTemplateRef={"name": "style"}))
    assert "expected ConfigMap style, found none" in degraded(local, "styled", "ConfigMapNotFound")
    local.apply(config_map("style", other="x"))
    assert "a key chat-template.jinja in ConfigMap style, found other" in degraded(
        local, "styled", "ConfigMapKeyNotFound"
    )
    local.apply(config_map("style", **{"chat-template.jinja": SHOUT}))
    endpoint = local.until_ready("styled")["status"]["endpoint"]
    counted = ask(endpoint)["usage"]["prompt_tokens"]
    first = template_of(local, "styled")
    local.apply(config_map("style", **{"chat-template.jinja": f"{SHOUT}, matey, it is me"}))
    until(lambda: template_of(local, "styled"), lambda found: found != first)
    local.until_ready("styled")
    until(lambda: ask(endpoint)["usage"]["prompt_tokens"], lambda found: found > counted)
    local.llmkube("delete", "styled")


def test_keys_rotate_and_a_secret_that_goes_wrong_stops_nobody(local: LocalMode) -> None:
    local.apply(service("locked", "tiny", auth={"secretRef": {"name": "keys"}}))
    assert "expected Secret keys, found none" in degraded(local, "locked", "SecretNotFound")
    assert local.pods("locked") == []
    local.apply(secret("keys", api_keys="# ours\nfirst-key\nsecond-key\n"))
    endpoint = local.until_ready("locked")["status"]["endpoint"]
    assert [answers(endpoint, key) for key in ("first-key", "second-key")] == [True, True]
    assert [refused(endpoint, key) for key in ("", "third-key", "# ours")] == [401, 401, 401]
    local.apply(secret("keys", api_keys="second-key\nthird-key\n"))
    until(lambda: answers(endpoint, "third-key"), bool)
    local.until_ready("locked")
    assert answers(endpoint, "second-key")
    until(lambda: refused(endpoint, "first-key"), lambda code: code == 401)
    rotated = template_of(local, "locked")
    for wrong, reason in (("", "SecretEmpty"), ("\n# none\n", "NoAPIKeys"), ("third-key\r\n", "APIKeysUnusable")):
        local.apply(secret("keys", api_keys=wrong))
        assert "spec.auth.secretRef" in degraded(local, "locked", reason)
    local.delete("api/v1/namespaces/default/secrets/keys")
    degraded(local, "locked", "SecretNotFound")
    assert (template_of(local, "locked"), answers(endpoint, "third-key")) == (rotated, True)
    told = json.dumps([local.service("locked"), local.pods("locked"), rotated])
    assert [key for key in ("first-key", "second-key", "third-key") if key in told] == []
    local.llmkube("delete", "locked")


async def test_a_key_that_stays_loses_no_stream_while_the_others_rotate(local: LocalMode) -> None:
    local.apply(secret("rotated", api_keys="first-key\nsecond-key\n"))
    local.apply(service("rotated", "tiny", parallel=4, auth={"secretRef": {"name": "rotated"}}))
    endpoint = (await asyncio.to_thread(local.until_ready, "rotated"))["status"]["endpoint"]
    before = template_of(local, "rotated")
    load = Load(endpoint.partition("/v1")[0], key="second-key", enough=24)
    running = asyncio.create_task(load.run())
    await asyncio.to_thread(until, lambda: load.total, lambda count: count > 4)
    assert load.in_flight > 0
    await asyncio.to_thread(local.apply, secret("rotated", api_keys="second-key\nthird-key\n"))
    await asyncio.to_thread(until, lambda: template_of(local, "rotated"), lambda found: found != before)
    await asyncio.to_thread(local.until_ready, "rotated")
    load.stopping.set()
    await running
    assert (load.ended["lost"], load.ended["truncated"]) == (0, 0), f"{dict(load.ended)}; {load.errors[:5]}"
    assert await asyncio.to_thread(answers, endpoint, "third-key")
    local.llmkube("delete", "rotated")


def test_a_variable_whose_secret_is_missing_is_named_while_the_running_pods_go_on(local: LocalMode) -> None:
    local.apply(service("told", "tiny"))
    endpoint = local.until_ready("told")["status"]["endpoint"]
    variable = {"name": "WHO", "valueFrom": {"secretKeyRef": {"name": "nobody", "key": "who"}}}
    local.apply(service("told", "tiny", env=[variable]))
    assert "spec.env[WHO].valueFrom.secretKeyRef: expected Secret nobody" in degraded(local, "told", "SecretNotFound")
    assert answers(endpoint)
    local.apply(secret("nobody", who="me"))
    local.until_ready("told")
    local.llmkube("delete", "told")
