"""What a write is asked with (meta.k8s.io/v1 CreateOptions, UpdateOptions, PatchOptions), checked. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from llmkube.local.apiserver import errors
from llmkube.local.apiserver.errors import Cause

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KINDS = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions", "DELETE": "DeleteOptions"}
LONGEST_MANAGER = 128
VALIDATIONS = ("", "Ignore", "Strict", "Warn")
POLICIES = ("Foreground", "Background", "Orphan", "nil")


def check(method: str, parameters: Mapping[str, str], *, applies: bool = False) -> None:
    """StatusError 422 for options that are none, or do not go together."""
    patch = _patch_problems(parameters, applies=applies) if method == "PATCH" else ()
    refuse(method, [*patch, *_manager(parameters), *dry_run(parameters), *_validation(parameters)])


def refuse(method: str, causes: list[Cause]) -> None:
    if causes:
        raise errors.invalid(KINDS[method], "meta.k8s.io", "", causes)


def _patch_problems(parameters: Mapping[str, str], *, applies: bool) -> Iterator[Cause]:
    if applies and not parameters.get("fieldManager"):
        yield Cause("FieldValueRequired", "fieldManager", "Required value: is required for apply patch")
    if not applies and "force" in parameters:
        yield Cause("FieldValueForbidden", "force", "Forbidden: may not be specified for non-apply patch")


def _manager(parameters: Mapping[str, str]) -> Iterator[Cause]:
    named = parameters.get("fieldManager", "")
    if len(named.encode()) > LONGEST_MANAGER:
        yield Cause("FieldValueTooLong", "fieldManager", f"Too long: may not be more than {LONGEST_MANAGER} bytes")
    strange = next((at for at, one in enumerate(named) if not one.isprintable()), None)
    if strange is not None:
        why = f"invalid character U+{ord(named[strange]):04X} (at position {strange})"
        yield Cause("FieldValueInvalid", "fieldManager", f"Invalid value: {errors.quoted(named)}: {why}")


def dry_run(parameters: Mapping[str, str]) -> Iterator[Cause]:
    if (asked := parameters.get("dryRun", "")) not in {"", "All"}:
        yield unsupported("dryRun", [asked], ("All",))


def _validation(parameters: Mapping[str, str]) -> Iterator[Cause]:
    if (asked := parameters.get("fieldValidation", "")) not in VALIDATIONS:
        yield unsupported("fieldValidation", asked, VALIDATIONS)


def unsupported(field: str, found: str | list[str], supported: tuple[str, ...]) -> Cause:
    wanted = ", ".join(f'"{one}"' for one in supported)
    message = f"Unsupported value: {json.dumps(found, ensure_ascii=False)}: supported values: {wanted}"
    return Cause("FieldValueNotSupported", field, message)
