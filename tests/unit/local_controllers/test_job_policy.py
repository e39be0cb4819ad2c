from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from llmkube.local.controllers import job_policy
from llmkube.local.objects import time_text

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def job(status=None, **spec):
    body = {"template": {"spec": {"restartPolicy": "Never"}}, **spec}
    return {"metadata": {"name": "j", "namespace": "n"}, "spec": body, "status": status or {}}


def pod(phase, code=None, ago=0):
    ended = {"exitCode": code, "finishedAt": time_text(NOW - timedelta(seconds=ago))}
    states = [{"name": "fetch", "state": {"terminated": ended}, "restartCount": 0}] if code is not None else []
    meta = {"name": "p", "namespace": "n", "creationTimestamp": time_text(NOW)}
    return {"metadata": meta, "status": {"phase": phase, "containerStatuses": states}}


def verdict(one, *pods):
    found = job_policy.verdict(one, job_policy.count(one, pods), now=NOW)
    return found and (found.kind, found.reason)


def rules(action, operator, values):
    rule = {"action": action, "onExitCodes": {"containerName": "fetch", "operator": operator, "values": values}}
    return {"rules": [rule]}


@pytest.mark.parametrize(
    ("one", "pods", "expected"),
    [
        (job(), [], None),
        (job(), [pod("Running")], None),
        (job(), [pod("Succeeded", 0)], ("Complete", "CompletionsReached")),
        (job(backoffLimit=1), [pod("Failed", 1)], None),
        (job(backoffLimit=1), [pod("Failed", 1)] * 2, ("Failed", "BackoffLimitExceeded")),
        (job(podFailurePolicy=rules("FailJob", "In", [65])), [pod("Failed", 65)], ("Failed", "PodFailurePolicy")),
        (job(podFailurePolicy=rules("FailJob", "In", [65])), [pod("Failed", 75)], None),
        (job(podFailurePolicy=rules("FailJob", "NotIn", [75])), [pod("Failed", 2)], ("Failed", "PodFailurePolicy")),
        (job(backoffLimit=0, podFailurePolicy=rules("Ignore", "In", [75])), [pod("Failed", 75)], None),
        (
            job({"startTime": time_text(NOW - timedelta(seconds=9))}, activeDeadlineSeconds=9),
            [pod("Running")],
            ("Failed", "DeadlineExceeded"),
        ),
    ],
)
def test_verdicts(one, pods, expected):
    assert verdict(one, *pods) == expected


def test_failures_that_were_counted_are_not_forgotten_with_their_pods():
    assert verdict(job({"failed": 3}, backoffLimit=2)) == ("Failed", "BackoffLimitExceeded")


def test_the_first_retry_is_quick_and_the_others_wait_longer():
    waits = [job_policy.retry_in(job_policy.count(job(), [pod("Failed", 1)] * n), now=NOW) for n in range(5)]
    assert waits == [0, 1, 10, 20, 40]


def test_the_wait_counts_from_the_last_failure():
    counts = job_policy.count(job(), [pod("Failed", 1, ago=100), pod("Failed", 1, ago=4)])
    assert job_policy.retry_in(counts, now=NOW) == 6


@pytest.mark.parametrize(
    ("spec", "pods", "expected"),
    [
        ({}, [], 1),
        ({}, [pod("Running")], 0),
        ({"completions": 3, "parallelism": 2}, [], 2),
        ({"completions": 3, "parallelism": 2}, [pod("Succeeded", 0), pod("Succeeded", 0)], 1),
    ],
)
def test_as_many_pods_as_are_missing(spec, pods, expected):
    one = job(**spec)
    assert job_policy.missing(one, job_policy.count(one, pods)) == expected
