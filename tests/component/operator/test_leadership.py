"""Two operators under leader election never write at the same time, whatever happens to the one that leads.

On a real API server, whose audit log says which of them (each has a token of its own) wrote what, and when it was
received. What they have to do never ends while a test runs: `busy` changes what is wanted all the time.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.component.operator.api import Refused
from tests.component.operator.audit import Asked, Write, requests, usurped, writes
from tests.component.operator.plane import ACCOUNT, SYSTEM
from tests.component.operator.process import Operator
from tests.component.operator.proxy import Proxy
from tests.conformance.backends import KUBECONFIG

from llmkube.cli.operator import LEASE

if TYPE_CHECKING:
    from tests.component.operator.api import Api, Object
    from tests.component.operator.conftest import Until
    from tests.component.operator.plane import Plane

USER = f"system:serviceaccount:{SYSTEM}:{ACCOUNT}"
TIMES = ("--leader-election-lease-duration", "6", "--leader-election-renew-deadline", "4")
SERVICES = ("one", "two", "three")

pytestmark = [pytest.mark.real_control_plane, pytest.mark.timeout(120)]


@dataclass
class Replica:
    """One of the two; `token` names it in the audit log."""

    operator: Operator
    proxy: Proxy
    token: str

    def leads(self) -> bool:
        return self.operator.metric("leader_election_master_status") == 1


@dataclass
class Pair:
    """Both, and what reached the API server from either since the test began."""

    one: Replica
    other: Replica
    log: Callable[[], list[Write]]
    until: Until

    def leader(self) -> tuple[Replica, Replica]:
        """The one that leads and is at work, and the other."""
        leading = self.until(lambda: [each for each in (self.one, self.other) if each.leads()])
        assert len(leading) == 1
        self.until(lambda: self.work_of(leading[0]))
        return leading[0], self.other if leading[0] is self.one else self.one

    def work_of(self, replica: Replica) -> list[Write]:
        """What it wrote, apart from the lease."""
        return [each for each in self.log() if each.who == replica.token and each.what.resource != "leases"]

    def takes_over(self, replica: Replica) -> None:
        self.until(lambda: replica.leads() and self.work_of(replica))


@pytest.fixture
def log() -> Callable[[], list[Write]]:
    file = Path(os.environ[KUBECONFIG]).parent / "audit.log"
    start = file.stat().st_size
    return lambda: writes(requests(file, USER, start=start))


@pytest.fixture
def busy(api: Api, here: str, documents: Callable[..., tuple[Object, Object]]) -> Iterator[None]:
    """Ports that change again and again: each change is a write of the operator's."""
    for name in SERVICES:
        api.apply("inferenceservices", here, documents(name)[1])
    stop = threading.Event()

    def change() -> None:
        for name, port in zip(cycle(SERVICES), cycle(range(8000, 8100)), strict=False):
            if stop.wait(0.05):
                return
            with suppress(Refused):
                api.patch("inferenceservices", here, name, {"spec": {"endpoint": {"port": port}}})

    thread = threading.Thread(target=change, daemon=True)
    thread.start()
    yield
    stop.set()
    thread.join(10)


@pytest.fixture
def pair(
    plane: Plane, here: str, busy: None, log: Callable[[], list[Write]], until: Until, tmp_path: Path
) -> Iterator[Pair]:
    """Both are ready, one of them leads; nobody has led before."""
    with suppress(Refused):
        plane.api.delete("leases", SYSTEM, LEASE)
    with ExitStack() as running:

        def start(name: str) -> Replica:
            proxy = running.enter_context(Proxy(plane.api.server))
            file, token = plane.access(tmp_path / name, proxy.url)
            flags = ("--leader-election-namespace", SYSTEM, "--namespace", here, *TIMES)
            operator = running.enter_context(Operator(file, tmp_path / f"{name}.log", *flags))
            return Replica(operator, proxy, token)

        found = Pair(start("one"), start("other"), log, until)
        for each in (found.one, found.other):
            each.operator.until_ready()
        yield found
        assert usurped(log()) == []


def test_of_two_that_start_at_once_one_leads_and_the_other_stands_by_warm_and_writes_nothing(pair: Pair) -> None:
    _, standby = pair.leader()
    assert standby.operator.page("/readyz")
    queues = json.loads(standby.operator.page("/debug/queues"))
    assert queues["inferenceservice"]["ready"] == len(SERVICES)
    assert pair.work_of(standby) == []
    assert {each.what for each in pair.log() if each.who == standby.token} <= {
        Asked("coordination.k8s.io", "leases", verb) for verb in ("create", "update")
    }


def test_a_leader_that_is_asked_to_stop_hands_over_and_exits_well(api: Api, pair: Pair) -> None:
    leader, standby = pair.leader()
    assert leader.operator.stop() == 0
    pair.takes_over(standby)
    spec = api.get("leases", SYSTEM, LEASE)["spec"]
    assert spec["leaseTransitions"] == 1
    assert spec["leaseDurationSeconds"] == 6


def test_a_leader_that_is_killed_is_followed_once_its_lease_has_run_out(pair: Pair) -> None:
    leader, standby = pair.leader()
    leader.operator.kill()
    pair.takes_over(standby)


def test_a_leader_that_stood_still_exits_when_it_goes_on_and_writes_nothing_more(pair: Pair) -> None:
    leader, standby = pair.leader()
    leader.operator.process.send_signal(signal.SIGSTOP)
    pair.takes_over(standby)
    leader.operator.process.send_signal(signal.SIGCONT)
    assert leader.operator.process.wait(30) not in (0, None)


def test_a_leader_that_is_cut_off_exits_and_nothing_of_it_arrives_when_the_line_is_mended(pair: Pair) -> None:
    leader, standby = pair.leader()
    leader.proxy.cut()
    assert leader.operator.process.wait(30) not in (0, None)
    pair.takes_over(standby)
    leader.proxy.mend()
    before = len(pair.work_of(standby))
    pair.until(lambda: len(pair.work_of(standby)) > before + 10)


def test_a_second_signal_ends_a_process_at_once(pair: Pair) -> None:
    leader, _ = pair.leader()
    leader.proxy.cut()  # so that an orderly end takes its time
    leader.operator.process.send_signal(signal.SIGTERM)
    pair.until(lambda: "a second signal exits at once" in leader.operator.log.read_text())
    leader.operator.process.send_signal(signal.SIGTERM)
    assert leader.operator.process.wait(30) == 128 + signal.SIGTERM


LEASE_WRITE = Asked("coordination.k8s.io", "leases", "update")
WORK = Asked("", "services", "patch")


def test_a_write_after_another_took_the_lease_is_found() -> None:
    took = [Write("1", "a", LEASE_WRITE, LEASE, True), Write("3", "b", LEASE_WRITE, LEASE, True)]
    early, late = Write("2", "a", WORK, "x", True), Write("4", "a", WORK, "x", True)
    assert usurped(sorted([*took, early, late])) == [late]


def test_a_lease_that_somebody_failed_to_take_is_still_the_others() -> None:
    lost = Write("2", "b", LEASE_WRITE, LEASE, False)
    assert usurped([Write("1", "a", LEASE_WRITE, LEASE, True), lost, Write("3", "a", WORK, "x", True)]) == []
