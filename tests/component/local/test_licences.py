"""A licence policy on a Model, against a real server: refused before the bytes, and corrected by a sidecar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.component.local.local_mode import condition, model, until

if TYPE_CHECKING:
    from tests.component.local.file_servers import ModelServer
    from tests.component.local.local_mode import LocalMode, Object

pytestmark = pytest.mark.timeout(120)


def accepted(found: Object) -> bool:
    """Whether the source was looked at and nothing is refused."""
    status = found.get("status", {})
    return "gguf" in status and status["phase"] not in {"Failed", "Resolving"}


def test_a_licence_that_is_not_allowed_is_refused_before_anything_is_fetched(
    local: LocalMode, models: ModelServer
) -> None:
    local.apply(model("refused", models.url("smollm2.gguf"), license={"allow": ["MIT", "GPL-3.0"]}))

    found = until(lambda: local.model("refused"), lambda seen: seen["status"]["phase"] == "Failed")

    told = condition(found["status"], "Available")
    assert told["reason"] == "LicenseNotAllowed"
    assert "expected a licence among MIT, GPL-3.0" in told["message"]
    assert "'apache-2.0'" in told["message"]
    assert found["status"]["gguf"]["license"] == "apache-2.0"
    assert local.items("apis/batch/v1/namespaces/default/jobs") == []
    assert all(asked is not None for _, asked in models.requests)


def test_a_policy_may_spell_a_licence_as_spdx_does(local: LocalMode, models: ModelServer) -> None:
    local.apply(model("spelt", models.url("smollm2.gguf"), license={"allow": ["Apache-2.0"]}))

    found = until(lambda: local.model("spelt"), accepted)

    assert found["status"]["gguf"]["license"] == "apache-2.0"


def test_a_sidecar_corrects_what_the_header_states(local: LocalMode, models: ModelServer) -> None:
    (models.folder / "other.gguf.license").write_text("# ours now\nSPDX-License-Identifier: MIT\n")
    local.apply(model("corrected", models.url("other.gguf"), license={"allow": ["mit"]}))

    found = until(lambda: local.model("corrected"), accepted)

    assert found["status"]["gguf"]["license"] == "MIT"
