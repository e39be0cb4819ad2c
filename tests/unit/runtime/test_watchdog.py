"""A loop that has stalled ends its process, whatever it is stalled in."""

from __future__ import annotations

import os
import threading

import pytest

from llmkube.runtime.watchdog import EXIT_CODE, Watchdog, die


def test_the_watchdog_says_how_long_the_loop_stood_still_and_only_past_its_limit() -> None:
    now, told = [0.0], []
    watchdog = Watchdog(10, on_stall=told.append, now=lambda: now[0])
    now[0] = 10.0
    watchdog.look()
    assert told == []
    now[0] = 10.5
    watchdog.look()
    assert told == [10.5]


async def test_the_watchdog_sees_from_a_thread_of_its_own_that_the_loop_does_not_come_round() -> None:
    now, stalled = [0.0], threading.Event()
    watchdog = Watchdog(0.01, on_stall=lambda _: stalled.set(), now=lambda: now[0])
    with watchdog.watching():
        now[0] = 100.0
        assert stalled.wait(20), "this very wait is the stall"


def test_the_watchdog_ends_the_process_and_says_where_it_stood(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    die(12.3)
    said = capfd.readouterr().err
    assert ended == [EXIT_CODE] != [0]
    assert "the event loop has stalled for 12.3 s" in said
    assert "test_watchdog.py" in said
