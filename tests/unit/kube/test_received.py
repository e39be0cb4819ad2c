"""What came over the network: what was expected, or one error."""

from __future__ import annotations

import pytest

from llmkube.kube.client import decode, manifest_of
from llmkube.kube.errors import TransportError
from llmkube.kube.kinds import MODEL, POD

NESTED = b"[" * 9999 + b"]" * 9999


def shown(content: bytes) -> str:
    return ascii(content[:20])


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"[]", b'{"kind": "\xff"}', b'{"kind": %s}' % NESTED, b'{"kind": 7'],
    ids=shown,
)
def test_what_is_no_object_is_shown_with_what_was_expected(content: bytes) -> None:
    with pytest.raises(TransportError, match="expected a Pod, found b'"):
        decode(POD, content)
    with pytest.raises(TransportError, match="expected a JSON object, found b'"):
        manifest_of(content)


@pytest.mark.parametrize("spec", [b'{"modelRef": "\xff"}', NESTED], ids=shown)
def test_what_is_kept_as_it_came_can_be_read_later(spec: bytes) -> None:
    """Or it is not kept: indexes read the spec of every object that somebody made."""
    with pytest.raises(TransportError, match="expected a Model"):
        decode(MODEL, b'{"metadata": {"name": "a"}, "spec": %s}' % spec)


def test_text_of_any_language_is_none_of_that() -> None:
    metadata = '{"name": "a", "resourceVersion": "7", "annotations": {"note": "größe 模型 🙂"}}'
    content = f'{{"kind": "Pod", "metadata": {metadata}}}'.encode()
    assert decode(POD, content).metadata.annotations == {"note": "größe 模型 🙂"}


@pytest.mark.parametrize(
    "content",
    [
        b'{"status": {}}',
        b'{"status": "ok"}',
        b'{"kind": "Status", "status": "Failure", "code": 404, "metadata": {}}',
        b'{"kind": "Node", "metadata": {"name": "a", "resourceVersion": "7"}}',
        b'{"kind": "Pod", "metadata": {"name": "a"}}',
        b'{"kind": "Pod", "metadata": {"resourceVersion": "7"}}',
    ],
    ids=shown,
)
def test_json_that_somebody_else_says_with_200_is_no_object(content: bytes) -> None:
    with pytest.raises(TransportError, match=r"expected a Pod( with a name and a version)?, found b'"):
        decode(POD, content)
