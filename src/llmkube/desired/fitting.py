"""Whether the Models that an InferenceService puts together go together, by what their headers say. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.desired.adapters import adapter_trouble
from llmkube.desired.drafts import WHERE, draft_trouble
from llmkube.desired.inference_plan import not_a_model

if TYPE_CHECKING:
    from llmkube.desired.inputs import Inputs
    from llmkube.desired.pod_trouble import Trouble


def unfit(inputs: Inputs) -> Trouble | None:
    """Return the first reason why the engine would not start with these, or would not use them."""
    served, draft = inputs.served, inputs.draft
    found = not_a_model(served.model.metadata.name, served.status)
    if found is None and draft is not None:
        found = not_a_model(draft.model.metadata.name, draft.status, where=WHERE) or draft_trouble(served, draft)
    for adapter in inputs.adapters:
        found = found or adapter_trouble(served, adapter)
    return found
