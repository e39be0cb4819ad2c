"""Label and field selectors, of lists and of watches: what they choose, and how a bad one is refused."""

from __future__ import annotations

import pytest
from tests.conformance.client import Client
from tests.conformance.objects import Object, Places, pod, widget

LABELLED: Object = {"a": {"tier": "web", "size": "1"}, "b": {"tier": "db", "size": "20"}, "c": {"tier": ""}, "d": {}}


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("", "abcd"),
        ("tier=web", "a"),
        ("tier==web", "a"),
        ("tier = web", "a"),
        ("tier=", "c"),
        ("tier!=web", "bcd"),
        ("tier!=web,tier", "bc"),
        ("tier in (web, db)", "ab"),
        ("tier in (web,)", "ac"),
        ("tier in ()", "c"),
        ("tier notin (web,db)", "cd"),
        ("tier", "abc"),
        ("!tier", "d"),
        ("tier,size", "ab"),
        ("tier in (web,db),size!=1", "b"),
        ("size>3", "b"),
        ("size<3", "a"),
        ("in", ""),
    ],
)
async def test_a_label_selector_chooses(api: Client, here: Places, selector: str, names: str) -> None:
    for name, labels in LABELLED.items():
        await api.post(here.widgets, widget(name, labels=labels))
    assert (await api.get(here.widgets, labelSelector=selector)).names == list(names)


PARSE = "unable to parse requirement"
INVALID = "Invalid value:"
CHARACTERS = "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
KEY = (
    f"{CHARACTERS} (e.g. 'MyName',  or 'my.name',  or '123-abc', "
    "regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
VALUE = (
    f"{CHARACTERS} (e.g. 'MyValue',  or 'my_value',  or '12345', "
    "regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("=b", "found '=', expected: !, identifier, or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a,,b", "found ',', expected: identifier after ','"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a>=1", "unable to parse requirement: found '=', expected: identifier"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in (b,", "unable to parse requirement: found '', expected: ',', or identifier"),
        ("a in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
        ("a>x", f"{PARSE}: values[0]: {INVALID} \"x\": for 'Gt', 'Lt' operators, the value must be an integer"),
        ("-a", f'{PARSE}: <nil>: {INVALID} "-a": name part must consist of {KEY}'),
        ("a=-x", f'{PARSE}: values[0][a]: {INVALID} "-x": a valid label must be an empty string or consist of {VALUE}'),
        ("/y", 'unable to parse requirement: <nil>: Invalid value: "/y": prefix part must be non-empty'),
    ],
)
async def test_a_label_selector_that_is_none_is_refused(api: Client, here: Places, selector: str, message: str) -> None:
    for asked in ({}, {"watch": True}):
        answer = await api.get(here.configmaps, labelSelector=selector, **asked)
        assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
        assert answer.message == message


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("metadata.name=a", "a"),
        ("metadata.name==a", "a"),
        ("metadata.name!=a", "bc"),
        ("metadata.name=a,metadata.name=b", ""),
        ("metadata.namespace!=none,metadata.name!=b,", "ac"),
        ("metadata.namespace=none", ""),
        ("spec.mode=fast", "a"),
        ("spec.mode!=fast", "bc"),
        ("spec.mode=", "c"),
        ("metadata.name=a\\,b", ""),
    ],
)
async def test_a_field_selector_chooses(api: Client, here: Places, selector: str, names: str) -> None:
    for name, spec in {"a": {"mode": "fast"}, "b": {"mode": "slow"}, "c": {}}.items():
        await api.post(here.widgets, widget(name, spec))
    assert (await api.get(here.widgets, fieldSelector=selector)).names == list(names)


async def test_pods_are_chosen_by_node_and_phase(api: Client, here: Places, pods_may_run: None) -> None:
    # No scheduler of a control plane with nodes takes it.
    await api.post(here.pods, pod("free", schedulerName="nobody"))
    await api.post(here.pods, pod("bound", nodeName="nowhere", restartPolicy="Never"))
    for selector, names in {
        "spec.nodeName=": ["free"],
        "spec.nodeName=nowhere": ["bound"],
        "status.phase=Pending": ["bound", "free"],
        "status.phase!=Pending": [],
        "spec.restartPolicy=Always": ["free"],
        "spec.hostNetwork=false": ["bound", "free"],
        "metadata.name=free,spec.nodeName!=nowhere": ["free"],
    }.items():
        assert (await api.get(here.pods, fieldSelector=selector)).names == names, selector


@pytest.mark.parametrize(
    ("collection", "selector", "message"),
    [
        ("widgets", "spec.size=3", "field label not supported: spec.size"),
        ("inferenceservices", "spec.modelRef=a", "field label not supported: spec.modelRef"),
        ("pods", "spec.containers=a", "field label not supported: spec.containers"),
        ("events", "message=a", "field label not supported: message"),
        ("new_events", "involvedObject.name=a", "field label not supported: involvedObject.name"),
        (
            "configmaps",
            "data.a=b",
            '"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        ("pods", "metadata.name = a", "field label not supported: metadata.name "),
        ("pods", "metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        ("pods", "metadata.name=a,b>c", "invalid selector: 'metadata.name=a,b>c'; can't understand 'b>c'"),
        ("pods", "metadata.name=a=b", "invalid field selector: unescaped character in value: 61"),
        ("pods", "metadata.name=a\\b", "invalid field selector: invalid escape sequence: \\b"),
    ],
)
async def test_a_field_selector_that_is_not_offered_is_refused(
    api: Client, here: Places, collection: str, selector: str, message: str
) -> None:
    for asked in ({}, {"watch": True}):
        answer = await api.get(getattr(here, collection), fieldSelector=selector, **asked)
        assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
        assert answer.message == message
