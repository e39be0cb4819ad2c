"""The policy that docs/security.md suggests, on the real API server: only that has ValidatingAdmissionPolicies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.component.operator.api import Refused

if TYPE_CHECKING:
    from tests.component.operator.api import Api, Object
    from tests.component.operator.conftest import Until

pytestmark = pytest.mark.real_control_plane
DOCUMENT = Path(__file__).parents[3] / "docs" / "security.md"
WITH_ROUTE = ({"endpoint": {"route": {"kind": "Ingress", "hosts": ["chat.example.com"]}}}, "routes are made")
WITH_IMAGE = ({"image": "mine:1"}, "images are used")


def documented() -> list[Object]:
    _, _, rest = DOCUMENT.read_text().partition("```yaml\n")
    return list(yaml.safe_load_all(rest.partition("```")[0]))


def test_the_documented_policy_says_where_models_come_from_and_who_makes_routes(
    api: Api, here: str, documents: Callable[..., Any], until: Until
) -> None:
    policy, binding = documented()
    here_only = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": here}}}
    binding["spec"]["matchResources"] = here_only  # others share this control plane
    _, plain = documents()
    try:
        for resource, each in (("validatingadmissionpolicies", policy), ("validatingadmissionpolicybindings", binding)):
            api.apply(resource, "", each)
        status = until(lambda: api.get("validatingadmissionpolicies", "", policy["metadata"]["name"])["status"])
        assert not (status.get("typeChecking") or {}).get("expressionWarnings"), status
        until(lambda: refusal(api, "models", here, documents()[0]), lambda said: "models come from" in said)
        for spec, line in (WITH_ROUTE, WITH_IMAGE):
            assert line in refusal(api, "inferenceservices", here, documents(**spec)[1])
        api.apply("inferenceservices", here, plain)
    finally:
        for resource, each in (("validatingadmissionpolicybindings", binding), ("validatingadmissionpolicies", policy)):
            api.delete(resource, "", each["metadata"]["name"])


def refusal(api: Api, resource: str, here: str, obj: Object) -> str:
    try:
        api.apply(resource, here, obj)
    except Refused as error:
        return str(error)
    return ""
