"""Watches: what is told, in which order, from when on, and how a watch ends."""

from __future__ import annotations

import pytest
from tests.conformance.client import Client, Watch
from tests.conformance.objects import Object, Places, config_map, inference_service, model, pod, widget

MINE = "metadata.name!=kube-root-ca.crt"
END = "k8s.io/initial-events-end"
NEWEST = {"sendInitialEvents": True, "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": True}


async def now(api: Client, path: str) -> str:
    """The resourceVersion of this moment."""
    return (await api.get(path)).meta["resourceVersion"]


async def told(watch: Watch, count: int) -> list[tuple[str, str]]:
    """Types and names of the next events."""
    return [await watch.told() for _ in range(count)]


async def test_every_change_is_told_once_with_the_object_as_it_is_then(api: Client, here: Places) -> None:
    async with api.watch(here.widgets, resourceVersion=await now(api, here.widgets)) as watch:
        made = await api.post(here.widgets, widget("one"))
        changed = await api.patch(f"{here.widgets}/one", {"spec": {"size": 5}})
        unchanged = await api.patch(f"{here.widgets}/one", {"spec": {"size": 5}})
        status = await api.patch(f"{here.widgets}/one/status", {"status": {"phase": "Good"}})
        await api.delete(f"{here.widgets}/one")
        events = [await watch.next() for _ in range(4)]
    assert unchanged.body == changed.body
    assert events[:3] == [
        {"type": "ADDED", "object": made.body},
        {"type": "MODIFIED", "object": changed.body},
        {"type": "MODIFIED", "object": status.body},
    ]
    last = events[3]["object"]["metadata"].pop("resourceVersion")
    assert int(last) > int(status.meta.pop("resourceVersion"))
    assert events[3] == {"type": "DELETED", "object": status.body}


async def test_resource_versions_of_events_only_grow(api: Client, here: Places) -> None:
    async with api.watch(here.configmaps, resourceVersion=await now(api, here.configmaps), fieldSelector=MINE) as watch:
        for name in "abc":
            await api.post(here.configmaps, config_map(name))
            await api.patch(f"{here.configmaps}/{name}", {"data": {"a": "b"}})
        await api.delete(here.configmaps, fieldSelector=MINE)
        versions = [int((await watch.next())["object"]["metadata"]["resourceVersion"]) for _ in range(9)]
    assert versions == sorted(set(versions))


async def test_a_watch_goes_on_after_its_resource_version(api: Client, here: Places) -> None:
    await api.post(here.widgets, widget("before"))
    made = await api.post(here.widgets, widget("one"))
    await api.post(here.widgets, widget("two"))
    await api.delete(f"{here.widgets}/one")
    async with api.watch(here.widgets, resourceVersion=made.meta["resourceVersion"]) as watch:
        assert await told(watch, 2) == [("ADDED", "two"), ("DELETED", "one")]
        await api.post(here.widgets, widget("three"))
        assert await watch.told() == ("ADDED", "three")


@pytest.mark.parametrize("asked", [{}, {"resourceVersion": ""}, {"resourceVersion": 0}])
async def test_a_watch_from_nowhere_begins_with_what_there_is(api: Client, here: Places, asked: Object) -> None:
    made = [(await api.post(here.widgets, widget(name))).body for name in "ba"]
    # What is asked for by "0" may be of a moment ago: this waits until it has seen the two.
    latest = {"resourceVersion": made[1]["metadata"]["resourceVersion"], "resourceVersionMatch": "NotOlderThan"}
    await api.get(here.widgets, **latest)
    async with api.watch(here.widgets, **asked) as watch:
        events = [await watch.next() for _ in range(2)]
        await api.post(here.widgets, widget("c"))
        assert await watch.told() == ("ADDED", "c")
    assert events == [{"type": "ADDED", "object": one} for one in reversed(made)]


@pytest.mark.parametrize("version", [None, "0", "exact"])
async def test_the_end_of_what_there_is_at_first_is_a_bookmark(api: Client, here: Places, version: str | None) -> None:
    await api.post(here.models, model("a"))
    made = await api.post(here.models, model("b"))
    latest = made.meta["resourceVersion"]
    await api.get(here.models, resourceVersion=latest, resourceVersionMatch="NotOlderThan")
    asked = {"resourceVersion": latest if version == "exact" else version} if version else {}
    async with api.watch(here.models, **NEWEST, **asked) as watch:
        assert await told(watch, 2) == [("ADDED", "a"), ("ADDED", "b")]
        end = await watch.next()
        await api.delete(f"{here.models}/a")
        assert await watch.told() == ("DELETED", "a")
    of = int(end["object"]["metadata"].pop("resourceVersion"))
    assert of >= int(latest)
    kind = {"kind": "Model", "apiVersion": "inference.llmkube.dev/v1alpha1"}
    assert end == {"type": "BOOKMARK", "object": {**kind, "metadata": {"annotations": {END: "true"}}}}


async def test_a_watch_that_wants_no_bookmarks_gets_none(api: Client, here: Places) -> None:
    await api.post(here.widgets, widget("a"))
    async with api.watch(here.widgets, **{**NEWEST, "allowWatchBookmarks": False}, timeoutSeconds=3) as watch:
        assert [one["type"] for one in await watch.rest()] == ["ADDED"]


async def test_what_there_is_at_first_can_be_declined(api: Client, here: Places) -> None:
    await api.post(here.widgets, widget("a"))
    declined = {"sendInitialEvents": False, "resourceVersionMatch": "NotOlderThan"}
    async with api.watch(here.widgets, **declined) as watch:
        await api.post(here.widgets, widget("b"))
        assert await watch.told() == ("ADDED", "b")


async def test_a_bookmark_comes_before_a_watch_ends(api: Client, here: Places) -> None:
    made = await api.post(here.widgets, widget("a"))
    version = made.meta["resourceVersion"]
    asked = {"resourceVersion": version, "timeoutSeconds": 4, "allowWatchBookmarks": True}
    async with api.watch(here.widgets, **asked) as watch:
        (bookmark, *_) = await watch.rest()
    assert int(bookmark["object"]["metadata"].pop("resourceVersion")) >= int(version)
    kind = {"kind": "Widget", "apiVersion": "conformance.llmkube.dev/v1"}
    assert bookmark == {"type": "BOOKMARK", "object": {**kind, "metadata": {}}}


async def test_a_watch_ends_without_an_error_when_its_time_is_over(api: Client, here: Places) -> None:
    await api.post(here.inferenceservices, inference_service("one"))
    async with api.watch(here.inferenceservices, timeoutSeconds=1) as watch:
        assert [one["type"] for one in await watch.rest()] == ["ADDED"]


@pytest.mark.parametrize(
    ("chosen", "entering", "staying", "leaving"),
    [
        (
            {"labelSelector": "tier=web"},
            {"metadata": {"labels": {"tier": "web"}}},
            {"spec": {"size": 5}},
            {"metadata": {"labels": {"tier": "db"}}},
        ),
        (
            {"fieldSelector": "spec.mode=fast"},
            {"spec": {"mode": "fast"}},
            {"spec": {"size": 5}},
            {"spec": {"mode": "slow"}},
        ),
    ],
)
async def test_what_enters_a_selector_is_added_and_what_leaves_it_deleted(
    api: Client, here: Places, chosen: Object, entering: Object, staying: Object, leaving: Object
) -> None:
    one = f"{here.widgets}/one"
    async with api.watch(here.widgets, resourceVersion=await now(api, here.widgets), **chosen) as watch:
        await api.post(here.widgets, widget("other"))
        await api.post(here.widgets, widget("one"))
        changed = [(await api.patch(one, patch)).body for patch in (entering, staying, leaving, entering)]
        deleted = await api.delete(one)
        events = [await watch.next() for _ in range(5)]
    assert deleted.status == 200
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]
    assert [events[0]["object"], events[1]["object"], events[3]["object"]] == [changed[0], changed[1], changed[3]]
    # What leaves is told as it was when it was still in, with the resourceVersion of its leaving.
    version = changed[2]["metadata"]["resourceVersion"]
    assert events[2]["object"] == {**changed[1], "metadata": {**changed[1]["metadata"], "resourceVersion": version}}


async def test_one_object_is_watched_by_its_name(api: Client, here: Places) -> None:
    await api.post(here.models, model("other"))
    asked = {"fieldSelector": "metadata.name=one", "resourceVersion": await now(api, here.models)}
    async with api.watch(here.models, **asked) as watch:
        for name in ("one", "another"):
            await api.post(here.models, model(name))
        await api.delete(f"{here.models}/other")
        await api.delete(f"{here.models}/one")
        assert await told(watch, 2) == [("ADDED", "one"), ("DELETED", "one")]


async def test_pods_are_watched_by_their_node(api: Client, here: Places, pods_may_run: None) -> None:
    asked = {"fieldSelector": "spec.nodeName=nowhere", "resourceVersion": await now(api, here.pods)}
    async with api.watch(here.pods, **asked) as watch:
        await api.post(here.pods, pod("free", schedulerName="nobody"))
        await api.post(here.pods, pod("bound", nodeName="nowhere"))
        assert await watch.told() == ("ADDED", "bound")
        await api.post(
            f"{here.pods}/free/binding",
            {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "free"}, "target": {"name": "nowhere"}},
        )
        assert await watch.told() == ("ADDED", "free")


async def test_what_a_finalizer_holds_is_modified_first_and_deleted_when_it_is_let_go(
    api: Client, here: Places
) -> None:
    one = f"{here.widgets}/one"
    await api.post(here.widgets, widget("one", finalizers=["conformance.llmkube.dev/hold"]))
    async with api.watch(here.widgets, resourceVersion=await now(api, here.widgets)) as watch:
        held = await api.delete(one)
        await api.patch(one, {"metadata": {"finalizers": None}})
        marked, gone = await watch.next(), await watch.next()
    assert marked == {"type": "MODIFIED", "object": held.body}
    assert held.meta["deletionTimestamp"]
    assert int(gone["object"]["metadata"].pop("resourceVersion")) > int(held.meta.pop("resourceVersion"))
    assert gone == {"type": "DELETED", "object": held.body}


async def test_each_object_of_a_deleted_collection_is_told(api: Client, here: Places) -> None:
    for name in "abc":
        await api.post(here.configmaps, config_map(name, labels={"go": "no" if name == "b" else "yes"}))
    async with api.watch(here.configmaps, resourceVersion=await now(api, here.configmaps)) as watch:
        await api.delete(here.configmaps, labelSelector="go=yes")
        assert sorted(await told(watch, 2)) == [("DELETED", "a"), ("DELETED", "c")]
        await api.delete(f"{here.configmaps}/b")
        assert await watch.told() == ("DELETED", "b")


async def test_a_watch_across_namespaces_tells_of_all(api: Client, here: Places) -> None:
    everywhere = "/apis/inference.llmkube.dev/v1alpha1/models"
    name = f"one-{here.namespace}"
    asked = {"fieldSelector": f"metadata.name={name}", "resourceVersion": await now(api, everywhere)}
    async with api.watch(everywhere, **asked) as watch:
        made = await api.post(here.models, model(name))
        assert await watch.next() == {"type": "ADDED", "object": made.body}


async def test_a_watch_from_what_is_forgotten_ends_with_an_expired_error(
    api: Client, here: Places, is_embedded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_embedded:
        monkeypatch.setattr("llmkube.local.apiserver.storage.HISTORY", 1)
        monkeypatch.setattr("llmkube.local.apiserver.storage.SLACK", 0)
    await api.post(here.widgets, widget("a"))
    async with api.watch(here.widgets, resourceVersion=1) as watch:
        (event,) = await watch.rest()
    status = event["object"]
    assert (event["type"], status["kind"], status["code"], status["reason"]) == ("ERROR", "Status", 410, "Expired")
    assert status["message"].startswith("too old resource version: 1 (")


async def test_a_watch_from_the_future_waits_for_it(api: Client, here: Places) -> None:
    future = int(await now(api, here.widgets)) + 10**8
    async with api.watch(here.widgets, resourceVersion=future, timeoutSeconds=1) as watch:
        await api.post(here.widgets, widget("a"))
        assert await watch.rest() == []


async def test_what_there_is_in_the_future_is_a_timeout(api: Client, here: Places) -> None:
    future = int(await now(api, here.widgets)) + 10**8
    async with api.watch(here.widgets, resourceVersion=future, **NEWEST) as watch:
        (event,) = await watch.rest()
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 504, "Timeout")
    assert event["object"]["message"].startswith(f"Timeout: Too large resource version: {future}, current: ")


WITHOUT_MATCH = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
WITHOUT_INITIAL = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
EXACT = 'Unsupported value: "Exact": supported values: "NotOlderThan"'
CONTINUED = "Forbidden: resourceVersionMatch is forbidden when continue is provided"


@pytest.mark.parametrize(
    ("asked", "messages"),
    [
        ({"sendInitialEvents": True}, [WITHOUT_MATCH]),
        ({"sendInitialEvents": False}, [WITHOUT_MATCH]),
        ({"sendInitialEvents": True, "resourceVersionMatch": "Exact"}, [WITHOUT_MATCH, EXACT]),
        ({"resourceVersionMatch": "NotOlderThan"}, [WITHOUT_INITIAL]),
        ({"resourceVersionMatch": "Exact", "resourceVersion": 1}, [WITHOUT_INITIAL, EXACT]),
        ({"continue": "any"}, [CONTINUED]),
    ],
)
async def test_options_of_a_watch_that_do_not_go_together_are_invalid(
    api: Client, here: Places, asked: Object, messages: list[str]
) -> None:
    answer = await api.get(here.widgets, watch=True, **asked)
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    causes = answer.body["details"]["causes"]
    assert [(one["field"], one["message"]) for one in causes] == [("resourceVersionMatch", one) for one in messages]


@pytest.mark.parametrize("version", ["x", "-1"])
async def test_a_watch_from_a_resource_version_that_is_none_is_refused(api: Client, here: Places, version: str) -> None:
    answer = await api.get(here.widgets, watch=True, resourceVersion=version)
    wrong = f'resourceVersion: Invalid value: "{version}": strconv.ParseUint: parsing "{version}": invalid syntax'
    assert (answer.status, answer.message) == (500, wrong)


@pytest.mark.parametrize(
    ("value", "is_watch"), [("1", True), ("yes", True), ("", True), ("0", False), ("False", False)]
)
async def test_whatever_is_not_false_asks_for_a_watch(api: Client, here: Places, value: str, is_watch: bool) -> None:
    await api.post(here.widgets, widget("a"))
    answer = await api.get(here.widgets, watch=value, timeoutSeconds=1)
    assert answer.status == 200
    assert (answer.body.get("type"), answer.body.get("kind")) == (("ADDED", None) if is_watch else (None, "WidgetList"))
