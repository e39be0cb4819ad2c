"""A container's environment: what the machine contributes, what the pod declares, and $(VAR) expansion.

Pure: Secrets and ConfigMaps come in through a lookup. Nothing of the node's own environment leaks in but the names of
HOST_NAMES, which describe the machine and not the person who started it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from llmkube.local.objects import Object, spec_of, status_of

MACHINE = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
)
TRUST = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "NO_PROXY", "no_proxy")
HOST_NAMES = (*MACHINE, *TRUST, *PROXIES)
LOOPBACK = "localhost,127.0.0.1,127.0.0.0/8"

Lookup = Callable[[str, str], Object | None]
"""Resource ("secrets" or "configmaps") and name to the object in the pod's namespace."""

_REFERENCE = re.compile(r"\$\$|\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class ConfigError(Exception):
    """Something the container needs is not there (yet); the message is one line for its waiting state."""


def host_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What every container gets; loopback never goes through a proxy, because every pod address is loopback."""
    chosen = {name: environ[name] for name in HOST_NAMES if name in environ}
    if any(name.lower().endswith("_proxy") for name in chosen):
        for name in ("NO_PROXY", "no_proxy"):
            chosen[name] = ",".join(filter(None, (environ.get(name, ""), LOOPBACK)))
    return chosen


def declared(container: Object, pod: Object, lookup: Lookup) -> dict[str, str]:
    """envFrom, then env in order, each value expanded with those before it."""
    values: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        values.update(_from_source(source, lookup))
    for variable in container.get("env") or ():
        found = _value(variable, container, pod, lookup)
        if found is not None:
            values[variable["name"]] = expand(found, values) if "value" in variable else found
    return values


def expand(text: str, values: Mapping[str, str]) -> str:
    """Kubernetes' $(VAR): unknown names stay as they are, $$ is one $."""

    def replacement(found: re.Match[str]) -> str:
        name = found.group(1)
        return "$" if name is None else values.get(name, found.group())

    return _REFERENCE.sub(replacement, text)


def expand_all(texts: Iterable[str], values: Mapping[str, str]) -> list[str]:
    return [expand(text, values) for text in texts]


def contents(resource: str, obj: Object) -> dict[str, bytes]:
    """The keys of a Secret or ConfigMap and their bytes."""
    plain = {name: str(value).encode() for name, value in (obj.get("stringData") or {}).items()}
    if resource == "secrets":
        return {name: base64.b64decode(value) for name, value in (obj.get("data") or {}).items()} | plain
    text = {name: str(value).encode() for name, value in (obj.get("data") or {}).items()}
    binary = {name: base64.b64decode(value) for name, value in (obj.get("binaryData") or {}).items()}
    return text | binary


def required(resource: str, reference: Mapping[str, Any], lookup: Lookup) -> dict[str, bytes] | None:
    """The contents of what a reference names; None when it is optional and not there."""
    obj = lookup(resource, reference["name"])
    if obj is not None:
        return contents(resource, obj)
    if reference.get("optional"):
        return None
    raise ConfigError(f'{resource.removesuffix("s")} "{reference["name"]}" not found')


def _from_source(source: Object, lookup: Lookup) -> dict[str, str]:
    prefix = source.get("prefix", "")
    for field, resource in (("secretRef", "secrets"), ("configMapRef", "configmaps")):
        if field in source:
            found = required(resource, source[field], lookup) or {}
            return {prefix + name: value.decode("utf-8", "surrogateescape") for name, value in found.items()}
    return {}


def _value(variable: Object, container: Object, pod: Object, lookup: Lookup) -> str | None:
    source = variable.get("valueFrom")
    if not source:
        return str(variable.get("value", ""))
    if "fieldRef" in source:
        return field_value(pod, source["fieldRef"]["fieldPath"])
    for field, resource in (("secretKeyRef", "secrets"), ("configMapKeyRef", "configmaps")):
        if field in source:
            return _key(resource, source[field], lookup)
    if "resourceFieldRef" in source:
        return _resource(container, source["resourceFieldRef"]["resource"])
    raise ConfigError(f"env {variable['name']}: valueFrom has no source that local mode knows: {', '.join(source)}")


def _key(resource: str, reference: Object, lookup: Lookup) -> str | None:
    found = required(resource, reference, lookup)
    if found is not None and reference["key"] in found:
        return found[reference["key"]].decode("utf-8", "surrogateescape")
    if reference.get("optional"):
        return None
    raise ConfigError(f"couldn't find key {reference['key']} in {resource.removesuffix('s')} {reference['name']}")


def _resource(container: Object, name: str) -> str:
    kind, _, resource = name.partition(".")
    value = ((container.get("resources") or {}).get(kind) or {}).get(resource)
    if value is None:
        raise ConfigError(f"resourceFieldRef {name}: container {container['name']} sets no such value")
    return str(value)


def field_value(pod: Object, path: str) -> str:
    """The downward API's fields for environment variables."""
    if found := _SUBSCRIPT.fullmatch(path):
        return str((pod["metadata"].get(found.group(1)) or {}).get(found.group(2), ""))
    meta, spec, status = pod["metadata"], spec_of(pod), status_of(pod)
    fields = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta.get("namespace", ""),
        "metadata.uid": meta.get("uid", ""),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.podIP": status.get("podIP", ""),
        "status.podIPs": status.get("podIP", ""),
        "status.hostIP": status.get("hostIP", ""),
        "status.hostIPs": status.get("hostIP", ""),
    }
    if path not in fields:
        raise ConfigError(f"fieldRef {path}: not a field that the downward API offers")
    return str(fields[path])
