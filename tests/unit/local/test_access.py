"""The token that lasts and the port that stays."""

from __future__ import annotations

import socket
import stat
from typing import TYPE_CHECKING

import pytest

from llmkube.local.access import Access, PortTakenError, kept_port, listen, token
from llmkube.local.apiserver.registry import Registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


class NoLogs:
    """No pod has a log here."""

    async def logs(self, *_: object, **__: object) -> AsyncIterator[bytes]:
        raise NotImplementedError


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = Registry(tmp_path / "state.db")
    yield made
    made.close()


@pytest.fixture
def access() -> Access:
    return Access("127.0.0.1", "token", None, NoLogs())


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_a_token_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    first = token(tmp_path / "token")
    assert token(tmp_path / "token") == first
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600


@pytest.mark.parametrize("kept", ["", "short\n"])
def test_a_token_that_a_crash_cut_off_is_made_anew(tmp_path: Path, kept: str) -> None:
    (tmp_path / "token").write_text(kept)
    assert len(token(tmp_path / "token")) >= 32


@pytest.mark.parametrize("text", ["", "x", "0", "65536", "-1"])
def test_what_cannot_be_a_port_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "port").write_text(text)
    assert kept_port(tmp_path / "port") is None


async def test_the_port_of_the_first_start_is_had_again(registry: Registry, access: Access, tmp_path: Path) -> None:
    first = await listen(registry, access, remembered=tmp_path / "port", asked=None)
    await first.stop()
    assert kept_port(tmp_path / "port") == first.port
    again = await listen(registry, access, remembered=tmp_path / "port", asked=None)
    await again.stop()
    assert again.port == first.port


async def test_a_port_that_another_has_taken_is_refused_with_what_to_do(
    registry: Registry, access: Access, tmp_path: Path, taken: int
) -> None:
    (tmp_path / "port").write_text(str(taken))
    for asked in (None, taken):
        with pytest.raises(PortTakenError, match=rf"127\.0\.0\.1:{taken} .*--port"):
            await listen(registry, access, remembered=tmp_path / "port", asked=asked)


async def test_two_first_starts_get_two_ports(registry: Registry, access: Access, tmp_path: Path) -> None:
    servers = [await listen(registry, access, remembered=tmp_path / name, asked=None) for name in ("one", "two")]
    for server in servers:
        await server.stop()
    assert servers[0].port != servers[1].port
