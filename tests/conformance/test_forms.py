"""How objects are shown: as Tables, and as their metadata alone."""

from __future__ import annotations

import pytest
from tests.conformance.client import TABLE, Client
from tests.conformance.objects import Places, config_map, model, widget

PARTIAL = TABLE.replace("=Table;", "=PartialObjectMetadata;")
PARTIAL_LIST = TABLE.replace("=Table;", "=PartialObjectMetadataList;")
META = "meta.k8s.io/v1"


async def test_a_table_has_columns_and_a_row_for_each_object(api: Client, here: Places) -> None:
    for name in "ab":
        await api.post(here.widgets, widget(name))
    answer = await api.table(here.widgets, limit=1)
    whole = (await api.get(f"{here.widgets}/a")).body
    assert (answer.body["kind"], answer.body["apiVersion"]) == ("Table", META)
    assert answer.meta["continue"]
    assert answer.meta["remainingItemCount"] == 1
    columns = [(one["name"], one["type"], one["format"]) for one in answer.body["columnDefinitions"]]
    assert columns == [("Name", "string", "name"), ("Age", "date", "")]
    (row,) = answer.body["rows"]
    assert row["cells"][0] == "a"
    partial = {"kind": "PartialObjectMetadata", "apiVersion": META, "metadata": whole["metadata"]}
    assert row["object"] == partial
    for include, carried in {"None": None, "Metadata": partial, "Object": whole}.items():
        one = await api.table(f"{here.widgets}/a", includeObject=include)
        assert one.body["rows"][0]["object"] == carried
        assert one.meta == {"resourceVersion": whole["metadata"]["resourceVersion"]}
    refused = await api.table(here.widgets, includeObject="All")
    assert refused.status == 400
    assert refused.message == (
        'Unable to convert to Table as requested: includeObject: Invalid value: "All": '
        "must be 'Metadata', 'Object', 'None', or empty"
    )


PATHS = [{"pathType": "Prefix", "path": "/", "backend": {"service": {"name": "s", "port": {"name": "http"}}}}]
RULES = [{"host": f"{name}.example", "http": {"paths": PATHS}} for name in "abcd"]
LABELS = {"matchLabels": {"b": "2", "a": "1"}}


@pytest.mark.parametrize(
    ("group", "plural", "kind", "spec", "shown"),
    [
        (
            "networking.k8s.io",
            "ingresses",
            "Ingress",
            {"ingressClassName": "c", "rules": RULES, "tls": [{"hosts": ["a.example"]}]},
            {"Class": "c", "Hosts": "a.example,b.example,c.example + 1 more...", "Address": "", "Ports": "80, 443"},
        ),
        ("networking.k8s.io", "networkpolicies", "NetworkPolicy", {"podSelector": LABELS}, {"Pod-Selector": "a=1,b=2"}),
        (
            "policy",
            "poddisruptionbudgets",
            "PodDisruptionBudget",
            {"maxUnavailable": 1, "selector": LABELS},
            {"Min Available": "N/A", "Max Unavailable": "1", "Allowed Disruptions": 0},
        ),
    ],
)
async def test_what_stands_beside_a_service_has_the_columns_of_kubernetes(
    api: Client, here: Places, group: str, plural: str, kind: str, spec: object, shown: dict[str, object]
) -> None:
    where = f"/apis/{group}/v1/namespaces/{here.namespace}/{plural}"
    await api.post(where, {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": "one"}, "spec": spec})
    table = (await api.table(f"{where}/one")).body
    names = [each["name"] for each in table["columnDefinitions"]]
    cells = dict(zip(names, table["rows"][0]["cells"], strict=True))
    assert names == ["Name", *shown, "Age"]
    assert {name: cells[name] for name in shown} == shown


async def test_an_ingress_class_is_of_the_cluster_and_keeps_its_controller(api: Client, here: Places) -> None:
    classes = "/apis/networking.k8s.io/v1/ingressclasses"
    name, parameters = f"of-{here.namespace}", {"apiGroup": "a.example", "kind": "Limits", "name": "small"}
    spec = {"controller": "a.example/controller", "parameters": {**parameters, "scope": "Cluster"}}
    wanted = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": name}, "spec": spec}
    made = (await api.post(classes, wanted)).body
    try:
        assert made["metadata"]["generation"] == 1
        (row,) = (await api.table(f"{classes}/{name}")).body["rows"]
        assert row["cells"][:3] == [name, "a.example/controller", "Limits.a.example/small"]
        other = await api.put(f"{classes}/{name}", {**made, "spec": {**spec, "controller": "b.example/controller"}})
        assert other.status == 422
        assert other.message.endswith('spec.controller: Invalid value: "b.example/controller": field is immutable')
    finally:
        await api.delete(f"{classes}/{name}")


async def test_a_definition_says_which_columns_a_table_has(api: Client, here: Places) -> None:
    await api.post(here.models, model("one"))
    answer = await api.table(here.models)
    columns = {one["name"]: one for one in answer.body["columnDefinitions"]}
    assert columns["Accelerator"]["priority"] == 0
    assert columns["Quantization"]["priority"] == 1
    (row,) = answer.body["rows"]
    cells = dict(zip(columns, row["cells"], strict=True))
    assert (cells["Name"], cells["Accelerator"], cells["Phase"]) == ("one", "cpu", None)


async def test_the_metadata_alone_can_be_asked_for(api: Client, here: Places) -> None:
    await api.post(here.configmaps, config_map("one", {"a": "b"}))
    meta = (await api.get(f"{here.configmaps}/one")).meta
    partial = {"kind": "PartialObjectMetadata", "apiVersion": META, "metadata": meta}
    one = await api.ask("GET", f"{here.configmaps}/one", headers={"Accept": PARTIAL})
    assert one.body == partial
    chosen = {"fieldSelector": "metadata.name=one"}
    listed = await api.ask("GET", here.configmaps, headers={"Accept": PARTIAL_LIST}, **chosen)
    assert (listed.body["kind"], listed.body["apiVersion"]) == ("PartialObjectMetadataList", META)
    assert listed.body["items"] == [partial]
    told = await api.ask("GET", here.configmaps, headers={"Accept": PARTIAL}, **chosen, watch=True, timeoutSeconds=1)
    assert told.body == {"type": "ADDED", "object": partial}


@pytest.mark.parametrize(
    ("accept", "name", "message"),
    [
        ("application/xml", "", "only the following media types are accepted: application/json"),
        (TABLE.replace("v=v1", "v=v9"), "", "only the following media types are accepted: application/json"),
        (PARTIAL, "", "you requested PartialObjectMetadata, but the requested object is a list ("),
        (PARTIAL_LIST, "/one", "you requested PartialObjectMetadataList, but the requested object is not a list ("),
    ],
)
async def test_a_form_that_is_not_served_is_not_acceptable(
    api: Client, here: Places, accept: str, name: str, message: str
) -> None:
    collection = here.configmaps if name else here.widgets
    await api.post(here.configmaps, config_map("one"))
    answer = await api.ask("GET", f"{collection}{name}", headers={"Accept": accept})
    assert (answer.status, answer.body["reason"]) == (406, "NotAcceptable")
    assert answer.message.startswith(message)


async def test_the_first_form_that_is_served_is_taken(api: Client, here: Places) -> None:
    for accept, kind in {
        "application/xml,application/json": "WidgetList",
        f"{TABLE.replace('v=v1', 'v=v9')},{TABLE},application/json": "Table",
        "*/*": "WidgetList",
    }.items():
        assert (await api.ask("GET", here.widgets, headers={"Accept": accept})).body["kind"] == kind


async def test_a_watched_table_has_the_revision_of_its_object(api: Client, here: Places) -> None:
    made = await api.post(here.widgets, widget("a"))
    event = await api.table(here.widgets, watch=True, timeoutSeconds=1)
    version = made.meta["resourceVersion"]
    assert event.body["type"] == "ADDED"
    shown = event.body["object"]
    assert (shown["kind"], shown["metadata"]) == ("Table", {"resourceVersion": version})
    assert [one["name"] for one in shown["columnDefinitions"]] == ["Name", "Age"]
    assert [one["object"]["metadata"] for one in shown["rows"]] == [made.meta]
