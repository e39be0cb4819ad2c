"""What a status says of the spec it was written for."""

from __future__ import annotations

import pytest
from msgspec import Raw

from llmkube.desired.reading import is_observed
from llmkube.kube.objects import CustomResource, ObjectMeta


@pytest.mark.parametrize(
    ("status", "observed"),
    [
        (b'{"observedGeneration": 2, "phase": "Ready"}', True),
        (b'{"observedGeneration": 1}', False),
        (b"{}", False),
        (b'{"observedGeneration": "2"}', False),
        (b"null", False),
    ],
)
def test_a_status_is_of_the_spec_as_it_is_when_it_says_so_in_a_number(status: bytes, *, observed: bool) -> None:
    obj = CustomResource(metadata=ObjectMeta(name="chat", generation=2), status=Raw(status))
    assert is_observed(obj) is observed
