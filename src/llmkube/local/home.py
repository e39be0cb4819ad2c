"""Where local mode keeps what it keeps: one directory, private to the person who runs it.

Paths only, and the making of the directory; what is in the files belongs to those who write them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "LLMKUBE_HOME"
PRIVATE = 0o700


@dataclass(frozen=True, slots=True)
class Home:
    """`root` holds `local/`, where everything of local mode is."""

    root: Path

    @classmethod
    def find(cls, environ: Mapping[str, str]) -> Home:
        """Return the home that $LLMKUBE_HOME names, else ~/.llmkube."""
        named = environ.get(VARIABLE)
        return cls(Path(named).expanduser().absolute() if named else Path.home() / ".llmkube")

    @property
    def local(self) -> Path:
        return self.root / "local"

    @property
    def database(self) -> Path:
        return self.local / "state.db"

    @property
    def kubeconfig(self) -> Path:
        return self.local / "kubeconfig"

    @property
    def pki(self) -> Path:
        return self.local / "pki"

    @property
    def token(self) -> Path:
        return self.local / "token"

    @property
    def port(self) -> Path:
        """The port that the API server had, so that it has it again and the kubeconfig stays valid."""
        return self.local / "port"

    @property
    def pods(self) -> Path:
        return self.local / "pods"

    @property
    def volumes(self) -> Path:
        return self.local / "volumes"

    @property
    def supervisor_pid(self) -> Path:
        return self.local / "supervisor.pid"

    @property
    def supervisor_lock(self) -> Path:
        return self.local / "supervisor.lock"

    @property
    def supervisor_log(self) -> Path:
        return self.local / "supervisor.log"

    def make(self) -> None:
        """Make the directory, which nobody else may enter; OSError where that cannot be."""
        self.local.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        self.local.chmod(PRIVATE)
