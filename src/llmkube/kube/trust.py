"""The certificates with which we know an API server, and it knows us: read again when their files change.

A cluster rotates its authority and its clients' certificates while we run; a connection that is open stays as it is.
"""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from llmkube.kube.errors import KubeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class TrustError(KubeError):
    """The certificates cannot be read; the message names the file's owner and why."""


def trusting(*, cafile: Path | str | None = None, cadata: str | None = None) -> ssl.SSLContext:
    """A context for an authority (the system's, where none is given): as strict as client-go, and no stricter.

    Since 3.13 Python refuses certificates without key identifiers, and those of some clusters have none (EKS's).
    """
    context = ssl.create_default_context(cafile=cafile, cadata=cadata)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def present(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Have the context show a client certificate (both PEM); OSError or ValueError where they are no pair.

    OpenSSL reads only files, so both go through a folder that nobody else can open, and are gone afterwards.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "certificate.pem", Path(folder) / "key.pem"
        for path, content in zip(files, (certificate, key), strict=True):
            path.write_bytes(content)
        context.load_cert_chain(*files, password=_no_password)


def _no_password() -> str:
    """An encrypted key is an error, as to kubectl: without this, OpenSSL would ask the terminal, and wait."""
    return ""


class Trust:
    """A TLS context that is as new as what it is made from: its files, and what is `held` in memory."""

    def __init__(
        self,
        load: Callable[[], ssl.SSLContext],
        *,
        files: Sequence[Path],
        origin: str,
        held: Callable[[], object] = lambda: None,
    ) -> None:
        self._load = load
        self._files = tuple(files)
        self._held = held
        self._read = self._state()
        try:
            self._context = load()
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; keys raise ValueError
            raise TrustError(f"{origin}: its certificates cannot be read: {error}; correct them") from error

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection; the last good one while new files are half written."""
        now = self._state()
        if now != self._read:
            try:
                self._context = self._load()
                self._read = now
            except (OSError, ValueError):
                return self._context
        return self._context

    def _state(self) -> tuple[object, ...]:
        return (self._held(), *(_modified(each) for each in self._files))


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
