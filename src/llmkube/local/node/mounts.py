"""Container paths to host directories: on one machine a mount is a rewritten path, not a mount.

Pure. Wherever a mount path stands in a command, an argument or an environment value as a whole path or as the beginning
of one (`/models/x`, `--model=/models/x`, `file:///models/x`), the host's directory takes its place. The bucket or host
of another URL (`s3://models/x`) is no path.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - recognised, never bound


class Rewriter:
    """Rewrites the strings of one container. `address` replaces "every address" (None: the host's network is meant)."""

    def __init__(self, mounts: Mapping[str, Path], *, address: str | None) -> None:
        self.mounts = MappingProxyType({path.rstrip("/"): host for path, host in mounts.items() if path.rstrip("/")})
        self.address = address
        longest_first = sorted(self.mounts, key=len, reverse=True)
        paths = "|".join(re.escape(path) for path in longest_first)
        self._pattern = re.compile(rf"(?:(?<![\w./-])|(?<=file://))(?:{paths})(?![\w.-])") if paths else None

    def __call__(self, text: str) -> str:
        if self.address is not None and text in EVERY_ADDRESS:
            return self.address
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: str(self.mounts[found.group()]), text)
