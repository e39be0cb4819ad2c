"""pods/log, as far as a control plane without nodes answers: which pod, which container, which options.

What needs a node (tailLines, sinceSeconds, limitBytes, follow, timestamps, previous upon real output) is tested with
the process node in tests/component/node, and on a real cluster in e2e.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.conformance.client import Answer, Client
from tests.conformance.objects import Object, Places, container, pod


@pytest.fixture
async def pods(api: Client, here: Places, pods_may_run: None) -> str:
    """Two pods that no node has: one with a container, one with two and an init container."""
    two = [container("a"), container("b")]
    await api.post(here.pods, pod("one", schedulerName="nobody"))
    await api.post(here.pods, pod("two", containers=two, initContainers=[container("i")], schedulerName="nobody"))
    return here.pods


async def logs(api: Client, pods: str, name: str, **params: Any) -> Answer:
    return await api.get(f"{pods}/{name}/log", **params)


def bad_request(answer: Answer, message: str) -> bool:
    return (answer.status, answer.body["reason"], answer.message) == (400, "BadRequest", message)


async def test_a_pod_that_is_not_there_has_no_log(api: Client, pods: str) -> None:
    answer = await logs(api, pods, "none")
    assert (answer.status, answer.message) == (404, 'pods "none" not found')


async def test_which_container_must_be_said_where_there_are_several(api: Client, pods: str) -> None:
    wanted = "a container name must be specified for pod two, choose one of: [i a b]"
    assert bad_request(await logs(api, pods, "two"), wanted)


@pytest.mark.parametrize("name", ["one", "two"])
async def test_a_container_that_is_not_there_has_no_log(api: Client, pods: str, name: str) -> None:
    assert bad_request(await logs(api, pods, name, container="x"), f"container x is not valid for pod {name}")


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("one", {}),
        ("one", {"container": "main"}),
        ("two", {"container": "a"}),
        ("two", {"container": "i"}),
        ("one", {"follow": True}),
        ("one", {"previous": True}),
        ("one", {"tailLines": 0, "limitBytes": 1, "sinceSeconds": 1, "timestamps": True}),
        ("one", {"sinceTime": "2001-01-01T00:00:00Z"}),
    ],
)
async def test_a_pod_on_no_node_has_nothing_to_tell(api: Client, pods: str, name: str, params: Object) -> None:
    answer = await logs(api, pods, name, **params)
    assert (answer.status, answer.body) == (204, b"")


async def test_a_pod_on_a_node_that_is_not_there_has_no_log(api: Client, here: Places, pods: str) -> None:
    await api.post(here.pods, pod("bound", nodeName="nowhere"))
    answer = await logs(api, pods, "bound")
    assert (answer.status, answer.message) == (404, 'pods "nowhere" not found')


@pytest.mark.parametrize(
    ("params", "field", "why"),
    [
        ({"tailLines": -1}, "tailLines", "Invalid value: -1: must be greater than or equal to 0"),
        ({"sinceSeconds": 0}, "sinceSeconds", "Invalid value: 0: must be greater than 0"),
        ({"limitBytes": 0}, "limitBytes", "Invalid value: 0: must be greater than 0"),
        ({"stream": "Stdout"}, "stream", "Forbidden: may not be specified"),
        (
            {"sinceSeconds": 1, "sinceTime": "2001-01-01T00:00:00Z"},
            "[]",
            "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
        ),
    ],
)
async def test_options_of_a_log_that_are_none_are_invalid(
    api: Client, pods: str, params: Object, field: str, why: str
) -> None:
    answer = await logs(api, pods, "one", **params)
    assert (answer.status, answer.message) == (422, f'PodLogOptions "one" is invalid: {field}: {why}')


@pytest.mark.parametrize("name", ["tailLines", "sinceSeconds", "limitBytes"])
async def test_a_number_that_is_none_is_refused(api: Client, pods: str, name: str) -> None:
    answer = await logs(api, pods, "one", **{name: "x"})
    assert bad_request(answer, 'strconv.ParseInt: parsing "x": invalid syntax')


async def test_a_time_that_is_none_is_refused(api: Client, pods: str) -> None:
    answer = await logs(api, pods, "one", sinceTime="x")
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert answer.message.startswith('parsing time "x" as "2006-01-02T15:04:05Z07:00": ')


async def test_a_log_is_only_read(api: Client, pods: str) -> None:
    for answer in (await api.post(f"{pods}/one/log", {}), await api.delete(f"{pods}/one/log")):
        assert (answer.status, answer.body["reason"]) == (405, "MethodNotAllowed")
