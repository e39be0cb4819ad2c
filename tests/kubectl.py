"""The real kubectl: the one in the control plane's binary, of its version, where that is built; else PATH's."""

from __future__ import annotations

import shutil

from hack.controlplane.binary import cached
from hack.controlplane.module import default_version


def kubectl() -> list[str]:
    """The words that a command of kubectl begins with."""
    built = cached(default_version())
    return [str(built), "kubectl"] if built.exists() else ["kubectl"]


def is_there() -> bool:
    return shutil.which(kubectl()[0]) is not None
