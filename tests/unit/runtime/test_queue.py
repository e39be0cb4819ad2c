"""No key is lost, none is processed twice at once, and who waits longest within a priority is first."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.unit.runtime.conftest import HeldClock

from llmkube.runtime.queue import LOW_PRIORITY, Backoff, QueueShutDownError, WorkQueue


@pytest.fixture
def queue(clock: HeldClock) -> WorkQueue[str]:
    return WorkQueue(clock)


def take(queue: WorkQueue[str]) -> str | None:
    """The next key, if there is one right now."""
    getting = queue.get()
    try:
        getting.send(None)
    except StopIteration as found:
        key: str = found.value
        return key
    finally:
        getting.close()
    return None


async def test_a_key_that_is_added_twice_comes_out_once(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.add("a")
    assert (take(queue), take(queue)) == ("a", None)


async def test_keys_come_out_in_the_order_in_which_they_were_added(queue: WorkQueue[str]) -> None:
    for key in "cab":
        queue.add(key)
    assert [take(queue) for _ in range(3)] == ["c", "a", "b"]


async def test_what_is_added_while_it_is_processed_comes_out_again_after_it_is_done(queue: WorkQueue[str]) -> None:
    queue.add("a")
    assert take(queue) == "a"
    queue.add("a")
    assert take(queue) is None
    queue.done("a")
    assert take(queue) == "a"


async def test_what_nobody_asked_for_waits_until_the_rest_is_done(queue: WorkQueue[str]) -> None:
    queue.add("resync", LOW_PRIORITY)
    queue.add("change")
    assert [take(queue), take(queue)] == ["change", "resync"]


async def test_the_highest_priority_that_a_key_was_added_with_counts(queue: WorkQueue[str]) -> None:
    queue.add("a", LOW_PRIORITY)
    queue.add("b", LOW_PRIORITY)
    queue.add("b")
    queue.add("b", LOW_PRIORITY)
    assert [take(queue), take(queue), take(queue)] == ["b", "a", None]


async def test_a_delayed_key_comes_out_when_it_is_due_and_not_before(queue: WorkQueue[str], clock: HeldClock) -> None:
    queue.add_after("a", 10)
    clock.advance(9.9)
    assert take(queue) is None
    clock.advance(0.1)
    assert take(queue) == "a"


@pytest.mark.parametrize("delays", [(10, 5), (5, 10)])
async def test_of_two_delays_the_shorter_counts(
    queue: WorkQueue[str], clock: HeldClock, delays: tuple[int, int]
) -> None:
    for delay in delays:
        queue.add_after("a", delay)
    clock.advance(5)
    assert take(queue) == "a"
    queue.done("a")
    clock.advance(60)
    assert take(queue) is None


async def test_a_suspended_machine_makes_no_later_delay_of_a_key_the_shorter_one(
    queue: WorkQueue[str], clock: HeldClock
) -> None:
    """The clock goes on meanwhile, and timers do not."""
    queue.add_after("a", 60)
    clock.slept = 3600.0
    queue.add_after("a", 5)
    clock.advance(5)
    assert take(queue) == "a"


async def test_an_add_makes_a_delayed_add_of_the_same_key_pointless(queue: WorkQueue[str], clock: HeldClock) -> None:
    queue.add_after("a", 10)
    queue.add("a")
    assert take(queue) == "a"
    queue.done("a")
    clock.advance(60)
    assert take(queue) is None


async def test_a_delayed_key_keeps_the_highest_priority(queue: WorkQueue[str], clock: HeldClock) -> None:
    queue.add_after("a", 10, LOW_PRIORITY)
    queue.add_after("a", 20, 0)
    clock.advance(10)
    queue.add("b", -1)
    assert take(queue) == "a"


async def test_a_failing_key_waits_twice_as_long_each_time_up_to_the_limit_until_it_is_forgotten(
    clock: HeldClock,
) -> None:
    queue: WorkQueue[str] = WorkQueue(clock, backoff=Backoff(first=1, limit=5))
    waited = []
    for _ in range(5):
        queue.add_rate_limited("a")
        before = clock.seconds
        while take(queue) is None:
            clock.advance(0.5)
        queue.done("a")
        waited.append(clock.seconds - before)
    assert waited == [1, 2, 4, 5, 5]
    assert queue.failures("a") == 5
    queue.forget("a")
    assert queue.failures("a") == 0


async def test_the_default_back_off_is_client_gos_with_a_cap_of_five_minutes(clock: HeldClock) -> None:
    backoff = Backoff()
    assert [backoff.delay(failures) for failures in (0, 1, 2)] == [0.005, 0.01, 0.02]
    assert backoff.delay(50) == backoff.delay(100_000) == 300


async def test_who_waits_gets_the_next_key(queue: WorkQueue[str]) -> None:
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    assert await asyncio.wait_for(waiting, 5) == "a"


async def test_a_waiter_that_is_cancelled_after_it_was_woken_takes_no_key_with_it(queue: WorkQueue[str]) -> None:
    first, second = (asyncio.create_task(queue.get()) for _ in range(2))
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    assert await asyncio.wait_for(second, 5) == "a"


async def test_after_shut_down_no_key_goes_in_or_out_and_nobody_waits(queue: WorkQueue[str], clock: HeldClock) -> None:
    waiting = asyncio.create_task(queue.get())
    queue.add_after("late", 1)
    await asyncio.sleep(0)
    queue.shut_down()
    with pytest.raises(QueueShutDownError):
        await asyncio.wait_for(waiting, 5)
    queue.add("a")
    clock.advance(5)
    with pytest.raises(QueueShutDownError):
        await queue.get()
    assert queue.statistics().ready == 0


async def test_what_is_in_hand_at_shut_down_may_be_done(queue: WorkQueue[str]) -> None:
    queue.add("a")
    take(queue)
    queue.shut_down()
    queue.done("a")
    assert queue.statistics().processing == 0


async def test_statistics_tell_how_long_work_takes(queue: WorkQueue[str], clock: HeldClock) -> None:
    for key in "ab":
        queue.add(key)
    take(queue)
    clock.advance(3)
    take(queue)
    clock.advance(2)
    queue.add_after("c", 9)
    queue.add_rate_limited("d")
    found = queue.statistics()
    assert found._replace(unfinished_seconds=0, longest_running_seconds=0) == (0, 2, 2, 1, 0, 0)
    assert (found.unfinished_seconds, found.longest_running_seconds) == (7, 5)


async def test_a_key_whose_priority_is_raised_again_and_again_leaves_nothing_behind(queue: WorkQueue[str]) -> None:
    for priority in range(-1000, 0):
        queue.add("a", priority)
    assert [take(queue), take(queue)] == ["a", None]
    assert not queue._heap


KEYS = st.sampled_from("abc")


class Model(RuleBasedStateMachine):
    """Random calls against sets that say what must be."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = HeldClock()
        self.queue: WorkQueue[str] = WorkQueue(self.clock)
        self.wanted: dict[str, int] = {}
        self.delayed: dict[str, tuple[float, int]] = {}
        self.processing: set[str] = set()

    @rule(key=KEYS, priority=st.integers(-2, 2))
    def add(self, key: str, priority: int) -> None:
        self.queue.add(key, priority)
        self._want(key, priority)

    @rule(key=KEYS, delay=st.integers(1, 5), priority=st.integers(-2, 2))
    def add_after(self, key: str, delay: int, priority: int) -> None:
        self.queue.add_after(key, delay, priority)
        due = self.clock.seconds + delay
        if key in self.wanted:
            self._want(key, priority)
        else:
            before = self.delayed.get(key, (due, priority))
            self.delayed[key] = (min(due, before[0]), max(priority, before[1]))

    @rule(seconds=st.integers(1, 3))
    def pass_time(self, seconds: int) -> None:
        self.clock.advance(seconds)
        for key, (due, priority) in sorted(self.delayed.items(), key=lambda item: item[1][0]):
            if due <= self.clock.seconds:
                self._want(key, priority)

    @rule()
    def take(self) -> None:
        free = {each: at for each, at in self.wanted.items() if each not in self.processing}
        if not free:
            assert self.queue._pop() is None  # waiting for a key needs a loop
            return
        key = take(self.queue)
        assert key in free
        assert free[key] == max(free.values())
        del self.wanted[key]
        self.processing.add(key)

    @precondition(lambda self: self.processing)
    @rule(data=st.data())
    def done(self, data: Any) -> None:
        key = data.draw(st.sampled_from(sorted(self.processing)))
        self.queue.done(key)
        self.processing.remove(key)

    @invariant()
    def counts_agree(self) -> None:
        found = self.queue.statistics()
        assert (found.ready, found.processing, found.delayed) == (
            len(self.wanted),
            len(self.processing),
            len(self.delayed),
        )

    def _want(self, key: str, priority: int) -> None:
        if key in self.delayed:
            priority = max(priority, self.delayed.pop(key)[1])
        self.wanted[key] = max(priority, self.wanted.get(key, priority))


Model.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestModel = Model.TestCase
