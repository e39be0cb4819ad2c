"""Watches: what is told, in which order, from when on, and how a watch ends."""

from __future__ import annotations

import pytest
from tests.conformance.client import Client, Watch
from tests.conformance.objects import Object, Places, config_map, inference_service, model, widget

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
