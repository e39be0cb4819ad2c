"""An API server that says no to what an object asks for: told in the status, then raised so that its key is settled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.desired.conditions import one_line
from llmkube.desired.pod_trouble import Trouble
from llmkube.kube.errors import Forbidden, Invalid

if TYPE_CHECKING:
    from llmkube.kube.errors import ApiError

REFUSALS = (Forbidden, Invalid)
"""A quota, a policy or the operator's own rights; a field that the API server does not accept."""


def refusal(error: ApiError) -> Trouble:
    """Return it in the server's own words, which name the object and the field."""
    again = "correct the spec" if isinstance(error, Invalid) else "it is tried again"
    return Trouble("Refused", one_line(f"the API server refused: {error.message}; {again}"))
