"""Errors of the API server by their Status object."""

from __future__ import annotations

import json

import pytest

from llmkube.kube.errors import Forbidden, ServerError, Unauthorized, from_response

CAUSE = {
    "reason": "NamespaceTerminating",
    "message": "namespace team is being terminated",
    "field": "metadata.namespace",
}


def status(details: object) -> bytes:
    return json.dumps(
        {"kind": "Status", "reason": "Forbidden", "message": "no", "code": 403, "details": details}
    ).encode()


def test_a_namespace_that_goes_away_is_told_from_a_lack_of_rights() -> None:
    error = from_response(403, status({"name": "chat", "causes": [CAUSE]}))
    assert isinstance(error, Forbidden)
    assert error.is_terminating


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"message": "\xff"}', b'{"details": %s' % (b"[" * 9999), b"\xff"],
    ids=lambda body: ascii(body[:20]),
)
def test_whatever_a_proxy_invents_is_an_error_of_its_status(body: bytes) -> None:
    error = from_response(502, body)
    assert isinstance(error, ServerError)
    assert "HTTP 502: " in str(error)


@pytest.mark.parametrize(
    "details", [None, "x", {}, {"causes": None}, {"causes": ["x", {}]}, {"causes": 5}, {"causes": True}, []]
)
def test_a_lack_of_rights_is_no_namespace_that_goes_away(details: object) -> None:
    error = from_response(403, status(details))
    assert isinstance(error, Forbidden)
    assert not error.is_terminating


@pytest.mark.parametrize("code", [16, 14, 404, 401])
def test_the_status_of_an_answer_decides_and_not_a_code_that_a_gateway_wrote_into_its_body(code: int) -> None:
    """gRPC has 16 for who is not known and 14 for who is not there; 404 would say that an object is gone."""
    body = json.dumps({"code": code, "message": "upstream"}).encode()
    assert isinstance(from_response(401, body), Unauthorized)
    assert isinstance(from_response(503, body), ServerError)
