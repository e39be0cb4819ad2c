"""Events: core/v1 and events.k8s.io/v1 are two forms of the same objects, and ask for different things."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.client import Client
from tests.conformance.objects import Object, Places

EVENT_TIME = "2001-01-01T00:00:00.000001Z"
LATER = "2001-01-01T00:00:01.000001Z"


def pod_of(here: Places, name: str = "web") -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "namespace": here.namespace, "name": name, "uid": "u"}


def core_event(here: Places, name: str = "one", **more: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name},
        "involvedObject": pod_of(here),
        "reason": "Started",
        "message": "it runs",
        "type": "Warning",
        "count": 3,
        "firstTimestamp": "2001-01-01T00:00:00Z",
        "lastTimestamp": "2001-01-02T00:00:00Z",
        "source": {"component": "node", "host": "h"},
        **more,
    }


def new_event(here: Places, name: str = "one", **more: Any) -> Object:
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name},
        "regarding": pod_of(here),
        "reason": "Started",
        "note": "it runs",
        "type": "Normal",
        "eventTime": EVENT_TIME,
        "action": "Start",
        "reportingController": "llmkube.dev/operator",
        "reportingInstance": "operator-1",
        **more,
    }


def said(obj: Object) -> Object:
    return {name: value for name, value in obj.items() if name != "metadata"}


async def test_an_event_of_core_is_shown_in_both_forms(api: Client, here: Places) -> None:
    asked = core_event(here)
    made = await api.post(here.events, asked)
    unsaid = {"eventTime": None, "reportingComponent": "", "reportingInstance": ""}
    assert (made.status, said(made.body)) == (201, {**said(asked), **unsaid})
    assert said((await api.get(f"{here.new_events}/one")).body) == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "regarding": pod_of(here),
        "reason": "Started",
        "note": "it runs",
        "type": "Warning",
        "eventTime": None,
        "deprecatedCount": 3,
        "deprecatedFirstTimestamp": "2001-01-01T00:00:00Z",
        "deprecatedLastTimestamp": "2001-01-02T00:00:00Z",
        "deprecatedSource": {"component": "node", "host": "h"},
    }


async def test_a_new_event_is_shown_in_both_forms(api: Client, here: Places) -> None:
    asked = new_event(here, related={"kind": "Node", "name": "n"})
    made = await api.post(here.new_events, asked)
    unsaid = {"deprecatedSource": {}, "deprecatedFirstTimestamp": None, "deprecatedLastTimestamp": None}
    assert (made.status, said(made.body)) == (201, {**said(asked), **unsaid})
    found = await api.get(f"{here.events}/one")
    assert found.meta["uid"] == made.meta["uid"]
    assert said(found.body) == {
        "apiVersion": "v1",
        "kind": "Event",
        "involvedObject": pod_of(here),
        "related": {"kind": "Node", "name": "n"},
        "reason": "Started",
        "message": "it runs",
        "type": "Normal",
        "eventTime": EVENT_TIME,
        "action": "Start",
        "reportingComponent": "llmkube.dev/operator",
        "reportingInstance": "operator-1",
        "source": {},
        "firstTimestamp": None,
        "lastTimestamp": None,
    }


async def test_both_forms_list_the_same_events(api: Client, here: Places) -> None:
    await api.post(here.events, core_event(here, "a"))
    await api.post(here.new_events, new_event(here, "b"))
    for path in (here.events, here.new_events):
        assert (await api.get(path)).names == ["a", "b"]
    await api.delete(f"{here.new_events}/a")
    assert (await api.get(here.events)).names == ["b"]


async def test_a_watch_of_one_form_tells_of_events_made_in_the_other(api: Client, here: Places) -> None:
    async with api.watch(here.events, timeoutSeconds=10) as watch:
        await api.post(here.new_events, new_event(here))
        event = await watch.next()
    assert (event["type"], event["object"]["apiVersion"]) == ("ADDED", "v1")
    assert event["object"]["involvedObject"] == pod_of(here)


async def test_events_are_selected_by_what_they_are_about(api: Client, here: Places) -> None:
    await api.post(here.events, core_event(here, "a"))
    await api.post(here.events, core_event(here, "b", involvedObject=pod_of(here, "db"), reason="Failed"))
    await api.post(here.new_events, new_event(here, "c", regarding={**pod_of(here, "db"), "kind": "Node"}))

    async def chosen(path: str, selector: str) -> list[str]:
        return (await api.get(path, fieldSelector=selector)).names

    assert await chosen(here.events, "involvedObject.name=db") == ["b", "c"]
    assert await chosen(here.events, "involvedObject.kind=Pod,involvedObject.name!=web") == ["b"]
    assert await chosen(here.events, "reason=Started,type=Warning") == ["a"]
    assert await chosen(here.events, "reportingComponent=llmkube.dev/operator") == ["c"]
    assert await chosen(here.events, "source=node") == ["a", "b"]
    assert await chosen(here.new_events, "regarding.name=db") == ["b", "c"]
    assert await chosen(here.new_events, "regarding.kind=Node") == ["c"]
    assert await chosen(here.new_events, "reportingController=llmkube.dev/operator") == ["c"]
    assert (await api.get(here.new_events, fieldSelector="involvedObject.name=db")).status == 400


@pytest.mark.parametrize(
    ("left_out", "cause"),
    [
        ("eventTime", ("FieldValueRequired", "eventTime", "Required value")),
        ("action", ("FieldValueRequired", "action", "Required value")),
        ("reportingController", ("FieldValueRequired", "reportingController", "Required value")),
        ("reportingInstance", ("FieldValueRequired", "reportingInstance", "Required value")),
        ("reason", ("FieldValueRequired", "reason", "Required value")),
        ("type", ("FieldValueInvalid", "type", 'Invalid value: "": has invalid value: ')),
        (
            "regarding",
            ("FieldValueInvalid", "involvedObject.namespace", 'Invalid value: "": does not match event.namespace'),
        ),
    ],
)
async def test_a_new_event_says_who_when_and_why(
    api: Client, here: Places, left_out: str, cause: tuple[str, str, str]
) -> None:
    body = {name: value for name, value in new_event(here).items() if name != left_out}
    answer = await api.post(here.new_events, body)
    assert answer.status == 422
    assert cause in answer.causes


@pytest.mark.parametrize("left_out", ["reason", "type", "message", "source", "count", "firstTimestamp"])
async def test_an_event_of_core_may_say_little(api: Client, here: Places, left_out: str) -> None:
    body = {name: value for name, value in core_event(here).items() if name != left_out}
    assert (await api.post(here.events, body)).status == 201


@pytest.mark.parametrize(
    ("more", "field", "why"),
    [
        ({"type": "Odd"}, "type", "has invalid value: Odd"),
        ({"note": "x" * 1025}, "message", "can have at most 1024 characters"),
        ({"note": "ä" * 1024}, "message", "can have at most 1024 characters"),
        ({"reason": "ä" * 128}, "reason", "can have at most 128 characters"),
        ({"deprecatedCount": 3}, "count", "needs to be unset"),
        ({"series": {"count": 1, "lastObservedTime": LATER}}, "series.count", "should be at least 2"),
    ],
)
async def test_a_new_event_that_says_something_odd_is_invalid(
    api: Client, here: Places, more: Object, field: str, why: str
) -> None:
    answer = await api.post(here.new_events, new_event(here, **more))
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", field, f'Invalid value: "": {why}')])


async def test_the_length_of_a_text_is_counted_in_bytes(api: Client, here: Places) -> None:
    longest = new_event(here, note="ä" * 512, reason="ä" * 64)
    assert (await api.post(here.new_events, longest)).status == 201
    assert (await api.post(here.new_events, new_event(here, "two", note="ä" * 512 + "x"))).status == 422


async def test_the_time_of_an_event_has_microseconds(api: Client, here: Places) -> None:
    answer = await api.post(here.new_events, new_event(here, eventTime="2001-01-01T00:00:00Z"))
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert 'parsing time "2001-01-01T00:00:00Z"' in answer.message


async def test_an_event_is_where_its_object_is(api: Client, here: Places) -> None:
    elsewhere = {**pod_of(here), "namespace": "other"}
    answer = await api.post(here.events, core_event(here, involvedObject=elsewhere))
    why = 'Invalid value: "other": does not match event.namespace'
    assert (answer.status, answer.causes) == (422, [("FieldValueInvalid", "involvedObject.namespace", why)])
    node = await api.post(here.events, core_event(here, involvedObject={"kind": "Node", "name": "n"}))
    assert node.status == 422
    assert (await api.post(here.new_events, new_event(here, regarding=elsewhere))).status == 201


async def test_what_happens_again_is_a_series(api: Client, here: Places) -> None:
    await api.post(here.new_events, new_event(here))
    series = {"count": 2, "lastObservedTime": LATER}
    answer = await api.patch(f"{here.new_events}/one", {"series": series})
    assert (answer.status, answer.body["series"]) == (200, series)
    assert (await api.get(f"{here.events}/one")).body["series"] == series


async def test_a_new_event_says_for_ever_what_it_said(api: Client, here: Places) -> None:
    await api.post(here.new_events, new_event(here))
    answer = await api.patch(f"{here.new_events}/one", {"note": "other"})
    assert answer.causes == [("FieldValueInvalid", "message", 'Invalid value: "other": field is immutable')]


async def test_an_event_of_core_is_counted_on(api: Client, here: Places) -> None:
    await api.post(here.events, core_event(here))
    again = {"count": 4, "lastTimestamp": "2001-01-03T00:00:00Z", "message": "it still runs"}
    answer = await api.patch(f"{here.events}/one", again)
    assert answer.status == 200
    assert (await api.get(f"{here.new_events}/one")).body["deprecatedCount"] == 4
