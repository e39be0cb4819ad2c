"""What a delete is asked with (meta.k8s.io/v1 DeleteOptions): read from the body, else from the query, and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from llmkube.local.apiserver import writeoptions
from llmkube.local.apiserver.deletion import FINALIZER_OF, Deletion
from llmkube.local.apiserver.errors import Cause, quoted
from llmkube.local.objects import Object, bad_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

POLICIES = ("Foreground", "Background", "Orphan", "nil")
NUMBERS = ("gracePeriodSeconds",)
FLAGS = ("orphanDependents",)


class Asked(NamedTuple):
    deletion: Deletion
    dry_run: bool


def read(parameters: Mapping[str, str], body: Object | None) -> Asked:
    """StatusError 400 for values of another type, 422 for options that are none."""
    options = _of_query(parameters) if body is None else body
    writeoptions.refuse("DELETE", list(_problems(options)))
    conditions, grace = options.get("preconditions") or {}, options.get("gracePeriodSeconds")
    if not isinstance(grace, int | None) or not isinstance(conditions, dict):
        raise bad_request("DeleteOptions: expected whole gracePeriodSeconds and an object of preconditions")
    deletion = Deletion(
        _policy(options),
        conditions.get("uid"),
        conditions.get("resourceVersion"),
        1 if grace is not None and grace < 0 else grace,
    )
    return Asked(deletion, bool(options.get("dryRun")))


def _of_query(parameters: Mapping[str, str]) -> Object:
    found: dict[str, Any] = {name: parameters[name] for name in ("propagationPolicy",) if parameters.get(name)}
    for name in NUMBERS:
        if text := parameters.get(name):
            found[name] = _whole(name, text)
    found |= {name: parameters[name].lower() not in {"false", "0"} for name in FLAGS if name in parameters}
    return {**found, **({"dryRun": [parameters["dryRun"]]} if parameters.get("dryRun") else {})}


def _whole(name: str, text: str) -> int:
    try:
        return int(text[:20])
    except ValueError:
        raise bad_request(f"{name}: expected a whole number, found {text[:40]!r}") from None


def _policy(options: Object) -> str:
    if (orphans := options.get("orphanDependents")) is not None:
        return "Orphan" if orphans else "Background"
    return str(options.get("propagationPolicy") or "Background")


def _problems(options: Object) -> Iterator[Cause]:
    policy, field = options.get("propagationPolicy"), "propagationPolicy"
    if policy is not None and options.get("orphanDependents") is not None:
        why = "orphanDependents and deletionPropagation cannot be both set"
        yield Cause("FieldValueInvalid", field, f"Invalid value: {quoted(str(policy))}: {why}")
    if policy is not None and policy not in FINALIZER_OF:
        yield writeoptions.unsupported(field, str(policy), POLICIES)
    if (dry := options.get("dryRun")) and dry != ["All"]:
        yield writeoptions.unsupported("dryRun", dry, ("All",))
