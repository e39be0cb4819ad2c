"""Server-side apply of lists and maps: by item, as sets, as one value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from llmkube.local.apiserver.apply import apply
from llmkube.local.apiserver.ownership import track
from llmkube.local.apiserver.shapes import BuiltinShape, SchemaShape
from llmkube.local.objects import Object, StatusError

if TYPE_CHECKING:
    from llmkube.local.apiserver.shapes import Shape

BUILTIN = BuiltinShape()
CUSTOM = SchemaShape(
    {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                    "sealed": {"type": "object", "x-kubernetes-map-type": "atomic"},
                },
            }
        },
    },
    is_root=True,
)
NOON, LATER = "2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z"


def deployment(spec: Object, **metadata: Any) -> Object:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", **metadata}, "spec": spec}


def pod_spec(*containers: Object) -> Object:
    return {"template": {"spec": {"containers": list(containers)}}}


def containers_of(obj: Object) -> list[Object]:
    found: list[Object] = obj["spec"]["template"]["spec"]["containers"]
    return found


def by(manager: str, live: Object | None, applied: Object, shape: Shape = BUILTIN, **options: Any) -> Object:
    return apply(live, applied, shape, **{"manager": manager, "force": False, "now": NOON, **options})


def entry(obj: Object, manager: str, operation: str = "Apply") -> Object:
    entries = obj["metadata"]["managedFields"]
    found: Object = next(one for one in entries if (one["manager"], one["operation"]) == (manager, operation))
    return found


def managers(obj: Object) -> list[tuple[str, str]]:
    return [(one["manager"], one["operation"]) for one in obj["metadata"].get("managedFields", ())]


def refused(live: Object | None, applied: Object, shape: Shape = BUILTIN) -> StatusError:
    with pytest.raises(StatusError) as caught:
        by("b", live, applied, shape)
    return caught.value


def test_each_manager_applies_items_of_its_own_in_one_list() -> None:
    made = by("a", None, deployment(pod_spec({"name": "x", "image": "i"})))
    both = by("b", made, deployment(pod_spec({"name": "y", "image": "j"})))
    assert [one["name"] for one in containers_of(both)] == ["x", "y"]
    assert [one["name"] for one in containers_of(by("a", both, deployment(pod_spec())))] == ["y"]


def test_an_item_that_two_managers_apply_stays_until_both_give_it_up() -> None:
    made = by("a", None, deployment(pod_spec({"name": "x", "image": "i"})))
    both = by("b", made, deployment(pod_spec({"name": "x", "stdin": True})))
    after = by("a", both, deployment({"replicas": 1}))
    assert containers_of(after) == [{"name": "x", "stdin": True}]
    assert "template" not in by("b", after, deployment({}))["spec"]


def test_an_item_goes_with_what_others_only_set_in_it() -> None:
    made = by("a", None, deployment(pod_spec({"name": "x", "image": "i"}, {"name": "y"})))
    touched = {**made, "spec": pod_spec({"name": "x", "image": "i", "tty": True}, {"name": "y"})}
    updated = track(made, touched, BUILTIN, manager="u", now=NOON)
    after = by("a", updated, deployment(pod_spec({"name": "y"})))
    assert containers_of(after) == [{"name": "y"}]
    assert managers(after) == [("a", "Apply")]


def test_applied_items_stand_in_their_order_and_others_keep_their_places() -> None:
    made = track(None, deployment(pod_spec(*({"name": name} for name in "pqrs"))), BUILTIN, manager="u", now=NOON)
    after = by("a", made, deployment(pod_spec({"name": "s"}, {"name": "n"}, {"name": "q"})))
    assert [one["name"] for one in containers_of(after)] == ["p", "s", "n", "q", "r"]


def test_an_item_without_its_defaulted_key_matches_the_live_one() -> None:
    port = {"containerPort": 80}
    made = by("a", None, deployment(pod_spec({"name": "c", "ports": [port]})))
    live = {**made, "spec": pod_spec({"name": "c", "ports": [{**port, "protocol": "TCP"}]})}
    again = by("a", live, deployment(pod_spec({"name": "c", "ports": [port]})), now=LATER)
    assert again == live
    after = by("a", live, deployment(pod_spec({"name": "c", "ports": [{**port, "protocol": "UDP"}]})))
    assert containers_of(after)[0]["ports"] == [{"containerPort": 80, "protocol": "UDP"}]


def test_an_atomic_list_is_one_field() -> None:
    made = by("a", None, deployment(pod_spec({"name": "c", "args": ["x"]})))
    error = refused(made, deployment(pod_spec({"name": "c", "args": ["x", "y"]})))
    assert error.message.endswith('.spec.template.spec.containers[name="c"].args')
    after = by("a", made, deployment(pod_spec({"name": "c", "args": ["y"]})))
    assert containers_of(after)[0]["args"] == ["y"]


def test_an_atomic_map_is_replaced_as_a_whole() -> None:
    made = by("a", None, {"apiVersion": "v1", "kind": "T", "spec": {"sealed": {"x": 1, "y": 2}}}, CUSTOM)
    after = by("a", made, {"apiVersion": "v1", "kind": "T", "spec": {"sealed": {"z": 3}}}, CUSTOM)
    assert after["spec"] == {"sealed": {"z": 3}}
    assert entry(after, "a")["fieldsV1"] == {"f:spec": {"f:sealed": {}}}


def test_a_set_is_shared_value_by_value() -> None:
    made = by("a", None, {"apiVersion": "v1", "kind": "T", "spec": {"tags": ["x", "y"]}}, CUSTOM)
    both = by("b", made, {"apiVersion": "v1", "kind": "T", "spec": {"tags": ["y", "z"]}}, CUSTOM)
    assert both["spec"]["tags"] == ["x", "y", "z"]
    assert entry(both, "b")["fieldsV1"] == {"f:spec": {"f:tags": {'v:"y"': {}, 'v:"z"': {}}}}
    after = by("a", both, {"apiVersion": "v1", "kind": "T"}, CUSTOM)
    assert after["spec"]["tags"] == ["y", "z"]


def test_conditions_of_two_controllers_live_in_one_list() -> None:
    def told(kind: str, value: str) -> Object:
        return {"apiVersion": "v1", "kind": "Pod", "status": {"conditions": [{"type": kind, "status": value}]}}

    both = by("b", by("a", None, told("Ready", "True"), subresource="status"), told("Warm", "True"))
    after = by("a", both, told("Ready", "False"), subresource="status")
    assert after["status"]["conditions"] == [{"type": "Ready", "status": "False"}, {"type": "Warm", "status": "True"}]


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (
            pod_spec({"name": "c"}, {"name": "c"}),
            '.spec.template.spec.containers: duplicate entries for key [name="c"]',
        ),
        (
            pod_spec({"name": "c", "ports": [{"containerPort": 1}, {"containerPort": 1, "protocol": "TCP"}]}),
            '.containers[name="c"].ports: duplicate entries for key [containerPort=1,protocol="TCP"]',
        ),
        (pod_spec({"image": "i"}), 'element 0: associative list with keys has an element that omits key field "name"'),
        ({"template": {"spec": {"containers": ["c"]}}}, "element 0: associative list with keys may not have non-map"),
    ],
)
def test_a_list_whose_items_cannot_be_told_apart_is_refused(spec: Object, told: str) -> None:
    error = refused(None, deployment(spec))
    assert error.code == 400
    assert told in error.message


def test_a_value_twice_in_a_set_is_refused() -> None:
    error = refused(None, {"apiVersion": "v1", "kind": "T", "spec": {"tags": ["x", "x"]}}, CUSTOM)
    assert error.message.endswith('.spec.tags: duplicate entries for key [="x"]')
