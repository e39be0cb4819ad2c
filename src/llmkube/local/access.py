"""How the API server is reached: a token that lasts, and a port that stays, so that a kubeconfig goes on working."""

from __future__ import annotations

import errno
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmkube.local.apiserver.server import ApiServer
from llmkube.local.apiserver.tls import write_secret
from llmkube.local.process import CannotRunError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable
    from pathlib import Path

    from llmkube.local.apiserver.podlogs import LogReader
    from llmkube.local.apiserver.registry import Registry

PORTS = range(16443, 16543)
"""Tried at the first start: below the ports that the kernel hands out, so that nobody takes one while we are down."""
SHORTEST_TOKEN = 32


class PortTakenError(CannotRunError):
    """The API server cannot listen where it should."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may come in, and where."""

    host: str
    token: str = field(repr=False)
    tls: ssl.SSLContext | None
    log_reader: LogReader


def token(file: Path) -> str:
    """Return the token of this home; made at the first start, readable by its owner only."""
    with suppress(FileNotFoundError):
        if len(kept := file.read_text().strip()) >= SHORTEST_TOKEN:
            return kept
    made = secrets.token_urlsafe(32)
    write_secret(file, made.encode())
    return made


async def listen(registry: Registry, access: Access, *, remembered: Path, asked: int | None) -> ApiServer:
    """Start the API server on the port that was asked for, else that of the last time, else a free one (also for 0).

    Raises PortTakenError when the port of one of the first two is another's.
    """
    before = kept_port(remembered)
    wanted: Iterable[int] = [asked] if asked is not None else [before] if before else [*PORTS, 0]
    for port in wanted:
        server = await started(registry, access, port)
        if server is not None:
            write_secret(remembered, f"{server.port}\n".encode())
            return server
    raise PortTakenError(
        f"API server: {access.host}:{asked or before} is taken by another process; stop that one, "
        "or choose another port with `llmkube local up --port PORT`"
    )


def kept_port(file: Path) -> int | None:
    """Return the port of the last time; None where there is none that can be one."""
    with suppress(OSError, ValueError):
        port = int(file.read_text().strip())
        return port if 0 < port < 65536 else None
    return None


async def started(registry: Registry, access: Access, port: int) -> ApiServer | None:
    """Return the server once it listens; None when the port is taken."""
    server = ApiServer(
        registry, host=access.host, port=port, token=access.token, tls=access.tls, log_reader=access.log_reader
    )
    try:
        await server.start()
    except OSError as error:
        await server.stop()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    return server
