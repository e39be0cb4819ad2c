"""When a fetch that failed is begun anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from llmkube.desired.fetch_retry import LONG_PAUSE_SECONDS, MENDED_ELSEWHERE, PAUSE_SECONDS, retry
from llmkube.kube.objects import Condition, Job, JobStatus, ObjectMeta

FAILED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def failed(reason: str, at: str | None = "2026-01-02T03:04:05Z") -> Job:
    condition = Condition(type="Failed", status="True", reason=reason, last_transition_time=at)
    return Job(metadata=ObjectMeta(name="fetch"), status=JobStatus(conditions=(condition,)))


def retry_in(job: Job, *, now: datetime, reason: str = "") -> float | None:
    found = retry(job, is_mendable=reason in MENDED_ELSEWHERE)
    return found.seconds(now=now) if found else None


@pytest.mark.parametrize("reason", ["BackoffLimitExceeded", "DeadlineExceeded"])
def test_a_job_that_gave_up_is_replaced_after_a_pause(reason: str) -> None:
    assert retry_in(failed(reason), now=FAILED_AT) == PAUSE_SECONDS
    assert retry_in(failed(reason), now=FAILED_AT + timedelta(seconds=PAUSE_SECONDS - 1)) == 1
    assert retry_in(failed(reason), now=FAILED_AT + timedelta(days=9)) == 0


def test_what_cannot_succeed_waits_for_another_spec() -> None:
    assert retry_in(failed("PodFailurePolicy"), now=FAILED_AT + timedelta(days=9)) is None


@pytest.mark.parametrize("reason", ["Unauthorized", "Forbidden", "NotFound", "CertificateNotTrusted"])
def test_what_somebody_may_mend_elsewhere_is_looked_at_again_an_hour_later(reason: str) -> None:
    assert retry_in(failed("PodFailurePolicy"), now=FAILED_AT, reason=reason) == LONG_PAUSE_SECONDS


def test_a_job_that_runs_is_left_alone() -> None:
    assert retry_in(Job(metadata=ObjectMeta(name="fetch")), now=FAILED_AT) is None


@pytest.mark.parametrize("at", [None, "", "yesterday"])
def test_a_time_that_cannot_be_read_is_long_ago(at: str | None) -> None:
    assert retry_in(failed("BackoffLimitExceeded", at), now=FAILED_AT) == 0


def test_an_end_that_is_far_in_the_future_by_this_clock_does_not_hold_the_next_fetch_up() -> None:
    assert retry_in(failed("BackoffLimitExceeded"), now=FAILED_AT - timedelta(seconds=10)) == PAUSE_SECONDS + 10
    assert retry_in(failed("BackoffLimitExceeded"), now=FAILED_AT - timedelta(hours=1)) == 0
