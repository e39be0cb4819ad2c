from __future__ import annotations

from datetime import UTC, datetime

import pytest

from llmkube.local.node.addresses import allocate, container_ports
from llmkube.local.node.attempts import Ended
from llmkube.local.node.backoff import Backoff
from llmkube.local.node.logs import parse
from llmkube.local.node.probes import Outcome, Verdict
from llmkube.local.node.program import ProgramNotFoundError, is_engine_image, resolve
from llmkube.local.node.status import ContainerView, PodView, Terminated, phase, published_view, render
from llmkube.local.node.volumes import UnsupportedError, mounts, refuse_unsupported

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_back_off_is_the_kubelets():
    backoff, delays = Backoff(), []
    for _ in range(8):
        backoff = backoff.after_run(1)
        delays.append(backoff.delay)
    assert delays == [0, 10, 20, 40, 80, 160, 300, 300]
    assert backoff.after_run(600).delay == 0


def test_a_probe_turns_only_at_its_thresholds():
    verdict = Verdict(success_threshold=2, failure_threshold=2)
    states = []
    for ok in (True, True, False, True, False, False, True, True):
        verdict = verdict.after(Outcome(ok))
        states.append(verdict.state)
    assert states == [None, True, True, True, True, False, False, True]


def ended(code):
    return Terminated(Ended(code, "2026-01-01T00:00:00Z"), "2026-01-01T00:00:00Z", "")


def view(**changes):
    return ContainerView(**{"name": "c", "image": "i", "waiting": None, **changes})


WAITING = view(waiting=("ContainerCreating", ""))
RUNNING = view(running_since="2026-01-01T00:00:00Z", started=True, ready=True)
DONE, FAILED = view(terminated=ended(0)), view(terminated=ended(1))
LOOPING = view(waiting=("CrashLoopBackOff", ""), last=ended(1))


@pytest.mark.parametrize(
    ("policy", "inits", "containers", "expected"),
    [
        ("Always", [], [WAITING], "Pending"),
        ("Always", [], [RUNNING], "Running"),
        ("Always", [], [RUNNING, WAITING], "Pending"),
        ("Always", [], [LOOPING], "Running"),
        ("Never", [], [DONE], "Succeeded"),
        ("Never", [], [DONE, FAILED], "Failed"),
        ("Never", [], [DONE, RUNNING], "Running"),
        ("OnFailure", [], [FAILED], "Running"),
        ("OnFailure", [], [DONE], "Succeeded"),
        ("Always", [], [DONE], "Running"),
        ("Never", [FAILED], [WAITING], "Failed"),
        ("OnFailure", [FAILED], [WAITING], "Pending"),
        ("Always", [DONE], [RUNNING], "Running"),
    ],
)
def test_the_phase_is_the_kubelets(policy, inits, containers, expected):
    pod = {"spec": {"restartPolicy": policy}}
    assert phase(pod, PodView(init_containers=inits, containers=containers)) == expected


def test_a_status_written_twice_is_the_same_and_reads_back_as_the_view_it_came_from():
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}}
    seen = PodView(address="127.88.0.1", containers=[RUNNING], mounted=True)
    first = render(pod, seen, now=NOW)
    again = {**pod, "status": first}
    later = datetime(2026, 1, 2, tzinfo=UTC)
    assert render(again, seen, now=later) == first
    assert published_view(again, {"name": "c"}, waiting=("", "")) == RUNNING


def test_conditions_of_others_are_kept():
    foreign = {"type": "example.com/warm", "status": "True"}
    pod = {"spec": {"containers": []}, "status": {"conditions": [foreign]}}
    assert foreign in render(pod, PodView(containers=[RUNNING]), now=NOW)["conditions"]


def test_a_readiness_gate_holds_a_pod_back():
    pod = {"spec": {"readinessGates": [{"conditionType": "example.com/warm"}]}}
    conditions = {
        one["type"]: one["status"] for one in render(pod, PodView(containers=[RUNNING]), now=NOW)["conditions"]
    }
    assert (conditions["ContainersReady"], conditions["Ready"]) == ("True", "False")


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("ghcr.io/ggml-org/llama.cpp:server-b1", True),
        ("registry:5000/ggml-org/llama.cpp@sha256:00", True),
        ("llama.cpp", True),
        ("ghcr.io/ggml-org/llama.cpp-extras:server", False),
        ("python", False),
    ],
)
def test_an_engine_is_recognised_by_its_repository(image, expected):
    assert is_engine_image(image) == expected


def engine():
    return ["/opt/llama-server", "--from-engine"]


def argv(command, args=(), image="x"):
    return resolve({"name": "c", "image": image}, command, args, search_path="/usr/bin:/bin", find_engine=engine)


def test_programs_stand_for_commands():
    assert argv(["/app/llama-server"], ["--port", "1"]) == [*engine(), "--port", "1"]
    assert argv([], ["--port", "1"], image="ghcr.io/ggml-org/llama.cpp:server") == [*engine(), "--port", "1"]
    assert argv(["llmkube", "fetch"], ["x"])[1:] == ["-P", "-m", "llmkube", "fetch", "x"]
    assert argv(["sh", "-c"], ["true"])[0].endswith("/sh")


def test_an_image_without_a_program_is_refused_with_what_to_do():
    with pytest.raises(ProgramNotFoundError, match="set command, or run it on a cluster"):
        argv([], ["x"], image="nginx")


def test_volumes_that_reach_into_the_host_are_refused():
    with pytest.raises(UnsupportedError, match="hostPath is not supported in local mode"):
        refuse_unsupported({"spec": {"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}})


def test_a_sub_path_cannot_leave_its_volume(tmp_path):
    container = {"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "../../etc"}]}
    with pytest.raises(UnsupportedError, match="leaves its volume"):
        mounts(container, {"v": tmp_path})


def test_pods_get_addresses_of_their_own():
    first = allocate("a", used=(), ports=())
    second = allocate("a", used={first}, ports=())
    assert first != second
    assert {first.rpartition(".")[0].rpartition(".")[0], second.rpartition(".")[0].rpartition(".")[0]} == {"127.88"}


def test_only_tcp_ports_have_to_be_free():
    ports = [{"containerPort": 1, "protocol": "UDP"}, {"containerPort": 2}]
    assert container_ports({"containers": [{"ports": ports}]}) == {2}


def test_a_partial_log_line_is_joined_to_the_next():
    lines = [parse(b"2026-01-01T00:00:00.0Z stdout P ab"), parse(b"2026-01-01T00:00:01.0Z stdout F c d")]
    assert b"".join(line.shown(timestamps=False) for line in lines) == b"abc d\n"
