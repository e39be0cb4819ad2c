"""The simulation finds what it is there to find: each of these bugs, put in on purpose, breaks an invariant soon."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.sim.simulation import simulate

from llmkube.kube.apply import Applier, Lag
from llmkube.kube.errors import Gone, KubeError
from llmkube.kube.kinds import LEASE
from llmkube.kube.lease import LeaderElector
from llmkube.kube.store import Store
from llmkube.kube.watch import Watcher
from llmkube.runtime.controller import Controller
from llmkube.runtime.queue import WorkQueue

if TYPE_CHECKING:
    from collections.abc import Iterable

SEEDS = range(300)

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def put_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    return monkeypatch.setattr


def is_found(words: str = "", seeds: Iterable[int] = SEEDS) -> bool:
    """Whether some seed breaks an invariant in these words."""
    return any(words in told for each in seeds for told in simulate(each).violations)


def test_an_add_that_is_lost_while_its_key_is_processed_is_found(put_in: Any) -> None:
    put_in(WorkQueue, "done", lambda queue, key: queue._processing.pop(key))
    assert is_found("never became quiet")


def test_a_failure_that_is_not_tried_again_is_found(put_in: Any) -> None:
    put_in(Controller, "_settle", lambda controller, key, _: controller.queue.forget(key))
    assert is_found()


def test_a_key_that_two_workers_have_at_once_is_found(put_in: Any) -> None:
    """What is added while it is processed is handed out at once."""
    pop = WorkQueue._pop

    def get(queue: Any) -> Any:
        again = next((key for key in queue._processing if key in queue._dirty), None)
        return pop(queue) if again is None or queue._shut_down else again

    put_in(WorkQueue, "_pop", get)
    put_in(WorkQueue, "done", lambda queue, key: queue._processing.pop(key, None))
    assert is_found("twice at once")


def test_objects_that_vanished_while_nobody_watched_and_stay_in_the_store_are_found(put_in: Any) -> None:
    def replacing(store: Any, listed: Any, *, namespace: str | None) -> Any:
        yield lambda: [each for obj in listed for each in store.apply(obj)]

    put_in(Store, "replacing", replacing)
    assert is_found("the store has")


def test_a_watch_that_goes_on_after_its_version_has_expired_is_found(put_in: Any) -> None:
    async def run(watcher: Any) -> None:
        while True:
            try:
                await watcher._step()
            except Gone:
                await asyncio.sleep(1)
            except KubeError as error:
                await watcher._failed(error)

    put_in(Watcher, "run", run)
    assert is_found("the store has")


def test_decisions_on_a_cache_that_is_behind_our_own_writes_are_found(put_in: Any) -> None:
    put_in(Applier, "lag", lambda *_: Lag.NONE)
    assert is_found()


def test_decisions_on_the_past_that_are_never_decided_again_are_found(put_in: Any) -> None:
    put_in(Lag, "again", lambda _, after: after)
    assert is_found("wrote after a restart", range(390, 690))  # rare: 397 has it


def test_memories_of_objects_that_are_gone_are_found(put_in: Any) -> None:
    put_in(Applier, "forget", lambda *_: None)
    assert is_found("remembers")


def test_a_write_that_differs_in_nothing_is_found(put_in: Any) -> None:
    put_in("llmkube.kube.apply.is_applied", lambda *_: False)
    assert is_found("wrote after a restart")


def test_a_lease_that_is_taken_before_it_has_expired_is_found(put_in: Any) -> None:
    put_in(LeaderElector, "_has_expired", lambda _: True)
    assert is_found("led")


def test_a_lease_that_is_made_and_believed_in_at_once_is_found(put_in: Any) -> None:
    """Its holder may only not know yet that it was deleted."""

    async def at_once(elector: LeaderElector) -> bool:
        elector._observe(await elector._client.create(LEASE, elector._manifest(None, elector.identity)))
        return True

    put_in(LeaderElector, "_create", at_once)
    assert is_found("led")


def test_writes_that_outlive_the_lease_are_found(put_in: Any) -> None:
    put_in(LeaderElector, "seconds_left", lambda elector: 0.0 if elector._renewed is None else 100.0)
    assert is_found("led")
