"""Numbers of a stranger's header: what no field of the API can hold is a trouble that is told, or is clipped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from tests.layouts import layout, llama

from llmkube.api import quantity
from llmkube.api.model import GGUFFacts, ModelMemory
from llmkube.desired.cache import claim, may_grow
from llmkube.desired.fetch_result import LARGEST, Done
from llmkube.desired.inference_plan import decided, published
from llmkube.desired.inputs import Inputs, Served
from llmkube.desired.model_facts import with_projector
from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.resolution import Known, confirmed
from llmkube.desired.settings import OperatorSettings
from llmkube.gguf.facts import Attention
from llmkube.gguf.resolve import Resolved
from llmkube.kube.objects import ObjectMeta, PersistentVolumeClaim

Factory = Callable[..., Any]
MOST = 2**32 - 1  # of a header's number: gguf/keys.py
WIDE = llama(layers=5, attention=Attention((MOST,) * 5, (MOST,) * 5, key_length=MOST, value_length=MOST))
MEMORY = {"weights": LARGEST, "kvCachePerToken": 0, "computeEstimate": 0}


@pytest.fixture
def decision(
    isvc_spec: Factory, model_spec: Factory, model_status: Factory, resource: Factory, settings: OperatorSettings
) -> Factory:
    def make(packed: str | None, hardware: dict[str, Any] | None = None, **gguf: int) -> Any:
        memory = model_status().memory.model_copy(update={"layout": packed})
        status = model_status(memory=memory, gguf=GGUFFacts(architecture="llama", **gguf))
        model, spec = model_spec(hardware=hardware or {}), isvc_spec()
        found = decided(spec, Inputs(Served(resource(), model, status)), settings)
        return found if isinstance(found, Trouble) else published(spec, model, found)

    return make


@pytest.mark.parametrize(("hardware", "found"), [({}, "host"), ({"accelerator": "cuda", "gpu": {"count": 1}}, "gpu.0")])
def test_a_plan_that_no_status_can_hold_is_a_trouble_before_anything_is_applied(
    hardware: dict[str, Any], found: str, decision: Factory
) -> None:
    trouble = decision(layout(WIDE), hardware)
    assert isinstance(trouble, Trouble)
    assert trouble.reason == "LayoutUnusable"
    assert trouble.message.startswith("status.memory.layout of the Model: expected ")
    assert f" for {found}; name another file" in trouble.message


def test_a_layout_of_less_than_nothing_is_a_trouble(decision: Factory) -> None:
    """No header leads to one, but whoever may write a status can."""
    one = llama(layers=5)
    trouble = decision(layout(replace(one, weights=replace(one.weights, inputs=-(2**60)))))
    assert isinstance(trouble, Trouble)
    assert " for host; " in trouble.message


def test_so_are_more_layers_than_a_status_counts(decision: Factory) -> None:
    assert decision(None, block_count=2**31 - 2).total_layers == 2**31 - 1
    trouble = decision(None, block_count=2**31 - 1)
    assert isinstance(trouble, Trouble)
    assert f"found {2**31} for total_layers" in trouble.message


def test_weights_with_those_of_a_projector_are_no_more_than_a_status_holds() -> None:
    known = Known(1, facts=GGUFFacts(), memory=ModelMemory.model_validate(MEMORY))
    told = with_projector(known, "https://models.example/p.gguf", Resolved(None, LARGEST)).memory
    assert told is not None
    assert told.weights == LARGEST
    done = Done("0" * 64, 1, "p", gguf={"architecture": "llama"}, memory=MEMORY, projector=Done("0" * 64, 1, "p"))
    read = confirmed(known, done).memory
    assert read is not None
    assert read.weights == LARGEST


def test_a_claim_asks_for_no_more_than_a_quantity_can_say(resource: Factory, model_spec: Factory) -> None:
    """A server may state any length."""
    made = claim(resource(), model_spec(), size_bytes=LARGEST)
    assert made is not None
    live = PersistentVolumeClaim(metadata=ObjectMeta(name="c"), spec=msgspec.Raw(msgspec.json.encode(made["spec"])))
    assert quantity.to_int(made["spec"]["resources"]["requests"]["storage"]) <= LARGEST
    assert not may_grow(model_spec(), live, size_bytes=LARGEST)
    assert claim(resource(), model_spec(), size_bytes=LARGEST, live=live)
