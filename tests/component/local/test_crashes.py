"""kill -9 of any process at any time, then start again: nothing lost, nothing doubled."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.component.local.local_mode import answer, model, service, until

if TYPE_CHECKING:
    from tests.component.local.file_servers import ModelServer
    from tests.component.local.local_mode import LocalMode, Object

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


def processes(local: LocalMode, *words: str) -> list[int]:
    """Return the processes of this home whose command line has all words."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (entry / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(local.home) in line + environment and all(word in line for word in words):
            found.append(int(entry.name))
    return found


def programs(local: LocalMode, *words: str) -> list[int]:
    """Return the programs that containers run, without the shims whose arguments name them too."""
    found = processes(local, *words)
    return [pid for pid in found if "shim" not in Path(f"/proc/{pid}/cmdline").read_text()]


def engines(local: LocalMode) -> list[int]:
    return programs(local, "--model", "--ctx-size")


def supervisor(local: LocalMode) -> int:
    return int((local.home / "local" / "supervisor.pid").read_text().split()[0])


def restarted(pod: Object) -> bool:
    """Return whether its engine has been started again and answers: the pod, which knows before its service does."""
    (container,) = pod["status"]["containerStatuses"]
    return container["restartCount"] > 0 and container["ready"]


def until_answered(local: LocalMode) -> list[str]:
    """Return an answer; until the operator has looked, the status is from before the control plane went."""
    found: list[str] = until(lambda: answer(local.until_ready("smollm2")["status"]["endpoint"]), bool)
    return found


@pytest.fixture(scope="module", autouse=True)
def endpoint(local: LocalMode, models: ModelServer) -> str:
    local.apply(model("smollm2", models.url("smollm2.gguf")), service("smollm2", "smollm2"))
    found: str = local.until_ready("smollm2")["status"]["endpoint"]
    return found


def test_a_killed_engine_is_restarted_and_counted(local: LocalMode, endpoint: str) -> None:
    (engine,) = engines(local)
    os.kill(engine, signal.SIGKILL)
    until(lambda: engines(local), lambda found: len(found) == 1 and found != [engine])
    (pod,) = until(lambda: local.pods("smollm2"), lambda pods: restarted(pods[0]))
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 1
    local.until_ready("smollm2")
    assert answer(endpoint)


def test_a_killed_control_plane_stops_no_engine_and_the_next_start_adopts_it(local: LocalMode, endpoint: str) -> None:
    (engine,) = engines(local)
    generation = local.service("smollm2")["metadata"]["generation"]
    os.kill(supervisor(local), signal.SIGKILL)
    assert engines(local) == [engine]
    local.llmkube("local", "up")
    local.until_ready("smollm2")
    assert engines(local) == [engine]
    assert local.service("smollm2")["metadata"]["generation"] == generation
    assert until_answered(local)


def test_an_engine_that_died_while_the_control_plane_was_away_is_started_once(local: LocalMode) -> None:
    (engine,) = engines(local)
    os.kill(supervisor(local), signal.SIGKILL)
    os.kill(engine, signal.SIGKILL)
    local.llmkube("local", "up")
    until(lambda: engines(local), lambda found: len(found) == 1 and found != [engine])
    assert until_answered(local)


def test_a_killed_operator_comes_back_alone(local: LocalMode) -> None:
    (operator,) = programs(local, "-m llmkube operator")
    os.kill(operator, signal.SIGKILL)
    until(lambda: programs(local, "-m llmkube operator"), lambda found: len(found) == 1 and found != [operator])
    local.llmkube("scale", "smollm2", "--replicas", "0")
    until(lambda: local.service("smollm2"), lambda found: found["status"]["phase"] == "Stopped")
    local.llmkube("scale", "smollm2", "--replicas", "1")
    local.until_ready("smollm2")


def test_down_stops_every_process_and_up_starts_again_from_what_was_kept(local: LocalMode, models: ModelServer) -> None:
    local.llmkube("local", "down")
    until(lambda: processes(local), lambda found: found == [])
    fetched = len(models.requests)
    local.llmkube("local", "up")
    assert until_answered(local)
    assert len(models.requests) == fetched, "verified bytes are not fetched again"
