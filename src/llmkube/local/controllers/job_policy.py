"""Decisions about a Job: has it succeeded, has it failed and why, when may the next pod start. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from llmkube.local.objects import Object, condition_is_true, key_of, parse_time, spec_of, status_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FIRST_RETRY = 1.0
BACK_OFF = 10.0
LAST_BACK_OFF = 600.0


@dataclass(frozen=True)
class Verdict:
    """How the Job ended: the reason and message of its Complete or Failed condition."""

    kind: Literal["Complete", "Failed"]
    reason: str
    message: str


@dataclass(frozen=True)
class PodCounts:
    """The Job's pods by what became of them; `failures` counts what the policy lets count."""

    active: Sequence[Object]
    succeeded: Sequence[Object]
    failed: Sequence[Object]


def count(job: Object, pods: Iterable[Object]) -> PodCounts:
    everything = list(pods)
    phases = [(status_of(pod).get("phase"), bool(pod["metadata"].get("deletionTimestamp"))) for pod in everything]
    rows = list(zip(everything, phases, strict=True))
    return PodCounts(
        active=[pod for pod, (phase, ending) in rows if phase not in {"Succeeded", "Failed"} and not ending],
        succeeded=[pod for pod, (phase, _) in rows if phase == "Succeeded"],
        failed=[pod for pod, (phase, _) in rows if phase == "Failed" and rule_of(job, pod)[0] != "Ignore"],
    )


def is_finished(job: Object) -> bool:
    return condition_is_true(job, "Complete") or condition_is_true(job, "Failed")


def verdict(job: Object, counts: PodCounts, *, now: datetime) -> Verdict | None:
    """Whether the Job is over. Success wins over the limits."""
    spec = spec_of(job)
    if len(counts.succeeded) >= completions(job):
        return Verdict("Complete", "CompletionsReached", "Reached expected number of succeeded pods")
    for pod in counts.failed:
        action, message = rule_of(job, pod)
        if action == "FailJob":
            return Verdict("Failed", "PodFailurePolicy", message)
    if failures(job, counts) > spec.get("backoffLimit", 6):
        return Verdict("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    if (left := time_left(job, now=now)) is not None and left <= 0:
        return Verdict("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
    return None


def completions(job: Object) -> int:
    spec = spec_of(job)
    return int(spec.get("completions") or spec.get("parallelism") or 1)


def failures(job: Object, counts: PodCounts) -> int:
    """Failed pods, or with restartPolicy OnFailure the restarts of the running ones too."""
    failed: int = max(len(counts.failed), int(status_of(job).get("failed", 0)))
    if spec_of(job)["template"]["spec"].get("restartPolicy") != "OnFailure":
        return failed
    return failed + sum(restarts(pod) for pod in counts.active)


def restarts(pod: Object) -> int:
    statuses = (*(status_of(pod).get("initContainerStatuses") or ()), *(status_of(pod).get("containerStatuses") or ()))
    return sum(int(one.get("restartCount", 0)) for one in statuses)


def missing(job: Object, counts: PodCounts) -> int:
    """How many pods should run besides those that do."""
    wanted = min(int(spec_of(job).get("parallelism", 1)), completions(job) - len(counts.succeeded))
    return max(wanted - len(counts.active), 0)


def time_left(job: Object, *, now: datetime) -> float | None:
    """Seconds until activeDeadlineSeconds; None without one."""
    limit, began = spec_of(job).get("activeDeadlineSeconds"), status_of(job).get("startTime")
    if limit is None or began is None:
        return None
    return (parse_time(began) + timedelta(seconds=limit) - now).total_seconds()


def retry_in(counts: PodCounts, *, now: datetime) -> float:
    """Seconds until the next pod may start: 1 after the first failure (often a hiccup), then 10 doubling."""
    number = len(counts.failed)
    if number == 0:
        return 0.0
    wait = FIRST_RETRY if number == 1 else min(LAST_BACK_OFF, BACK_OFF * 2 ** min(number - 2, 16))
    ended = max(parse_time(finished_at(pod)) for pod in counts.failed)
    return max(0.0, wait - (now - ended).total_seconds())


def finished_at(pod: Object) -> str:
    states = [one["state"].get("terminated") or {} for one in status_of(pod).get("containerStatuses") or ()]
    moments = [state["finishedAt"] for state in states if state.get("finishedAt")]
    return str(max(moments, default=pod["metadata"]["creationTimestamp"]))


def rule_of(job: Object, pod: Object) -> tuple[str, str]:
    """The action (Count when no rule matches) of podFailurePolicy for a failed pod, and why."""
    rules = (spec_of(job).get("podFailurePolicy") or {}).get("rules") or ()
    for index, rule in enumerate(rules):
        if (codes := rule.get("onExitCodes")) and (found := _matching_container(codes, pod)):
            name, code = found
            message = f"Container {name} for pod {key_of(pod)} failed with exit code {code}"
            return rule["action"], f"{message} matching {rule['action']} rule at index {index}"
        for wanted in rule.get("onPodConditions") or ():
            if _has_condition(pod, wanted):
                message = f"Pod {key_of(pod)} has condition {wanted['type']}"
                return rule["action"], f"{message} matching {rule['action']} rule at index {index}"
    return "Count", ""


def _matching_container(codes: Object, pod: Object) -> tuple[str, int] | None:
    statuses = (
        *(status_of(pod).get("initContainerStatuses") or ()),
        *(status_of(pod).get("containerStatuses") or ()),
    )
    for one in statuses:
        code = (one["state"].get("terminated") or {}).get("exitCode", 0)
        named = codes.get("containerName") in {None, one["name"]}
        if code != 0 and named and (code in codes["values"]) == (codes["operator"] == "In"):
            return one["name"], code
    return None


def _has_condition(pod: Object, wanted: Object) -> bool:
    found = [one for one in status_of(pod).get("conditions") or () if one["type"] == wanted["type"]]
    return any(one["status"] == wanted.get("status", "True") for one in found)
