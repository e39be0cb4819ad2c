"""JSON from outside: what is no character becomes U+FFFD, as in Kubernetes; else it could not be sent again. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

SUSPECT = re.compile(rb"\\u[dD][89a-fA-F]|[\x80-\xff]")
LONE = re.compile("[\ud800-\udfff]")


def parsed(content: bytes) -> Any:
    """ValueError when it is no JSON, RecursionError when it nests too deep."""
    if not SUSPECT.search(content):
        return json.loads(content)
    found = json.loads(content.decode(errors="replace"))
    text = json.dumps(found, ensure_ascii=False)
    return json.loads(LONE.sub("\ufffd", text)) if LONE.search(text) else found
