"""What a service account asked for, from the API server's audit log, held against what it was granted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import yaml


class Asked(NamedTuple):
    """One right: `pods/log` is a resource of its own."""

    group: str
    resource: str
    verb: str


def requests(log: Path, user: str, *, start: int = 0) -> list[dict[str, Any]]:
    """The audit events of a user, from a byte of the log on; a line that is still being written is left out."""
    lines = log.read_bytes()[start:].split(b"\n")[:-1]
    return [each for each in map(json.loads, lines) if each["user"]["username"] == user and each.get("objectRef")]


def refused(events: list[dict[str, Any]]) -> set[Asked]:
    """What was asked for and is not granted."""
    decision = "authorization.k8s.io/decision"
    return {asked(each) for each in events if each.get("annotations", {}).get(decision) == "forbid"}


def used(events: list[dict[str, Any]]) -> set[Asked]:
    """What was asked for; an apply that made something was a create as well."""
    made = {asked(each)._replace(verb="create") for each in events if each.get("responseStatus", {}).get("code") == 201}
    return {asked(each) for each in events} | made


class Write(NamedTuple):
    """A request that could change something, in the order in which the API server took them; `who` by its token."""

    at: str
    who: str
    what: Asked
    name: str
    done: bool


def writes(events: list[dict[str, Any]]) -> list[Write]:
    found = [
        Write(
            each["requestReceivedTimestamp"],
            each["user"].get("extra", {}).get("authentication.kubernetes.io/credential-id", [""])[0],
            asked(each),
            each["objectRef"].get("name", ""),
            200 <= each["responseStatus"]["code"] < 300,
        )
        for each in events
        if each["verb"] in {"create", "update", "patch", "delete"}
    ]
    return sorted(found)


def usurped(found: list[Write]) -> list[Write]:
    """Writes of one process after another has taken the lease."""
    holder, wrong = "", []
    for each in found:
        if each.what.resource == "leases":
            holder = each.who if each.done else holder
        elif each.who != holder:
            wrong.append(each)
    return wrong


def asked(event: dict[str, Any]) -> Asked:
    about = event["objectRef"]
    subresource = f"/{about['subresource']}" if about.get("subresource") else ""
    return Asked(about.get("apiGroup", ""), about["resource"] + subresource, event["verb"])


def granted(manifest: Path) -> set[Asked]:
    """Every right of every role in a file."""
    roles = [each for each in yaml.safe_load_all(manifest.read_text()) if each["kind"] in {"ClusterRole", "Role"}]
    return {
        Asked(group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
