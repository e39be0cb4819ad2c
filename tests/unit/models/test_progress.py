"""What a fetch tells of itself while it goes on."""

from __future__ import annotations

from llmkube.models.progress import Meter, Progress


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_progress_is_over_all_files_with_a_rate_and_the_time_that_is_left() -> None:
    told: list[Progress] = []
    clock = Clock()
    meter = Meter(2, told.append, clock)
    meter.size(0, 1000)
    meter.moved(0, 0)
    assert (told[-1].total, told[-1].eta) == (None, None), "the other's size is not known yet"
    meter.size(1, 3000)
    clock.now += 2
    meter.moved(1, 500)
    assert told[-1] == Progress(500, 4000, 250.0, file=1, files=2)
    assert told[-1].eta == 14.0
    meter.done(0, 1000)
    assert (told[-1].bytes, told[-1].file) == (1500, 2)
    meter.done(1, 3000)
    assert (told[-1].bytes, told[-1].total, told[-1].eta, told[-1].file) == (4000, 4000, 0.0, 2)


def test_what_was_told_never_goes_back_when_a_file_begins_anew() -> None:
    told: list[Progress] = []
    meter = Meter(1, told.append, Clock())
    for length in (10, 900, 0, 50, 950):
        meter.moved(0, length)
    assert [each.bytes for each in told] == [10, 900, 900, 900, 950]


def test_a_rate_is_of_the_last_seconds_alone() -> None:
    told: list[Progress] = []
    clock = Clock()
    meter = Meter(1, told.append, clock)
    for second in range(20):
        clock.now += 1
        meter.moved(0, 1_000_000 if second < 10 else 1_000_000 + (second - 9) * 10)
    assert told[-1].rate < 20
