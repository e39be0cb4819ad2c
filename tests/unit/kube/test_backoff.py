"""How long to wait."""

from __future__ import annotations

from llmkube.kube.backoff import Backoff


def test_it_doubles_to_thirty_seconds_and_begins_anew_after_two_healthy_minutes() -> None:
    now = [0.0]
    backoff = Backoff(lambda: 1.0, lambda: now[0])
    assert [backoff.next() for _ in range(7)] == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0]
    now[0] = 121.0
    assert backoff.next() == 0.8


def test_the_jitter_is_full() -> None:
    assert Backoff(lambda: 0.0, lambda: 0.0).next() == 0.0
