"""A licence policy compares names as people mean them, and says what is expected, found and to be done."""

from __future__ import annotations

import pytest

from llmkube.api.model import GGUFFacts, LicensePolicy, ModelSpec
from llmkube.desired.resolution import Known
from llmkube.desired.verdict import licence_trouble


def refused(found: str | None, *allowed: str) -> str | None:
    spec = ModelSpec(source="hf://a/b/c.gguf", license=LicensePolicy(allow=allowed))
    trouble = licence_trouble(spec, Known(size_bytes=1, facts=GGUFFacts(license=found)))
    return trouble.message if trouble else None


@pytest.mark.parametrize("spelt", ["apache-2.0", "Apache-2.0", "Apache 2.0", "apache-2.0-license"])
def test_a_licence_is_allowed_in_any_spelling(spelt: str) -> None:
    assert refused(spelt, "Apache-2.0") is None


def test_another_one_and_none_are_refused_with_what_to_do() -> None:
    message = refused("gemma", "Apache-2.0", "MIT")
    assert message is not None
    assert "expected a licence among Apache-2.0, MIT; the file says 'gemma'" in message
    assert ".license file beside the model" in message
    assert "none is stated" in str(refused(None, "MIT"))
