"""An API server that says no to what an object asks for: told in the status, then raised so that its key is settled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.desired.conditions import one_line
from llmkube.desired.pod_trouble import Trouble
from llmkube.kube.errors import Forbidden, Invalid
from llmkube.runtime.outcome import is_denied

if TYPE_CHECKING:
    from llmkube.kube.errors import ApiError


def refusal(error: ApiError) -> Trouble | None:
    """Return it in the server's own words, which name the object and the field; None for what is no refusal.

    One is a quota's, a policy's, for want of a right, or of a field that the API server does not accept.
    """
    if is_denied(error):
        return _refused("a policy of the cluster refused", error, "it is tried again")
    if isinstance(error, Invalid):
        return _refused("the API server refused", error, "correct the spec")
    return _refused("the API server refused", error, "it is tried again") if isinstance(error, Forbidden) else None


def _refused(who: str, error: ApiError, fix: str) -> Trouble:
    return Trouble("Refused", one_line(f"{who}: {error.message}; {fix}"))
