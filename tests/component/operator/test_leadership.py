"""Two operators under leader election never write at the same time, whatever happens to the one that leads.

Each talks to the API server through a proxy of its own, and all that they write goes into one journal. What they have
to do never ends while a test runs: `busy` changes what is wanted all the time.
"""

from __future__ import annotations

import base64
import json
import signal
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.component.operator.api import Refused
from tests.component.operator.journal import Journal, Write, usurped
from tests.component.operator.plane import SYSTEM, kubeconfig
from tests.component.operator.process import Operator
from tests.component.operator.proxy import Proxy

from llmkube.cli.operator import LEASE
from llmkube.kube.trust import trusting
from llmkube.local.apiserver.tls import certificates

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.component.operator.api import Api, Object
    from tests.component.operator.conftest import Until
    from tests.component.operator.plane import Plane

DURATION, FOR_EVER = 7, 3600
ELECTION = ("--leader-election-namespace", SYSTEM, "--leader-election-renew-deadline", "3")
RETRY = ("--leader-election-retry-period", "1")
SERVICES = ("one", "two", "three")

pytestmark = pytest.mark.timeout(120)


@dataclass
class Replica:
    """One of the two."""

    name: str
    operator: Operator
    proxy: Proxy

    def leads(self) -> bool:
        return self.operator.metric("leader_election_master_status") == 1


@dataclass
class Pair:
    """Both, and what reached the API server from either."""

    one: Replica
    other: Replica
    journal: Journal
    until: Until

    def leader(self) -> tuple[Replica, Replica]:
        """The one that leads and is at work, and the other."""
        leading = self.until(lambda: [each for each in (self.one, self.other) if each.leads()])
        assert len(leading) == 1
        self.until(lambda: self.work_of(leading[0]))
        return leading[0], self.other if leading[0] is self.one else self.one

    def work_of(self, replica: Replica) -> list[Write]:
        return self.journal.work_of(replica.name)

    def renewals_of(self, replica: Replica) -> int:
        return sum(each.is_lease and each.is_done and each.who == replica.name for each in self.journal.entries)

    def takes_over(self, replica: Replica) -> None:
        self.until(lambda: replica.leads() and self.work_of(replica))


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


@dataclass
class Way:
    """How to the API server through a proxy."""

    server: str
    token: str
    folder: Path
    trusted: ssl.SSLContext

    def kubeconfig(self, name: str, url: str, authority: str) -> Path:
        (folder := self.folder / name).mkdir()
        encoded = {"certificate-authority-data": base64.b64encode(authority.encode()).decode()}
        return kubeconfig(folder, url, self.token, **encoded)


@pytest.fixture
def way(plane: Plane, tmp_path: Path) -> Way:
    """That of the operator's own kubeconfig."""
    access: Any = json.loads(plane.kubeconfig.read_text())
    cluster, user = access["clusters"][0]["cluster"], access["users"][0]["user"]
    encoded = cluster.get("certificate-authority-data", "")
    authority = base64.b64decode(encoded).decode() or None
    trusted = trusting(cafile=cluster.get("certificate-authority"), cadata=authority)
    return Way(cluster["server"], user["token"], tmp_path, trusted)


@pytest.fixture
def duration() -> int:
    return DURATION


@pytest.fixture
def pair(plane: Plane, here: str, busy: None, way: Way, until: Until, duration: int, tmp_path: Path) -> Iterator[Pair]:
    """Both are ready, one of them leads; nobody has led before."""
    plane.without_leader()
    made, journal = certificates(tmp_path / "proxies"), Journal()
    with ExitStack() as running:

        def start(name: str) -> Replica:
            proxy = running.enter_context(Proxy(name, way.server, journal, ours=made.context, theirs=way.trusted))
            flags = ("--namespace", here, *ELECTION, *RETRY, "--leader-election-lease-duration", str(duration))
            file = way.kubeconfig(name, proxy.url, made.ca_pem)
            return Replica(name, running.enter_context(Operator(file, tmp_path / f"{name}.log", *flags)), proxy)

        found = Pair(start("one"), start("other"), journal, until)
        for each in (found.one, found.other):
            each.operator.until_ready()
        yield found
    assert usurped(journal.entries) == []


def test_of_two_that_start_at_once_one_leads_and_the_other_stands_by_warm_and_writes_nothing(pair: Pair) -> None:
    _, standby = pair.leader()
    assert standby.operator.page("/readyz")
    queues = json.loads(standby.operator.page("/debug/queues"))
    assert queues["inferenceservice"]["ready"] == len(SERVICES)
    assert pair.work_of(standby) == []


@pytest.mark.parametrize("duration", [FOR_EVER])
def test_a_leader_that_is_asked_to_stop_gives_the_lease_up_last_and_exits_well(
    api: Api, pair: Pair, duration: int
) -> None:
    leader, standby = pair.leader()
    assert leader.operator.stop() == 0
    pair.takes_over(standby)
    last = [each for each in pair.journal.entries if each.who == leader.name][-1]
    assert (last.is_lease, last.holder, last.is_done) == (True, "", True)
    spec = api.get("leases", SYSTEM, LEASE)["spec"]
    assert (spec["leaseTransitions"], spec["leaseDurationSeconds"]) == (2, duration)


def test_a_lease_that_is_deleted_is_made_again_by_its_holder_who_goes_on(api: Api, pair: Pair) -> None:
    leader, standby = pair.leader()
    holder = api.get("leases", SYSTEM, LEASE)["spec"]["holderIdentity"]
    for _ in range(3):
        api.delete("leases", SYSTEM, LEASE)
        after = pair.until(lambda: api.get("leases", SYSTEM, LEASE))
        assert after["spec"]["holderIdentity"] == holder
        renewed = pair.renewals_of(leader)
        pair.until(lambda: pair.renewals_of(leader) > renewed + 2)  # noqa: B023 - called here
    written = len(pair.work_of(leader))
    pair.until(lambda: len(pair.work_of(leader)) > written + 10)
    assert not standby.leads()


def test_of_two_whose_lease_is_deleted_whenever_it_is_there_never_do_both_work(api: Api, pair: Pair) -> None:
    """Whoever makes it waits; a holder that sees another's exits, and nothing that it writes comes after that one's."""
    pair.leader()
    for _ in range(20):
        pair.until(lambda: api.get("leases", SYSTEM, LEASE))
        api.delete("leases", SYSTEM, LEASE)
    pair.until(lambda: api.get("leases", SYSTEM, LEASE))


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
    assert not standby.leads(), "the leader has gone before the other may begin"
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
