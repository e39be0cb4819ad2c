"""docs/models.md explains every reason of a Model, docs/serving.md every one of what a service refers to."""

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
    "inference_inputs.py",
    "inference_accessories.py",
    "network_policy.py",
    "fitting.py",
)
INPUTS = ("references.py", "referenced.py", "drafts.py", "adapters.py")


def given() -> set[str]:
    """Return the reasons that the code of Models writes."""
    folders = [SOURCES / name for name in ("desired", "controllers", "models", "gguf")]
    files = [each for folder in folders for each in folder.glob("*.py") if each.name not in (*SERVICES, *INPUTS)]
    return reasons(files)


def reasons(files: list[Path]) -> set[str]:
    return {match["reason"] for file in files for match in _GIVEN.finditer(file.read_text())}


def listed_in(page: str) -> set[str]:
    return {match["reason"] for match in _LISTED.finditer((ROOT / "docs" / page).read_text())}


def test_every_reason_of_a_model_is_explained() -> None:
    found = given()
    assert len(found) > 25
    assert sorted(found - listed_in("models.md")) == []


def test_every_reason_of_what_a_service_refers_to_is_explained() -> None:
    folder = SOURCES / "desired"
    found = reasons([folder / name for name in INPUTS if (folder / name).exists()])
    found |= {f"{kind}{what}" for kind in ("Secret", "ConfigMap") for what in ("NotFound", "KeyNotFound", "Empty")}
    assert sorted(found - listed_in("serving.md")) == []
