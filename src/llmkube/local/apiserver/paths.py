"""What a URL path of the Kubernetes API is about. Pure: text to a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ResourcePath:
    """A path below /api/v1 or /apis/GROUP/VERSION. `rest` is what follows the subresource (proxied paths)."""

    group: str
    version: str
    plural: str
    namespace: str | None = None
    name: str = ""
    subresource: str = ""
    rest: str = ""


def parse(parts: list[str]) -> ResourcePath | None:
    """The path's segments, each already unquoted; None when it names no resource."""
    found = _group_version(parts)
    if found is None or not found[2]:
        return None
    group, version, inner = found
    if inner[0] == "namespaces" and len(inner) >= 3 and not _is_of_namespace(group, inner[2]):
        return _below(group, version, inner[1], inner[2:])
    return _below(group, version, None, inner)


def _is_of_namespace(group: str, name: str) -> bool:
    return not group and name in {"status", "finalize"}


def _group_version(parts: list[str]) -> tuple[str, str, list[str]] | None:
    if parts[:1] == ["api"] and len(parts) >= 2:
        return "", parts[1], parts[2:]
    if parts[:1] == ["apis"] and len(parts) >= 3:
        return parts[1], parts[2], parts[3:]
    return None


def _below(group: str, version: str, namespace: str | None, inner: list[str]) -> ResourcePath:
    plural, name, subresource = [*inner, "", ""][:3]
    return ResourcePath(group, version, plural, namespace, name, subresource, "/".join(inner[3:]))
