"""Lists: their pages, their resourceVersions and their order."""

from __future__ import annotations

from tests.conformance.client import Client
from tests.conformance.objects import Object, Places, widget


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
