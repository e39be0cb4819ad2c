"""What the API server serves, told as Kubernetes tells it: /api, /apis, /apis/GROUP/VERSION, and all of it at once.

Pure: from the catalog to JSON values. Clients choose paths and verbs by this: it tells no more than what is served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmkube.local.apiserver import errors

if TYPE_CHECKING:
    from llmkube.local.apiserver.resources import Catalog, Resource
    from llmkube.local.objects import Object

GIT_VERSION = "v1.36.1+llmkube-local"
AGGREGATED = "apidiscovery.k8s.io/v2"
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
SUBRESOURCES: dict[str, tuple[tuple[str, ...], Object]] = {
    "status": (("get", "patch", "update"), {}),
    "scale": (("get", "patch", "update"), {"group": "autoscaling", "version": "v1", "kind": "Scale"}),
    "log": (("get",), {}),
    "proxy": (("create", "delete", "get", "patch", "update"), {"version": "v1", "kind": "ServiceProxyOptions"}),
    "binding": (("create",), {"version": "v1", "kind": "Binding"}),
    "finalize": (("update",), {}),
}


def version_info() -> Object:
    return {"major": "1", "minor": "36", "gitVersion": GIT_VERSION, "platform": "llmkube/local"}


def versions() -> Object:
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def groups(catalog: Catalog) -> Object:
    found = [_group(name, served) for name, served in _by_group(catalog).items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": found}


def group(catalog: Catalog, name: str) -> Object:
    served = _by_group(catalog).get(name)
    if not served or not name:
        raise errors.plain(404)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, served)}


def _by_group(catalog: Catalog) -> dict[str, dict[str, list[Resource]]]:
    """Resources by group and version, in the order of the catalog."""
    found: dict[str, dict[str, list[Resource]]] = {}
    for resource in catalog.all():
        found.setdefault(resource.group, {}).setdefault(resource.version, []).append(resource)
    return found


def _group(name: str, served: dict[str, list[Resource]]) -> Object:
    told = [{"groupVersion": f"{name}/{version}", "version": version} for version in served]
    return {"name": name, "versions": told, "preferredVersion": told[0]}


def resources(catalog: Catalog, group_name: str, version: str) -> Object:
    served = _by_group(catalog).get(group_name, {}).get(version)
    if not served:
        raise errors.plain(404)
    told = [one for resource in served for one in (_resource(resource), *_subresources(resource))]
    where = f"{group_name}/{version}" if group_name else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": where, "resources": told}


def _resource(resource: Resource) -> Object:
    short = {"shortNames": list(resource.short_names)} if resource.short_names else {}
    categories = {"categories": list(resource.categories)} if resource.categories else {}
    return {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(VERBS),
        **short,
        **categories,
    }


def _subresources(resource: Resource) -> list[Object]:
    return [
        {
            "name": f"{resource.plural}/{name}",
            "singularName": "",
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            **SUBRESOURCES[name][1],
            "verbs": list(SUBRESOURCES[name][0]),
        }
        for name in sorted(resource.subresources)
    ]


def aggregated(catalog: Catalog, *, core: bool) -> Object:
    """All groups at once (KEP-3352): what kubectl asks for, in place of a request for each version."""
    items = [
        {"metadata": {"name": name, "creationTimestamp": None}, "versions": [_version(*one) for one in served.items()]}
        for name, served in _by_group(catalog).items()
        if bool(name) is not core
    ]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": AGGREGATED, "metadata": {}, "items": items}


def _version(version: str, served: list[Resource]) -> Object:
    return {"version": version, "resources": [_discovered(one) for one in served], "freshness": "Current"}


def _discovered(resource: Resource) -> Object:
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    told: Object = {
        "resource": resource.plural,
        "responseKind": kind,
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(VERBS),
        "shortNames": list(resource.short_names),
        "categories": list(resource.categories),
    }
    below = [
        {"subresource": name, "responseKind": {**kind, **_kind_of(name)}, "verbs": list(SUBRESOURCES[name][0])}
        for name in sorted(resource.subresources)
    ]
    return {**told, **({"subresources": below} if below else {})}


def _kind_of(subresource: str) -> Object:
    other = SUBRESOURCES[subresource][1]
    return {"group": "", **other} if other else {}
