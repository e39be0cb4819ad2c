from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llmkube.local.node import shim
from llmkube.local.node.attempts import Attempt, latest
from llmkube.local.node.logs import LogReader, last_lines
from llmkube.local.objects import StatusError

if TYPE_CHECKING:
    from pathlib import Path

POD = {"metadata": {"namespace": "n", "name": "p", "uid": "u"}, "spec": {"containers": [{"name": "c"}, {"name": "d"}]}}


class OnePod:
    def get(self, resource: str, namespace: str, name: str) -> dict[str, object]:
        return POD


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    directory = tmp_path / "n_p_u" / "c"
    directory.mkdir(parents=True)
    one = Attempt(directory, 0)
    one.file("alive").touch()
    return one


@pytest.fixture
def read(tmp_path: Path):
    async def read(container="c", **options):
        pieces = await LogReader(OnePod(), tmp_path).logs("n", "p", container, **options)
        return b"".join([piece async for piece in pieces])

    return read


async def test_a_log_is_bounded_and_its_end_is_kept(attempt, read, monkeypatch):
    monkeypatch.setattr(shim, "LOG_LIMIT", 1000)
    log = shim.Log(str(attempt.log))
    for number in range(100):
        log.lines("stdout", b"line %d\n" % number)
    sizes = [path.stat().st_size for path in attempt.directory.glob("0.log*")]
    assert len(sizes) == 2
    assert max(sizes) <= 1000
    assert (await read()).endswith(b"line 98\nline 99\n")
    assert await read(tail=1) == b"line 99\n"
    assert last_lines(attempt.log).endswith("line 99\n")


async def test_an_endless_line_is_written_in_parts_and_read_as_one(attempt, read):
    log = shim.Log(str(attempt.log))
    rest = log.lines("stdout", b"x" * 50_000)
    assert len(rest) <= shim.LINE_LIMIT
    log.lines("stdout", rest + b"\n")
    assert await read() == b"x" * 50_000 + b"\n"


async def test_following_goes_on_where_the_log_was_rotated(attempt, tmp_path, monkeypatch):
    monkeypatch.setattr(shim, "LOG_LIMIT", 300)
    monkeypatch.setattr("llmkube.local.node.logs.POLL", 0)
    remaining = iter(range(50))
    log = shim.Log(str(attempt.log))

    def alive(self):
        number = next(remaining, None)
        if number is not None:
            log.lines("stdout", b"%d\n" % number)
        return number is not None

    monkeypatch.setattr(Attempt, "alive", alive)
    pieces = await LogReader(OnePod(), tmp_path).logs("n", "p", "c", follow=True)
    text = b"".join([piece async for piece in pieces])
    assert text.split() == [b"%d" % number for number in range(50)]


@pytest.mark.parametrize(
    ("container", "options", "message"),
    [
        ("", {}, r"a container name must be specified for pod p, choose one of: \[c d\]"),
        ("x", {}, "container x is not valid for pod p"),
        ("d", {}, 'container "d" in pod "p" is waiting to start: ContainerCreating'),
        ("c", {"previous": True}, 'previous terminated container "c" in pod "p" not found'),
    ],
)
async def test_what_cannot_be_read_is_a_bad_request_that_says_why(attempt, read, container, options, message):
    with pytest.raises(StatusError, match=message) as caught:
        await read(container, **options)
    assert caught.value.code == 400


def test_a_run_whose_shim_is_gone_without_a_word_has_an_unknown_end(attempt):
    assert latest(attempt.directory) == attempt
    assert attempt.ended() is None
    shim.write_record(str(attempt.directory / "0.started"), {"pid": 1, "start": 1, "boot": "b", "at": "2026-01-01"})
    assert (attempt.ended().exit_code, attempt.ended().reason) == (137, "ContainerStatusUnknown")
