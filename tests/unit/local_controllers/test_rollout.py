from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmkube.local.controllers import deployment_status
from llmkube.local.controllers.deployments import new_replica_set
from llmkube.local.controllers.rollout import Budget, budget, next_scale, template_hash
from llmkube.local.objects import time_text

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def replica_set(name, replicas, available=None):
    count = replicas if available is None else available
    status = {"replicas": replicas, "readyReplicas": count, "availableReplicas": count}
    return {"metadata": {"name": name}, "spec": {"replicas": replicas}, "status": status}


def deployment(replicas=2, generation=1, **spec):
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": []}}
    body = {"replicas": replicas, "selector": {"matchLabels": {"app": "x"}}, "template": template, **spec}
    meta = {"name": "d", "namespace": "n", "uid": "u", "generation": generation}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": body}


@pytest.mark.parametrize(
    ("rolling", "replicas", "expected"),
    [
        ({}, 1, (1, 0)),
        ({}, 4, (1, 1)),
        ({"maxSurge": 0, "maxUnavailable": 1}, 1, (0, 1)),
        ({"maxSurge": 0, "maxUnavailable": "10%"}, 3, (0, 1)),
        ({"maxSurge": "50%", "maxUnavailable": "50%"}, 3, (2, 1)),
    ],
)
def test_the_budget_rounds_as_kubernetes_does(rolling, replicas, expected):
    found = budget(deployment(replicas, strategy={"rollingUpdate": rolling}))
    assert (found.surge, found.unavailable) == expected


def test_without_surge_an_old_pod_goes_first():
    limits = Budget(replicas=1, surge=0, unavailable=1)
    assert next_scale(limits, replica_set("new", 0), [replica_set("old", 1)]) == {"old": 0}
    assert next_scale(limits, replica_set("new", 0), [replica_set("old", 0)]) == {"new": 1}


def test_with_surge_the_old_pod_serves_until_the_new_one_is_available():
    limits = Budget(replicas=1, surge=1, unavailable=0)
    old = [replica_set("old", 1)]
    assert next_scale(limits, replica_set("new", 0), old) == {"new": 1}
    assert next_scale(limits, replica_set("new", 1, available=0), old) == {}
    assert next_scale(limits, replica_set("new", 1), old) == {"old": 0}


def test_old_pods_that_do_not_work_go_at_once():
    limits = Budget(replicas=2, surge=1, unavailable=0)
    assert next_scale(limits, replica_set("new", 1), [replica_set("old", 2, available=1)]) == {"old": 1}


def test_no_replicas_means_none_of_any_template():
    limits = Budget(replicas=0, surge=0, unavailable=1)
    assert next_scale(limits, replica_set("new", 2), [replica_set("old", 1)]) == {"new": 0}
    assert next_scale(limits, replica_set("new", 0), [replica_set("old", 1)]) == {"old": 0}


@given(
    replicas=st.integers(0, 6),
    surge=st.integers(0, 3),
    unavailable=st.integers(0, 3),
    starts=st.lists(st.integers(0, 6), max_size=3),
    broken=st.booleans(),
)
def test_every_rollout_ends_and_stays_within_its_budget(replicas, surge, unavailable, starts, broken):
    limits = Budget(replicas, surge, max(unavailable, 0 if surge else 1))
    counts = {f"old{index}": count for index, count in enumerate(starts)} | {"new": 0}
    old_broken = {"old0"} if broken else set()
    allowed = max(replicas + surge, sum(counts.values()))
    for _ in range(200):
        sets = {name: replica_set(name, count, 0 if name in old_broken else count) for name, count in counts.items()}
        before = sum(one["status"]["availableReplicas"] for one in sets.values())
        targets = next_scale(limits, sets["new"], [one for name, one in sets.items() if name != "new"])
        if not targets:
            break
        counts |= targets
        assert sum(counts.values()) <= allowed
        available = sum(count for name, count in counts.items() if name not in old_broken)
        assert available >= min(before, replicas - limits.unavailable)
    assert counts == {name: replicas if name == "new" else 0 for name in counts}


def test_equal_templates_have_one_hash_whatever_the_order_of_their_keys():
    one, other = deployment(), deployment()
    other["spec"]["template"] = dict(reversed(other["spec"]["template"].items()))
    assert template_hash(one) == template_hash(other)
    other["spec"]["template"]["spec"] = {"containers": [{"name": "c"}]}
    assert template_hash(one) != template_hash(other)


def test_a_replica_set_selects_only_its_own_template():
    made = new_replica_set(deployment(), 3)
    label = made["metadata"]["labels"]["pod-template-hash"]
    assert made["spec"]["selector"]["matchLabels"] == {"app": "x", "pod-template-hash": label}
    assert made["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] == label
    assert made["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "3"}
    assert made["spec"]["replicas"] == 0


def conditions(status):
    return {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}


def test_a_rollout_that_does_not_move_is_late_and_recovers():
    one = deployment(progressDeadlineSeconds=60)
    stuck = replica_set("new", 2, available=0)
    one["status"] = deployment_status.status(one, stuck, [], now=NOW)
    assert conditions(one["status"])["Progressing"] == ("True", "ReplicaSetUpdated")
    assert deployment_status.deadline_in(one, one["status"], now=NOW) == 61
    one["status"] = deployment_status.status(one, stuck, [], now=NOW + timedelta(seconds=61))
    assert conditions(one["status"]) == {
        "Available": ("False", "MinimumReplicasUnavailable"),
        "Progressing": ("False", "ProgressDeadlineExceeded"),
    }
    one["status"] = deployment_status.status(one, replica_set("new", 2), [], now=NOW + timedelta(seconds=62))
    assert conditions(one["status"])["Progressing"] == ("True", "NewReplicaSetAvailable")


def test_a_pod_that_restarts_later_makes_no_finished_rollout_late():
    one = deployment(progressDeadlineSeconds=60)
    one["status"] = deployment_status.status(one, replica_set("new", 2), [], now=NOW)
    later = NOW + timedelta(hours=1)
    one["status"] = deployment_status.status(one, replica_set("new", 2, available=1), [], now=later)
    assert conditions(one["status"])["Progressing"] == ("True", "NewReplicaSetAvailable")


def test_a_status_that_says_the_same_keeps_its_times():
    one = deployment()
    one["status"] = deployment_status.status(one, replica_set("new", 2), [], now=NOW)
    assert deployment_status.status(one, replica_set("new", 2), [], now=NOW + timedelta(hours=1)) == one["status"]
    assert one["status"]["conditions"][0]["lastTransitionTime"] == time_text(NOW)
