"""When a fetch whose Job gave up is begun anew.

A Job tries a few times and then ends for good, but a host that was away for an hour comes back. What can never succeed
ended by the Job's pod failure policy (KEP-3329), and waits for another spec.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmkube.kube.objects import Job

PAUSE_SECONDS = 600.0
PERMANENT = "PodFailurePolicy"


def retry_in(job: Job, *, now: datetime) -> float | None:
    """Return the seconds until the Job is to be replaced, 0 when it is time; None when it is not over, or for good.

    Of a clock that is far from the one that wrote the Job's end nothing can be learned: then it is time.
    """
    failed = next((each for each in job.status.conditions if each.type == "Failed" and each.status == "True"), None)
    if failed is None or failed.reason == PERMANENT:
        return None
    since = (now - _time(failed.last_transition_time)).total_seconds()
    return PAUSE_SECONDS - since if abs(since) < PAUSE_SECONDS else 0.0


def _time(text: str | None) -> datetime:
    """What cannot be read is long ago: better a fetch too early than none."""
    try:
        return datetime.fromisoformat(text or "").astimezone(UTC)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
