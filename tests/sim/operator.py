"""The real operator on a model server, as a process that can be started, stopped, killed, cut off and paused."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

from tests.sim.loop import Process, SimulatedClock, task_of
from tests.sim.network import Network, SimulatedTransport
from tests.sim.server import target_of

from llmkube.cli.operator import LEASE
from llmkube.controllers.model_source import SourceReader
from llmkube.controllers.setup import Wiring, controllers
from llmkube.desired.resolution import Known
from llmkube.desired.settings import OperatorSettings
from llmkube.kube.client import Client
from llmkube.kube.kinds import Key
from llmkube.kube.lease import LeaderElector, LeaseLostError, Timing
from llmkube.models.errors import SourceError
from llmkube.runtime.manager import Manager, SyncTimeoutError
from llmkube.runtime.metrics import Metrics
from llmkube.runtime.outcome import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmkube.api.model import ModelSpec
    from llmkube.runtime.controller import Controller

NAMESPACE = "llmkube-system"
LEASE_KEY = Key(NAMESPACE, LEASE)
MAY_END_WITH = (LeaseLostError, SyncTimeoutError)


class Violation(AssertionError):
    """An invariant does not hold; the message is one line."""


class Source(SourceReader):
    """A place where models come from that answers when it likes; every model there is has one size."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def read(self, key: Key, spec: ModelSpec) -> Known:
        await asyncio.sleep(self._network.chance.uniform(0, 3))
        if self._network.happens(self._network.weather.broken):
            raise SourceError("SourceUnreachable", "no route to host", retryable=True)
        return Known(size_bytes=1_000_000, etag=spec.source)


class Operator:
    """One process of the operator under leader election; `violations` is where broken invariants are told.

    `fellows` are all that run at the same time, this one too.
    """

    _numbers = itertools.count()

    def __init__(self, network: Network, violations: list[str], name: str, fellows: Sequence[Operator | None]) -> None:
        self.process = Process(name, skew=network.chance.uniform(-3600, 3600))
        self._network = network
        self._violations = violations
        self._fellows = fellows
        clock = SimulatedClock(self.process)
        client = Client(SimulatedTransport(network, self.process, self._on_write))
        leasing = Client(SimulatedTransport(network, self.process, lambda _method, _path: None))
        self.metrics = Metrics()
        self.wiring: Wiring = controllers(client, OperatorSettings(refresh_seconds=15.0), clock, source=Source(network))
        self.elector = LeaderElector(leasing, namespace=NAMESPACE, name=LEASE, identity=name, clock=clock)
        client.transport.fence = self.elector.seconds_left
        for controller in self.wiring.controllers:
            watch_overlap(controller, self._say)
        self.manager = Manager(
            informers=self.wiring.informers,
            controllers=self.wiring.controllers,
            background=self.wiring.background,
            elector=self.elector,
            metrics=self.metrics,
        )
        self.task = task_of(self.process, self._run())

    @property
    def is_alive(self) -> bool:
        return not self.task.done() and not self.process.dead

    @property
    def leads(self) -> bool:
        return self.is_alive and self.elector.seconds_left() > 0

    def stop(self) -> None:
        """SIGTERM."""
        task_of(self.process, self._stop())

    def kill(self) -> None:
        """SIGKILL: nothing that it does after this reaches anybody."""
        self.process.dead = True
        self.task.cancel()
        if self.process.stopped:
            self.process.go_on()

    async def pause(self, seconds: float) -> None:
        """SIGSTOP and SIGCONT; the watchdog's thread, which sees the gap, may or may not be quicker than the loop."""
        self.process.stopped = True
        await asyncio.sleep(seconds)
        if not self.process.stopped:
            return
        if seconds > Timing().duration and self._network.happens(0.5):
            self.kill()
        else:
            self.process.go_on()

    async def _stop(self) -> None:
        self.manager.stop()

    async def _run(self) -> None:
        try:
            await self.manager.run()
        except* MAY_END_WITH:
            pass
        except* Exception as group:  # noqa: BLE001 - whatever it is, it is told
            self._say(f"ended with {group.exceptions!r}")

    def _on_write(self, method: str, path: str) -> None:
        """A write leaves the process: nobody else may lead, and the lease must not have been given up.

        A lease that was deleted, or made by somebody who does not lead yet, is still its holder's.
        """
        if self.process.dead or target_of(path).resource == "leases":
            return
        leading = [each.process.name for each in self._fellows if each and each is not self and each.leads]
        lease = self._network.server.state.find("leases", LEASE_KEY)
        if leading or (lease and not lease["spec"]["holderIdentity"]):
            self._say(f"sent {method} {path} while {leading or 'nobody'} led")

    def _say(self, what: str) -> None:
        if not self.process.dead:
            self._violations.append(f"{asyncio.get_running_loop().time():.3f} {self.process.name} {what}")


def watch_overlap(controller: Controller, say: Any) -> None:
    """Tell when a key is reconciled twice at once."""
    busy: set[Key] = set()
    reconcile = controller._reconcile

    async def watched(key: Key) -> Result:
        if key in busy:
            say(f"reconciles {controller.name} {key} twice at once")
        busy.add(key)
        try:
            return await reconcile(key)
        finally:
            busy.discard(key)

    controller._reconcile = watched
