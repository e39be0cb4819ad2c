"""The words of a fetch container are of whoever can make a pod: they are read, or they are none."""

from __future__ import annotations

import pytest

from llmkube.desired.fetch_result import LONGEST, last_words, tick


@pytest.mark.parametrize(
    "words",
    [
        "",
        "\n\n",
        "Killed",
        "[]",
        '{"event": "somebody else\'s"}',
        '{"event": "done"}',
        '{"event": "done", "sha256": 7}',
        '{"event": "done", "x": %s' % ("[" * 3000),
        "[" * LONGEST,
        "\ud800",
        "x" * 10_000_000,
    ],
    ids=lambda words: ascii(words[:40]),
)
def test_what_no_fetch_says_is_none_and_never_an_error(words: str) -> None:
    assert last_words(words) is None
    assert tick(words) is None
