"""When a fetch whose Job gave up is begun anew.

A Job tries a few times and then ends for good, but a host that was away for an hour comes back. What ended by the Job's
pod failure policy (KEP-3329) can never succeed and waits for another spec, but for what somebody may mend elsewhere: a
permission, a certificate, a file that is not there yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmkube.kube.objects import Job

PAUSE_SECONDS = 600.0
LONG_PAUSE_SECONDS = 3600.0
PERMANENT = "PodFailurePolicy"
MENDED_ELSEWHERE = frozenset({"Unauthorized", "Forbidden", "NotFound", "CertificateNotTrusted"})
"""Refusals that heal without another spec: by a Secret, a server's permission or certificate, an upload."""


@dataclass(frozen=True, slots=True)
class Retry:
    """When the next fetch begins, and the pause in seconds that led there."""

    at: datetime
    pause: float

    def seconds(self, *, now: datetime) -> float:
        """Return the seconds until then, 0 when it is time.

        Of a clock that is far from the one that wrote the Job's end nothing can be learned: then it is time.
        """
        left = (self.at - now).total_seconds()
        return left if 0 < left < 2 * self.pause else 0.0


def retry(job: Job, *, is_mendable: bool) -> Retry | None:
    """Return when a Job that failed is replaced; None when it has not, or for good.

    `is_mendable` says that a permanent failure may heal without another spec.
    """
    failed = next((each for each in job.status.conditions if each.type == "Failed" and each.status == "True"), None)
    if failed is None or (failed.reason == PERMANENT and not is_mendable):
        return None
    pause = LONG_PAUSE_SECONDS if failed.reason == PERMANENT else PAUSE_SECONDS
    return Retry(_time(failed.last_transition_time) + timedelta(seconds=pause), pause)


def _time(text: str | None) -> datetime:
    """What cannot be read is long ago: better a fetch too early than none."""
    try:
        return datetime.fromisoformat(text or "").astimezone(UTC)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
