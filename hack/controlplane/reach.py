"""Where the API server listens, and whether it answers."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmkube.kube.trust import trusting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANSWER_PATIENCE = 5.0


@contextmanager
def reserved_port(address: str) -> Iterator[int]:
    """Hold a free port, which nobody else gets, for a program of this user that sets SO_REUSEPORT.

    Our socket never listens, so every connection is the program's.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((address, 0))
        yield held.getsockname()[1]


@dataclass(frozen=True, slots=True)
class Server:
    """The API server as the administrator reaches it, with the files of a directory."""

    directory: Path
    url: str

    def answers(self, path: str) -> bool:
        """Whether it answers with 200."""
        context = trusting(cafile=self.directory / "ca.crt")
        context.load_cert_chain(self.directory / "admin.crt", self.directory / "admin.key")
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with opener.open(self.url + path, timeout=ANSWER_PATIENCE) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except OSError:
            return False
