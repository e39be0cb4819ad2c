"""A fetch Job and its pod as a Model's controller may see them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from llmkube.api.model import GGUFFacts, ModelStatus
from llmkube.desired.fetch_result import tick
from llmkube.desired.fetch_state import fetch_state
from llmkube.desired.model_status import Sight
from llmkube.desired.resolution import Known
from llmkube.kube.objects import Job, Pod

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SHA256 = "ab" * 32
JOB = "tiny-fetch-12345678"
PATH = f"v1/models/team/tiny/{SHA256[:12]}/tiny.gguf"
DONE = json.dumps({"event": "done", "sha256": SHA256, "bytes": 1000, "path": PATH, "etag": "e", "files": 1})
KNOWN = Known(1000, etag="e", facts=GGUFFacts(architecture="llama", quantization="Q4_1", license="mit"))
See = Callable[..., Sight]


def job(*conditions: str) -> Job:
    given = [{"type": each, "status": "True", "message": "said by the Job"} for each in conditions]
    return msgspec.convert({"metadata": {"name": JOB}, "status": {"conditions": given}}, Job)


def pod(state: dict[str, Any], **status: Any) -> Pod:
    container = {"name": "fetch", "state": state}
    return msgspec.convert(
        {"metadata": {"name": f"{JOB}-x"}, "status": {"containerStatuses": [container], **status}}, Pod
    )


def ended(code: int, message: str) -> Pod:
    return pod({"terminated": {"exitCode": code, "message": message}}, phase="Failed" if code else "Succeeded")


def state_of(live: Job | None, *pods: Pod, previous: ModelStatus | None = None, line: str = "") -> Any:
    return fetch_state(live, pods, job_name=JOB, tick=tick(line), previous=previous or ModelStatus())


def conditions(status: ModelStatus) -> dict[str, tuple[str, str]]:
    return {each.type: (each.status, each.reason) for each in status.conditions}
