"""Every field of an InferenceService does what docs/reference says of it: there with the field, not there without."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hack.reference import Effect, effects, rows
from tests.layouts import planned
from tests.unit.test_documentation import is_there, references

from llmkube.api.crd import crds
from llmkube.desired.accessories import accessories
from llmkube.desired.deployment import deployment
from llmkube.desired.inputs import Inputs, Served
from llmkube.desired.replicas import Scale
from llmkube.desired.service import service
from llmkube.desired.settings import OperatorSettings
from llmkube.kube.diff import covers

Factory = Callable[..., Any]
Objects = Mapping[str, Any]
EFFECTS = effects()
RENDERED = [path for path, effect in EFFECTS.items() if not effect.elsewhere]
FIELDS = [row.path for row in rows(crds()[1], "spec")]
PARENTS = {path.rpartition(".")[0] for path in FIELDS} | {path.partition("[]")[0] for path in FIELDS if "[]" in path}
ITEMS = {"spec.env[]": {"name": "X"}}
"""What an item must have beside the field that is shown."""


def placed(path: str, value: Any, beside: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spec with the value at the path, in items of lists too."""
    spec = {"spec": copy.deepcopy(dict(beside))}
    here: Any = spec
    *above, last = re.findall(r"[^.]+", path)
    for at, name in enumerate(above):
        if name.endswith("[]"):
            required = ITEMS.get(".".join(above[: at + 1]), {})
            here = here.setdefault(name[:-2], [dict(required)])[0]
        else:
            here = here.setdefault(name, {})
    here[last] = copy.deepcopy(value)
    return spec["spec"]


@pytest.fixture
def rendered(
    resource: Factory, model_spec: Factory, isvc_spec: Factory, model_status: Factory, settings: OperatorSettings
) -> Callable[[Mapping[str, Any], Effect], Objects]:
    def render(spec: Mapping[str, Any], effect: Effect) -> Objects:
        isvc, typed = resource("InferenceService", "chat"), isvc_spec(**spec)
        inputs = Inputs(Served(resource(), model_spec(**effect.model), model_status(**effect.status)))
        made = deployment(isvc, typed, inputs, settings, planned(typed, inputs))
        pod = made["spec"]["template"]["spec"]
        beside = accessories(isvc, typed, settings, scale=Scale(typed.replicas), fetches=False)
        objects = {"Deployment": made, "Service": service(isvc, typed), "pod": pod, "engine": pod["containers"][0]}
        return objects | {each.kind.kind: each.manifest for each in beside}

    return render


def shows(objects: Objects, effect: Effect) -> bool:
    return _has_args(objects["engine"]["args"], effect.args) and all(
        _has(objects, path, value) for path, value in effect.sets.items()
    )


def _has_args(words: list[str], wanted: tuple[str, ...]) -> bool:
    return any(tuple(words[at : at + len(wanted)]) == wanted for at in range(len(words) + 1))


def _has(objects: Objects, path: str, value: Any) -> bool:
    *above, last = path.split(".")
    here: Any = objects
    for name in above:
        here = here.get(name, {})
    return covers({last: here.get(last)}, {last: value})


@pytest.mark.parametrize("path", RENDERED)
def test_a_field_sets_what_the_reference_says(path: str, rendered: Callable[..., Objects]) -> None:
    effect = EFFECTS[path]
    assert effect.args or effect.sets, "an example that shows nothing"
    assert shows(rendered(placed(path, effect.value, effect.beside), effect), effect)


@pytest.mark.parametrize("path", RENDERED)
def test_what_a_field_sets_is_not_there_without_it(path: str, rendered: Callable[..., Objects]) -> None:
    effect = EFFECTS[path]
    assert not shows(rendered(effect.beside, effect), effect)


def test_every_field_has_an_effect_or_is_explained_by_those_below_it() -> None:
    assert [path for path in FIELDS if path not in EFFECTS and path not in PARENTS] == []


def test_no_effect_is_of_a_field_that_is_not_there() -> None:
    assert sorted(EFFECTS.keys() - set(FIELDS)) == []


def test_tests_that_show_what_no_object_does_are_there() -> None:
    told = [effect.elsewhere for effect in EFFECTS.values() if effect.elsewhere]
    named = [reference for each in told for reference in references(f"`{each}`")]
    assert named
    assert [each for each in named if not is_there(each)] == []
