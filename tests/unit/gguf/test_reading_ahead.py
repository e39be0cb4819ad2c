"""How much of a file is read to know its header: less than the header and a mebibyte more, or a hundredth of the file.

And in how few requests. `asked` goes the way of the resolver without a network: what each request would bring.
"""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests import tiny

from llmkube.gguf.errors import NeedMore
from llmkube.gguf.reader import FIRST_READ, READ_AHEAD, next_read, parse

GIBIBYTE = 1 << 30


def asked(header: bytes, size: int) -> list[int]:
    """The length of the prefix after each request, of a file of this size that begins with the header."""
    ends = [min(FIRST_READ, size)]
    while True:
        data = header[: ends[-1]] + bytes(max(ends[-1] - len(header), 0))
        try:
            parse(data)
        except NeedMore as more:
            ends.append(min(next_read("m", more, found=len(data), size=size), size))
        else:
            return ends


@pytest.mark.parametrize(
    ("vocabulary", "merges", "size", "requests"),
    [
        (1_000, 0, 30 << 20, 1),
        (32_000, 0, 4 * GIBIBYTE, 1),
        (50_000, 50_000, 100 << 20, 2),
        (128_256, 280_147, 5 * GIBIBYTE, 2),
        (151_936, 151_387, 1 * GIBIBYTE, 2),
        (151_936, 151_387, 400 << 20, 4),
        (262_144, 514_906, 2 * GIBIBYTE, 3),
        (262_144, 0, 253 << 20, 5),
    ],
)
def test_a_header_is_read_in_few_requests_and_within_the_budget(
    vocabulary: int, merges: int, size: int, requests: int
) -> None:
    header, _ = tiny.header(vocabulary, merges=merges)

    ends = asked(header, size)

    assert len(ends) <= requests, (len(header), ends)
    assert ends[-1] < max(size / 100, len(header) + READ_AHEAD)


LENGTHS = st.lists(st.integers(0, 3000), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@example(lengths=[0, 2561], repeated=400, tensors=496, size=313314800)
@given(lengths=LENGTHS, repeated=st.integers(1, 400), tensors=st.integers(0, 500), size=st.integers(8 << 20, 1 << 34))
def test_no_order_of_long_and_short_strings_breaks_the_budget(
    lengths: list[int], repeated: int, tensors: int, size: int
) -> None:
    words = [struct.pack("<Q", length) + bytes(length) for length in lengths]
    tokens = tiny.array(tiny.STRING, len(words) * repeated, (word for word in words for _ in range(repeated)))
    infos = [tiny.text(f"t{at}") + struct.pack("<IQIQ", 1, 32, 0, 0) for at in range(tensors)]
    header = b"GGUF" + struct.pack("<IQQ", 3, tensors, 1) + tiny.text("tokens") + tokens + b"".join(infos)
    size = max(size, len(header) + 4096)
    if len(header) > 31 << 20:
        return

    assert asked(header, size)[-1] < max(size / 100, len(header) + READ_AHEAD)
