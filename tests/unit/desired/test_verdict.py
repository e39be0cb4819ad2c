"""The verdict before the bytes: architecture, licence and fit, each with what was expected, found and what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from gguf.constants import MODEL_ARCH_NAMES
from tests.layouts import layout, llama

from llmkube.api.model import GGUFFacts, ModelMemory, ModelSpec, Projector
from llmkube.desired.architectures import KNOWN as ARCHITECTURES
from llmkube.desired.architectures import PROJECTOR
from llmkube.desired.resolution import Known
from llmkube.desired.verdict import remark, summary, verdict

GI = 2**30
FACTS = GGUFFacts(architecture="llama", quantization="Q4_1", license="mit", context_length=8192, block_count=31)
LAYOUT = layout(llama(layers=31, width=4096, heads=32, context=8192))  # 12 GiB and 4 of cache
MEMORY = ModelMemory(weights=8 * GI, kv_cache_per_token=2**17, compute_estimate=GI, layout=LAYOUT)
KNOWN = Known(GI, facts=FACTS, memory=MEMORY)
Factory = Callable[..., ModelSpec]


def of(architecture: str) -> Known:
    return replace(KNOWN, facts=FACTS.model_copy(update={"architecture": architecture}))


def test_an_architecture_that_the_engine_does_not_know_is_refused_before_the_download(model_spec: Factory) -> None:
    refused = verdict(model_spec(), of("llama5"))
    assert refused is not None
    assert refused.reason == "ArchitectureUnknown"
    assert all(word in refused.message for word in ("spec.source", "b11669", "'llama5'", "--architecture"))


def test_what_the_administrator_says_that_the_engine_knows_is_accepted(model_spec: Factory) -> None:
    assert verdict(model_spec(), of("llama5"), architectures=("llama5",)) is None


def test_the_table_has_all_that_the_gguf_package_writes() -> None:
    assert {str(name) for name in MODEL_ARCH_NAMES.values()} - {PROJECTOR} <= ARCHITECTURES


def test_a_projector_is_no_model_and_is_told_where_it_belongs(model_spec: Factory) -> None:
    refused = verdict(model_spec(), of(PROJECTOR))
    assert refused is not None
    assert (refused.reason, "spec.mmprojSource" in refused.message) == ("NotAModel", True)


@pytest.mark.parametrize(("allow", "reason"), [(["mit"], None), (["apache-2.0"], "LicenseNotAllowed")])
def test_a_licence_is_allowed_by_name(allow: list[str], reason: str | None, model_spec: Factory) -> None:
    refused = verdict(model_spec(license={"allow": allow}), KNOWN)
    assert (refused.reason if refused else None) == reason


def test_a_licence_that_is_not_allowed_is_told_with_those_that_are(model_spec: Factory) -> None:
    spec = model_spec(license={"allow": ["apache-2.0", "gemma"]})
    refused = verdict(spec, KNOWN)
    none = verdict(spec, replace(KNOWN, facts=FACTS.model_copy(update={"license": None})))
    assert refused is not None
    assert none is not None
    assert all(word in refused.message for word in ("apache-2.0, gemma", "'mit'", "spec.license.allow"))
    assert "none is stated" in none.message


def test_there_is_no_verdict_without_facts(model_spec: Factory) -> None:
    assert verdict(model_spec(license={"allow": ["mit"]}), Known(None)) is None


def gpu(**fields: Any) -> dict[str, Any]:
    return {"accelerator": "cuda", "gpu": {"count": 1, "memory": "8Gi", **fields}}


def test_layers_that_do_not_fit_are_refused_with_the_number_that_is_missing(model_spec: Factory) -> None:
    refused = verdict(model_spec(hardware=gpu(layers=32)), KNOWN)
    assert refused is not None
    assert refused.reason == "DoesNotFit"
    assert refused.message.startswith("spec.hardware.gpu: 32 of 32 layers with 8192 tokens of context need 15.8Gi ")
    assert "on GPU 0, which has 7.4Gi for the engine: " in refused.message
    assert " layers would fit" in refused.message


@pytest.mark.parametrize("fields", [{}, {"layers": -1}, {"layers": 13}, {"layers": 26, "count": 2}, {"layers": 0}])
def test_what_fits_or_is_left_to_the_plan_is_accepted(fields: dict[str, Any], model_spec: Factory) -> None:
    assert verdict(model_spec(hardware=gpu(**fields)), KNOWN) is None


def test_a_layer_split_that_is_not_of_all_layers_is_refused_before_the_download(model_spec: Factory) -> None:
    split = {"strategy": "layer", "layerSplit": ["0-9", "10-20"]}
    refused = verdict(model_spec(hardware=gpu(count=2, memory="24Gi", sharding=split)), KNOWN)
    assert refused is not None
    assert refused.message.startswith("spec.hardware.gpu.sharding.layerSplit: expected 31 layers")


def test_another_quantisation_than_expected_is_a_remark_alone(model_spec: Factory) -> None:
    spec = model_spec(quantization="Q8_0")
    told = remark(spec, KNOWN)
    assert verdict(spec, KNOWN) is None
    assert told is not None
    assert all(word in told.message for word in ("Q8_0", "Q4_1"))
    assert remark(model_spec(quantization="q4_1"), KNOWN) is None


def test_the_summary_has_the_numbers() -> None:
    projector = Projector(source="https://h/p.gguf", size_bytes=2**20)
    assert summary(replace(KNOWN, projector=projector)) == (
        "1Gi, llama, Q4_1, licence mit, projector of 1Mi, in memory 8Gi of weights, "
        "128Ki for each token of context, 1Gi to compute"
    )
    assert summary(Known(None)) == "size unknown"
