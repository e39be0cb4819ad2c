"""What a model may be used under: the names in headers, sidecars and policies, compared as people mean them. Pure.

A header has `general.license` as Hugging Face spells it (apache-2.0, llama3.1, gemma), which is an SPDX identifier in
lower case where there is one; a policy or a sidecar may spell it as SPDX does (Apache-2.0). Where the header says
`other`, its own name for the licence (`general.license.name`) counts.
"""

from __future__ import annotations

import re

_SPDX = re.compile(r"SPDX-License-Identifier:[ \t]*(?P<id>[A-Za-z0-9(][A-Za-z0-9.+ ()_-]{0,126})", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+ _-]{0,127}")
_CHOICE = re.compile(r"\s+or\s+", re.IGNORECASE)
_UNNAMED = frozenset({"other", "unknown", "custom", ""})
_SAME = {
    "apache2": "apache-2.0",
    "apache-2": "apache-2.0",
    "llama-3": "llama3",
    "llama-3.1": "llama3.1",
    "llama-3.2": "llama3.2",
    "llama-3.3": "llama3.3",
    "llama-4": "llama4",
    "meta-llama-3-community": "llama3",
    "deepseek-license": "deepseek",
    "lfm-1.0": "lfm1.0",
}
LARGEST_SIDECAR = 64 * 1024


def normalised(name: str) -> str:
    """Return a name as it is compared: lower case, without `LicenseRef-` and `-license`, aliases resolved."""
    folded = re.sub(r"[\s_]+", "-", name.strip().lower()).removeprefix("licenseref-")
    short = re.sub(r"(?:-(?:community-)?licen[cs]e(?:-agreement)?)+$", "", folded)
    return _SAME.get(folded, _SAME.get(short, short or folded))


def is_same(one: str, other: str) -> bool:
    """Whether two names are of one licence."""
    return normalised(one) == normalised(other)


def is_allowed(found: str | None, allowed: tuple[str, ...]) -> bool:
    """Whether a policy's list has the licence, or one of a choice (`MIT OR Apache-2.0`); none is never allowed."""
    choices = _CHOICE.split(found.strip().strip("()")) if found else []
    return any(normalised(one) in {normalised(each) for each in allowed} for one in choices)


def stated(license_id: str | None, name: str | None) -> str | None:
    """Return the licence that a header states: its identifier, or its name where the identifier says nothing."""
    if license_id is None or license_id.strip().lower() in _UNNAMED:
        return (name or "").strip() or license_id or None
    return license_id


def of_sidecar(text: str) -> str | None:
    """Return the one licence that a sidecar names: an SPDX line anywhere, or a name alone on the first line."""
    found = _SPDX.search(text)
    if found:
        return found["id"].strip()
    lines = [line.strip() for line in text.strip().splitlines()]
    return lines[0] if len(lines) == 1 and _NAME.fullmatch(lines[0]) else None
