"""What a service account asked for, from the API server's audit log, held against what it was granted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import yaml

Event = dict[str, Any]


class Asked(NamedTuple):
    """One right: `pods/log` is a resource of its own."""

    group: str
    resource: str
    verb: str


def requests(log: Path, user: str, *, start: int = 0) -> list[Event]:
    """The audit events of a user, from a byte of the log on; a line that is still being written is left out."""
    lines = log.read_bytes()[start:].split(b"\n")[:-1]
    return [each for each in map(json.loads, lines) if each["user"]["username"] == user]


def token(event: Event) -> str:
    """The id of the token that was sent with a request."""
    ids: list[str] = event["user"].get("extra", {}).get("authentication.kubernetes.io/credential-id", [""])
    return ids[0]


def refused(events: list[Event]) -> set[Asked]:
    """What was asked for and is not granted: RBAC says so in an annotation, an admission plugin by the answer alone."""
    decision = "authorization.k8s.io/decision"
    return {
        asked(each)
        for each in events
        if each.get("annotations", {}).get(decision) == "forbid" or each.get("responseStatus", {}).get("code") == 403
    }


def used(events: list[Event]) -> set[Asked]:
    """Every right that these requests need, on resources.

    An apply that made something was a create as well. A watch that begins with the list (KEP-3157) stands for a list:
    an older API server refuses it, and is then asked for one.
    """
    found = set()
    for each in [each for each in events if each.get("objectRef")]:
        found.add(asked(each))
        if each.get("responseStatus", {}).get("code") == 201:
            found.add(asked(each)._replace(verb="create"))
        if "sendInitialEvents=true" in each["requestURI"]:
            found.add(asked(each)._replace(verb="list"))
    return found


def blocking(objects: list[dict[str, Any]]) -> set[Asked]:
    """The rights that making these objects needed as they block their owners' deletion.

    The admission plugin OwnerReferencesPermissionEnforcement asks for them, which the audit log does not show.
    """
    owners = [owner for each in objects for owner in each["metadata"].get("ownerReferences", [])]
    return {
        Asked(each["apiVersion"].rpartition("/")[0], f"{each['kind'].lower()}s/finalizers", "update")
        for each in owners
        if each.get("blockOwnerDeletion")
    }


def asked(event: Event) -> Asked:
    """What a request is about; a path that is no resource's stands for one."""
    about = event.get("objectRef") or {"resource": event["requestURI"].partition("?")[0]}
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
