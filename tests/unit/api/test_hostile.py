"""Documents by strangers: whatever they hold, they are read or refused with lines, and nothing else happens."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from llmkube.api.inference import InferenceServiceSpec
from llmkube.api.model import ModelSpec
from llmkube.api.strict import InvalidResource, parse

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    field.alias or name for spec in (ModelSpec, InferenceServiceSpec) for name, field in spec.model_fields.items()
]
SPECS = VALUES | st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6)


def refusal(document: dict[str, Any]) -> str:
    """Return why a document is refused, or nothing."""
    try:
        parse(document)
    except InvalidResource as error:
        return str(error)
    return ""


@settings(max_examples=300, deadline=None)
@given(kind=st.sampled_from(["Model", "InferenceService"]), metadata=VALUES, spec=SPECS)
def test_any_document_is_read_or_refused_with_one_line_per_problem(kind: str, metadata: Any, spec: Any) -> None:
    document = {"apiVersion": "inference.llmkube.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
    assert len(refusal(document).splitlines()) == refusal(document).count("\n") + bool(refusal(document))
