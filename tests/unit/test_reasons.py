"""docs/models.md explains every reason that a Model's conditions can have."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "llmkube"
_GIVEN = re.compile(r'(?:Trouble|SourceError|GGUFError|_because)\(\s*"(?P<reason>[A-Z]\w+)"')
_LISTED = re.compile(r"`(?P<reason>[A-Z][A-Za-z]+)`")
SERVICES = (
    "inference_plan.py",
    "inference_status.py",
    "inference_conditions.py",
    "inference_accessories.py",
    "network_policy.py",
)


def given() -> set[str]:
    """Return the reasons that the code of Models writes."""
    folders = [SOURCES / name for name in ("desired", "controllers", "models", "gguf")]
    files = [each for folder in folders for each in folder.glob("*.py") if each.name not in SERVICES]
    return {match["reason"] for file in files for match in _GIVEN.finditer(file.read_text())}


def test_every_reason_of_a_model_is_explained() -> None:
    listed = {match["reason"] for match in _LISTED.finditer((ROOT / "docs" / "models.md").read_text())}
    found = given()
    assert len(found) > 25
    assert sorted(found - listed) == []
