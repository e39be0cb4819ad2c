"""docs/models.md explains every reason of a Model, docs/serving.md every one of an InferenceService."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from llmkube.api.inference_status import InferencePhase

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "llmkube"
_GIVEN = re.compile(r'(?:Trouble|SourceError|GGUFError|_because)\(\s*"(?P<reason>[A-Z]\w+)"')
_LISTED = re.compile(r"`(?P<reason>[A-Z][A-Za-z]+)`")
_FOUND = re.compile(
    r'(?:Finding\(\w+, "(?:True|False|Unknown)",|Crash\(|_cause\(|reason_of\([^"]+)\s*"(?P<reason>[A-Z]\w+)"'
)
_NAMED = re.compile(r'^(?:LATE|CRASHED|UNSCHEDULABLE) = "(?P<reason>\w+)"', re.MULTILINE)
OF_SERVICES = (
    "inference_plan.py",
    "inference_inputs.py",
    "inference_status.py",
    "inference_conditions.py",
    "inference_accessories.py",
    "network_policy.py",
    "pod_monitor.py",
    "fitting.py",
    "crash.py",
    "offload.py",
    "references.py",
    "referenced.py",
    "drafts.py",
    "adapters.py",
    "images.py",
    "resources.py",
    "route_status.py",
    "engine/plan.py",
    "engine/modes.py",
)
OF_OTHERS = {"CreateContainerConfigError", "ErrImagePull", "Evicted", "FailedCreate", "InvalidImageName"}
OF_BOTH = ("pod_trouble.py", "refusal.py", "reading.py")


def given() -> set[str]:
    """Return the reasons that the code of Models writes."""
    folders = [SOURCES / name for name in ("desired", "controllers", "models", "gguf")]
    files = [each for folder in folders for each in folder.glob("*.py") if each.name not in OF_SERVICES]
    return {match["reason"] for file in files for match in _GIVEN.finditer(file.read_text())}


def listed_in(page: str) -> set[str]:
    return {match["reason"] for match in _LISTED.finditer((ROOT / "docs" / page).read_text())}


def test_every_reason_of_a_model_is_explained() -> None:
    found = given()
    assert len(found) > 25
    assert sorted(found - listed_in("models.md")) == []


def of_services() -> set[str]:
    """Return the reasons that the code of InferenceServices writes, the phases that are reasons among them."""
    folders = (SOURCES / "desired", SOURCES / "controllers")
    files = [each for folder in folders for name in (*OF_SERVICES, *OF_BOTH) for each in folder.glob(name)]
    texts = [each.read_text() for each in files]
    found = {match["reason"] for text in texts for form in (_GIVEN, _FOUND, _NAMED) for match in form.finditer(text)}
    found |= {
        f"{kind}{what}"
        for kind in ("Secret", "ConfigMap")
        for what in ("NotFound", "Unreadable", "KeyNotFound", "Empty")
    }
    return found | set(get_args(InferencePhase)) - {"Failed"}  # a phase is the reason where nothing else is one


def rows() -> list[tuple[str, str, str]]:
    """Return the rows of the tables of reasons in docs/serving.md: the reasons, what they mean, the next step."""
    table = re.findall(
        r"^\| reason \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", (ROOT / "docs" / "serving.md").read_text(), re.M | re.I
    )
    assert len(table) == 1, "one table, so that a reason stands in one place"
    found = [re.split(r" *\| *", line.strip("| ")) for line in table[0].splitlines()]
    assert {len(each) for each in found} == {3}
    return [(reasons, meaning, step) for reasons, meaning, step in found]


def test_every_reason_of_an_inference_service_is_in_one_row_of_one_table_with_its_next_step() -> None:
    listed = [match["reason"] for reasons, _, _ in rows() for match in _LISTED.finditer(reasons)]
    found = of_services()
    assert len(found) > 30
    assert sorted(found - set(listed)) == []
    assert sorted(listed) == sorted(set(listed))
    assert all(meaning and step for _, meaning, step in rows())


def test_the_table_lists_no_reason_that_nobody_gives() -> None:
    """Besides what others say: the kubelet of a pod, and the controller of a Deployment."""
    listed = {match["reason"] for reasons, _, _ in rows() for match in _LISTED.finditer(reasons)}
    assert sorted(listed - of_services()) == sorted(OF_OTHERS)
