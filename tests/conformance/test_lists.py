"""Lists: their pages, their resourceVersions and their order."""

from __future__ import annotations

import base64
import json
import secrets
from typing import Any

import pytest
from tests.conformance.client import Client
from tests.conformance.objects import Object, Places, config_map, model, widget

V1 = "meta.k8s.io/v1"
VERSION = (
    'invalid resource version: resourceVersion: Invalid value: "{0}": strconv.ParseUint: parsing "{0}": invalid syntax'
)


def forged(place: Object) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


@pytest.fixture
async def forgotten(api: Client, here: Places, is_embedded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Revision 1 is forgotten: at once by the embedded API, and some minutes after its start by a real one."""
    if is_embedded:
        monkeypatch.setattr("llmkube.local.apiserver.storage.HISTORY", 1)
        monkeypatch.setattr("llmkube.local.apiserver.storage.SLACK", 0)
    elif (await api.get(here.widgets, resourceVersion=1, resourceVersionMatch="Exact")).status == 200:
        pytest.skip("this control plane is so young that it has forgotten nothing yet")


async def fill(api: Client, here: Places, *names: str) -> None:
    for name in names:
        made = await api.post(here.widgets, widget(name))
        assert made.status == 201, made.body


async def test_the_pages_of_a_list_are_one_state_in_the_order_of_names(api: Client, here: Places) -> None:
    await fill(api, here, "d", "b", "e", "a", "c")
    first = await api.get(here.widgets, limit=2)
    await fill(api, here, "aa")
    assert (await api.delete(f"{here.widgets}/d")).status == 200
    second = await api.get(here.widgets, **{"limit": 2, "continue": first.meta["continue"]})
    third = await api.get(here.widgets, **{"limit": 2, "continue": second.meta["continue"]})
    assert [first.names, second.names, third.names] == [["a", "b"], ["c", "d"], ["e"]]
    assert [one.meta.get("remainingItemCount") for one in (first, second, third)] == [3, 1, None]
    assert {one.meta["resourceVersion"] for one in (first, second, third)} == {first.meta["resourceVersion"]}
    assert not third.meta.get("continue")
    assert (await api.get(here.widgets)).names == ["a", "aa", "b", "c", "e"]


async def test_a_page_that_holds_all_is_not_continued(api: Client, here: Places) -> None:
    await fill(api, here, "a", "b")
    answer = await api.get(here.widgets, limit=2)
    assert answer.names == ["a", "b"]
    assert not answer.meta.get("continue")
    assert "remainingItemCount" not in answer.meta


async def test_the_rest_of_a_list_with_a_selector_is_not_counted(api: Client, here: Places) -> None:
    await fill(api, here, "a", "b", "c")
    chosen: list[Object] = [{"labelSelector": "!none"}, {"fieldSelector": "metadata.name!=b"}]
    for one in chosen:
        answer = await api.get(here.widgets, limit=1, **one)
        assert answer.names == ["a"]
        assert answer.meta["continue"]
        assert "remainingItemCount" not in answer.meta


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("###", ""),
        ("bm9wZQ", ""),
        ({"v": "v9", "rv": 1, "start": "a"}, "server does not recognize this encoded version v9"),
        ({"v": V1, "rv": 0, "start": "a"}, f"incorrect encoded start resourceVersion (version {V1})"),
        ({"v": V1, "rv": 1, "start": ""}, f"encoded start key empty (version {V1})"),
        ({"v": V1, "rv": 1, "start": "../a"}, "../a"),
        ({"v": "\ud800", "rv": 1, "start": "a"}, "server does not recognize this encoded version \ufffd"),
    ],
)
async def test_a_continue_token_that_is_none_is_refused(api: Client, here: Places, token: Any, why: str) -> None:
    answer = await api.get(here.widgets, **{"continue": token if isinstance(token, str) else forged(token)})
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert answer.message.startswith(f"invalid continue token: continue key is not valid: {why}")
    assert not why or answer.message.endswith(why)


async def test_a_list_is_continued_without_a_resource_version(api: Client, here: Places) -> None:
    await fill(api, here, "a", "b")
    first = await api.get(here.widgets, limit=1)
    token = first.meta["continue"]
    for version in (first.meta["resourceVersion"], "1", "none"):
        refused = await api.get(here.widgets, **{"continue": token, "resourceVersion": version})
        assert (refused.status, refused.body["reason"]) == (400, "BadRequest")
        assert refused.message == "specifying resource version is not allowed when using continue"
    for version in ("", "0"):
        assert (await api.get(here.widgets, **{"continue": token, "resourceVersion": version})).names == ["b"]


async def test_an_expired_list_is_continued_in_the_latest_state_only(
    api: Client, here: Places, forgotten: None
) -> None:
    await fill(api, here, "a", "b", "c")
    answer = await api.get(here.widgets, **{"limit": 1, "continue": forged({"v": V1, "rv": 1, "start": "/a\0"})})
    assert (answer.status, answer.body["reason"]) == (410, "Expired")
    assert answer.message.startswith("The provided continue parameter is too old to display a consistent list result.")
    going_on = await api.get(here.widgets, **{"limit": 1, "continue": answer.meta["continue"]})
    assert going_on.names == ["b"]
    assert int(going_on.meta["resourceVersion"]) > 1
    assert (await api.get(here.widgets, **{"continue": going_on.meta["continue"]})).names == ["c"]


async def test_a_list_of_a_forgotten_state_is_expired(api: Client, here: Places, forgotten: None) -> None:
    await fill(api, here, "a")
    for asked in ({"resourceVersionMatch": "Exact"}, {"limit": 1}):
        answer = await api.get(here.widgets, resourceVersion=1, **asked)
        assert (answer.status, answer.body["reason"]) == (410, "Expired")
        assert answer.message == "The resourceVersion for the provided list is too old."


async def test_a_list_shows_the_state_that_its_resource_version_asks_for(api: Client, here: Places) -> None:
    await fill(api, here, "a")
    then = (await api.get(here.widgets)).meta["resourceVersion"]
    await fill(api, here, "b")
    exact = await api.get(here.widgets, resourceVersion=then, resourceVersionMatch="Exact")
    assert (exact.names, exact.meta["resourceVersion"]) == (["a"], then)
    paged = await api.get(here.widgets, resourceVersion=then, limit=5)
    assert (paged.names, paged.meta["resourceVersion"]) == (["a"], then)
    newest: list[Object] = [
        {},
        {"resourceVersion": ""},
        {"resourceVersion": then, "resourceVersionMatch": "NotOlderThan"},
    ]
    for asked in newest[:2]:
        assert (await api.get(here.widgets, **asked)).names == ["a", "b"]
    for asked in (newest[2], {"resourceVersion": then}):
        assert int((await api.get(here.widgets, **asked)).meta["resourceVersion"]) >= int(then)


async def test_a_list_of_any_state_is_not_cut_into_pages(api: Client, here: Places) -> None:
    await fill(api, here, "a", "b")
    latest = await api.get(here.widgets)
    # Any state will do for "0": this one waits until a cache has seen the two.
    await api.get(here.widgets, resourceVersion=latest.meta["resourceVersion"], resourceVersionMatch="NotOlderThan")
    answer = await api.get(here.widgets, resourceVersion=0, limit=1)
    assert answer.names == ["a", "b"]
    assert not answer.meta.get("continue")


async def test_a_resource_version_of_the_future_is_a_timeout(api: Client, here: Places) -> None:
    future = int((await api.get(here.widgets)).meta["resourceVersion"]) + 10**8
    for asked in ({}, {"resourceVersionMatch": "NotOlderThan"}, {"resourceVersionMatch": "Exact"}):
        answer = await api.get(here.widgets, resourceVersion=future, **asked)
        assert (answer.status, answer.body["reason"]) == (504, "Timeout")
        assert answer.message.startswith(f"Timeout: Too large resource version: {future}, current: ")
        assert answer.causes == [("ResourceVersionTooLarge", "", "Too large resource version")]
        assert answer.body["details"]["retryAfterSeconds"] == 1
        assert answer.headers["Retry-After"] == "1"


UNSUPPORTED = 'Unsupported value: "Foo": supported values: "Exact", "NotOlderThan", ""'
WITHOUT_VERSION = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"


@pytest.mark.parametrize(
    ("asked", "causes"),
    [
        ({"resourceVersionMatch": "Exact"}, [WITHOUT_VERSION]),
        ({"resourceVersionMatch": "Foo", "resourceVersion": 5}, [UNSUPPORTED]),
        ({"resourceVersionMatch": "Foo"}, [WITHOUT_VERSION, UNSUPPORTED]),
        (
            {"resourceVersionMatch": "Exact", "resourceVersion": 0},
            ['Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'],
        ),
        (
            {"resourceVersionMatch": "NotOlderThan", "resourceVersion": 0, "continue": "any"},
            ["Forbidden: resourceVersionMatch is forbidden when continue is provided"],
        ),
        ({"sendInitialEvents": True}, ["Forbidden: sendInitialEvents is forbidden for list"]),
    ],
)
async def test_options_that_do_not_go_together_are_invalid(
    api: Client, here: Places, asked: Object, causes: list[str]
) -> None:
    answer = await api.get(here.widgets, **asked)
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.message.startswith('ListOptions.meta.k8s.io "" is invalid: ')
    field = "sendInitialEvents" if "sendInitialEvents" in asked else "resourceVersionMatch"
    assert [(one["field"], one["message"]) for one in answer.body["details"]["causes"]] == [
        (field, one) for one in causes
    ]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("limit", "x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("limit", "", 'strconv.ParseInt: parsing "": invalid syntax'),
        ("limit", 10**20, f'strconv.ParseInt: parsing "{10**20}": value out of range'),
        ("timeoutSeconds", "1s", 'strconv.ParseInt: parsing "1s": invalid syntax'),
        ("resourceVersion", "x", VERSION.format("x")),
        ("resourceVersion", "-1", VERSION.format("-1")),
    ],
)
async def test_a_number_that_is_none_is_refused(
    api: Client, here: Places, name: str, value: object, message: str
) -> None:
    answer = await api.get(here.widgets, **{name: value})
    assert (answer.status, answer.body["reason"], answer.message) == (400, "BadRequest", message)


async def test_a_limit_below_one_is_none(api: Client, here: Places) -> None:
    await fill(api, here, "a", "b")
    for limit in (0, -1):
        assert (await api.get(here.widgets, limit=limit)).names == ["a", "b"]


async def test_a_list_across_namespaces_is_in_the_order_of_paths(api: Client, here: Places) -> None:
    mark, other = secrets.token_hex(8), f"{here.namespace}-b"
    await api.post("/api/v1/namespaces", {"metadata": {"name": other}})
    for place in (here, Places(other)):
        for name in ("b", "a"):
            await api.post(place.configmaps, config_map(name, labels={"mark": mark}))
    # "-" comes before "/".
    wanted = [(other, "a"), (other, "b"), (here.namespace, "a"), (here.namespace, "b")]
    found: list[tuple[str, str]] = []
    token = ""
    while len(found) < len(wanted):
        page = await api.get("/api/v1/configmaps", labelSelector=f"mark={mark}", limit=3, **{"continue": token})
        found += [(one["metadata"]["namespace"], one["metadata"]["name"]) for one in page.body["items"]]
        token = page.meta.get("continue", "")
        assert bool(token) == (len(found) < len(wanted))
    await api.delete(f"/api/v1/namespaces/{other}")
    assert found == wanted


async def test_a_list_says_of_what_it_is(api: Client, here: Places) -> None:
    await api.post(here.configmaps, config_map("one"))
    await api.post(here.models, model("one"))
    builtin = await api.get(here.configmaps, fieldSelector="metadata.name=one")
    assert (builtin.body["kind"], builtin.body["apiVersion"]) == ("ConfigMapList", "v1")
    assert {"kind", "apiVersion"}.isdisjoint(builtin.body["items"][0])
    custom = await api.get(here.models)
    assert (custom.body["kind"], custom.body["apiVersion"]) == ("ModelList", "inference.llmkube.dev/v1alpha1")
    assert custom.body["items"] == [(await api.get(f"{here.models}/one")).body]
    empty = await api.get(here.inferenceservices)
    assert (empty.body["kind"], empty.body["items"]) == ("InferenceServiceList", [])
    assert empty.meta["resourceVersion"].isdigit()


async def test_what_is_no_character_is_replaced_and_never_breaks_a_list(api: Client, here: Places) -> None:
    made = await api.post(here.widgets, widget("one", {"note": "a\ud800b"}))
    changed = await api.patch(f"{here.widgets}/one", {"spec": {"labels": {"\udc00": "\U0001f600"}}})
    assert (made.status, changed.status) == (201, 200)
    (found,) = (await api.get(here.widgets)).body["items"]
    assert found["spec"] == {"note": "a\ufffdb", "labels": {"\ufffd": "\U0001f600"}, "size": 3}
