"""One run: chaos for a while, then calm, then every invariant. Everything follows from the seed.

chaos   people act; requests are lost, refused, late; streams break, history is compacted; operators are killed,
        stopped, paused, cut off; the world (nodes, the Deployment and Job controllers) is slow, and fails
calm    nothing goes wrong any more; it must become quiet within bounds
checks  invariants.py, then a restart of everything, after which nothing may be written
"""

from __future__ import annotations

import asyncio
import itertools
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.sim import invariants
from tests.sim.loop import run
from tests.sim.network import CALM, Network, Weather
from tests.sim.operator import LEASE_KEY, Operator
from tests.sim.people import People
from tests.sim.server import Server
from tests.sim.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sim.ownership import Manifest

LONGEST_CALM = 4000.0
QUIET = 45.0
RESTART = 5.0
QUIET_RESOURCES = ("models", "inferenceservices")


@dataclass
class Report:
    """What came of a seed; `trace` is the same whenever it is run again."""

    seed: int
    violations: list[str] = field(default_factory=list)
    trace: tuple[object, ...] = ()


class Simulation:
    """A cluster with `replicas` operators under leader election."""

    def __init__(self, seed: int, *, replicas: int = 2) -> None:
        self.chance = random.Random(seed)
        self.server = Server(watch_lists=self.chance.random() < 0.7)
        self.server.page_limit = self.chance.choice((1, 2, 500))
        self.network = Network(self.server, self.chance)
        self.people = People(self.server.state, self.chance)
        self.violations: list[str] = []
        self.world = World(self.server.state, self.chance, self.violations)
        self.operators: list[Operator | None] = [None] * replicas
        self._names = (f"operator-{number}" for number in itertools.count())

    @property
    def alive(self) -> list[Operator]:
        return [each for each in self.operators if each is not None and each.is_alive]

    def start(self, place: int) -> Operator:
        started = Operator(self.network, self.violations, next(self._names), self.operators)
        self.operators[place] = started
        return started

    async def supervise(self) -> None:
        """As a kubelet does: who ended is started again, after a moment and under another name."""
        while True:
            for place, each in enumerate(self.operators):
                if each is None or not each.is_alive:
                    self.start(place)
            await asyncio.sleep(RESTART)

    async def chaos(self, seconds: float) -> None:
        ends = asyncio.get_running_loop().time() + seconds
        async with asyncio.TaskGroup() as pauses:
            while asyncio.get_running_loop().time() < ends:
                await asyncio.sleep(self.chance.expovariate(1 / 4))
                self.people.act()
                if self.chance.random() < 0.15:
                    self.network.weather = weather(self.chance)
                if self.chance.random() < 0.15:
                    self._disturb(pauses)

    def _disturb(self, pauses: asyncio.TaskGroup) -> None:
        """One fault of a process or of the server."""
        match (
            self.chance.choice(("kill", "stop", "pause", "cut", "lease", "compact", "pages", "world")),
            self.chance.choice(self.alive or [None]),
        ):
            case "kill", Operator() as one:
                one.kill()
            case "stop", Operator() as one:
                one.stop()
            case "pause", Operator() as one if not one.process.stopped:
                pauses.create_task(one.pause(self.chance.uniform(1, 60)))
            case "cut", Operator() as one:
                pauses.create_task(self._cut(one.process.name, self.chance.uniform(1, 90)))
            case "lease", _ if self.server.state.find("leases", LEASE_KEY):
                self.server.state.delete("leases", LEASE_KEY)
            case "compact", _:
                self.server.state.compact()
            case "pages", _:
                self.server.expire_pages()
            case "world", _:
                self.world.failing = self.chance.choice((0.0, 0.0, 0.3))

    async def _cut(self, name: str, seconds: float) -> None:
        self.network.cut.add(name)
        await asyncio.sleep(seconds)
        self.network.cut.discard(name)

    def calm(self) -> None:
        self.network.weather = CALM
        self.world.failing, self.world.eager = 0.0, True

    async def until_quiet(self) -> None:
        """Wait until nothing changes, and nobody means to change anything."""
        loop = asyncio.get_running_loop()
        ends, since, seen = loop.time() + LONGEST_CALM, loop.time(), -1
        while loop.time() - since < QUIET:
            await asyncio.sleep(1)
            done = len(self.network.writes)
            idle = any(each.leads for each in self.alive) and not any(map(invariants.unfinished, self.alive))
            if done != seen or not idle:
                since, seen = loop.time(), done
            if loop.time() > ends:
                self.violations.append(f"never became quiet: {[invariants.unfinished(each) for each in self.alive]}")
                return

    async def restart_all(self) -> None:
        """Kill every operator and wait for the caches of the new ones, and for one of them to lead."""
        for each in self.alive:
            each.kill()
        while not any(each.leads for each in self.alive):
            await asyncio.sleep(1)


def weather(chance: random.Random) -> Weather:
    """Fine half of the time."""
    if chance.random() < 0.5:
        return CALM
    likely = [chance.choice((0.0, 0.02, 0.2)) for _ in range(7)]
    return Weather(chance.choice((0.02, 0.2)), *likely)


async def _simulate(simulation: Simulation, script: Callable[[], None] | None, chaos: float) -> None:
    async with asyncio.TaskGroup() as group:
        background = [group.create_task(simulation.supervise()), group.create_task(simulation.world.run())]
        if script:
            script()
        await simulation.chaos(chaos)
        simulation.calm()
        await simulation.until_quiet()
        invariants.check(simulation)
        writes = len(simulation.network.writes)
        await simulation.restart_all()
        await simulation.until_quiet()
        invariants.check(simulation)
        told = simulation.network.writes[writes:]
        simulation.violations += [f"wrote after a restart: {each}" for each in told]
        for task in background:
            task.cancel()
    for each in simulation.alive:
        each.kill()
        await asyncio.wait([each.task])
    if flights := simulation.network.flights:
        await asyncio.wait(set(flights))


def simulate(seed: int, *, chaos: float = 240.0) -> Report:
    """Run one seed and hold its end against what a cluster without any faults comes to."""
    simulation = Simulation(seed)
    _run(simulation, None, chaos)
    found = invariants.projection(simulation.server.state)
    wanted = invariants.projection(_without_faults(simulation).server.state)
    violations = simulation.violations + invariants.differences(found, wanted)
    trace = (
        simulation.server.state.version,
        tuple(simulation.network.writes),
        sorted(simulation.network.requests.items()),
    )
    return Report(seed, violations, trace)


def _without_faults(simulation: Simulation) -> Simulation:
    """The same documents applied to an empty cluster on a fine day."""
    fine = Simulation(0, replicas=1)
    final = {resource: simulation.server.state.items(resource) for resource in QUIET_RESOURCES}

    def apply_all() -> None:
        for resource, objects in final.items():
            for each in objects:
                fine.server.state.apply(resource, document(each), "kubectl")

    _run(fine, apply_all, 0.0)
    return fine


def document(obj: Manifest) -> Manifest:
    """What a person wrote of it."""
    metadata = {name: obj["metadata"][name] for name in ("namespace", "name")}
    return {**{name: obj[name] for name in ("apiVersion", "kind", "spec")}, "metadata": metadata}


def _run(simulation: Simulation, script: Callable[[], None] | None, chaos: float) -> None:
    """Chance is one: what the operator's own code draws comes from the seed too."""
    random.seed(simulation.chance.random())
    run(lambda: _simulate(simulation, script, chaos))
