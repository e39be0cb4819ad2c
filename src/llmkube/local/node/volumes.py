"""A pod's volumes as host directories.

emptyDir lives and dies with the pod; a claim's directory belongs to the claim; Secrets and ConfigMaps are written as
files that only this user reads, when the pod starts (later changes reach the next pod). Volumes that would reach into
the host (hostPath) or need a kubelet (projected, downwardAPI, CSI) are refused.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from llmkube.local.node.environment import ConfigError, Lookup, contents
from llmkube.local.objects import Object, condition, spec_of, status_of

SUPPORTED = ("emptyDir", "persistentVolumeClaim", "secret", "configMap")

ClaimDirectory = Callable[[str], Path]
"""The directory of a claim of the pod's namespace; raises ConfigError while there is none."""


class UnsupportedError(Exception):
    """The pod asks for what local mode never does; the message is one line."""


def refuse_unsupported(pod: Object) -> None:
    """Raises UnsupportedError for what no amount of waiting makes possible."""
    for volume in spec_of(pod).get("volumes") or ():
        if not any(kind in volume for kind in SUPPORTED):
            found = ", ".join(key for key in volume if key != "name") or "nothing"
            raise UnsupportedError(
                f"volume {volume['name']}: {found} is not supported in local mode; use {', '.join(SUPPORTED)}"
            )
    for container in (*(spec_of(pod).get("initContainers") or ()), *(spec_of(pod).get("containers") or ())):
        if container.get("restartPolicy"):
            raise UnsupportedError(
                f"container {container['name']}: container restart policies (sidecars) are not supported in local mode"
            )
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            if "grpc" in (container.get(name) or {}):
                raise UnsupportedError(
                    f"container {container['name']}: {name}.grpc is not supported in local mode; use httpGet"
                )


def prepare(pod: Object, directory: Path, *, lookup: Lookup, claim: ClaimDirectory) -> dict[str, Path]:
    """Makes every volume; returns its directory by name. Safe to repeat."""
    volumes = spec_of(pod).get("volumes") or ()
    return {
        volume["name"]: _prepare(volume, directory / volume["name"], lookup=lookup, claim=claim) for volume in volumes
    }


def _prepare(volume: Object, directory: Path, *, lookup: Lookup, claim: ClaimDirectory) -> Path:
    if "persistentVolumeClaim" in volume:
        return claim(volume["persistentVolumeClaim"]["claimName"])
    if "emptyDir" in volume:
        directory.mkdir(parents=True, exist_ok=True)
        return directory
    resource, source = ("secrets", volume["secret"]) if "secret" in volume else ("configmaps", volume["configMap"])
    name = source.get("secretName") or source.get("name") or ""
    obj = lookup(resource, name)
    if obj is None and not source.get("optional"):
        raise ConfigError(
            f'MountVolume.SetUp failed for volume "{volume["name"]}" : {resource.removesuffix("s")} "{name}" not found'
        )
    _write_files(directory, contents(resource, obj) if obj else {}, source)
    return directory


def _write_files(directory: Path, files: dict[str, bytes], source: Object) -> None:
    """The keys as files, or only the chosen ones at their paths."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, mode=0o700)
    chosen = source.get("items") or [{"key": key, "path": key} for key in files]
    for item in chosen:
        if item["key"] not in files:
            raise ConfigError(f"references non-existent secret or configmap key: {item['key']}")
        path = (directory / item["path"]).resolve()
        if not path.is_relative_to(directory.resolve()):
            raise UnsupportedError(f"volume item path {item['path']!r} leaves its volume")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[item["key"]])
        path.chmod(0o600 if os.access(directory, os.W_OK) else 0o400)


def mounts(container: Object, volumes: dict[str, Path]) -> dict[str, Path]:
    """Mount path to host path for one container."""
    found = {}
    for mount in container.get("volumeMounts") or ():
        if mount["name"] not in volumes:
            raise UnsupportedError(
                f"container {container['name']}: volumeMount {mount['name']!r} names no volume of the pod"
            )
        host = volumes[mount["name"]]
        part = mount.get("subPath") or ""
        path = (host / part).resolve()
        if not path.is_relative_to(host.resolve()):
            raise UnsupportedError(f"container {container['name']}: subPath {part!r} leaves its volume")
        if not path.exists():
            path.mkdir(parents=True)
        found[mount["mountPath"]] = path
    return found


def bound_claim(claim: Object | None, name: str, directories: Path) -> Path:
    """Where a bound claim's bytes are."""
    if claim is None:
        raise ConfigError(f'persistentvolumeclaim "{name}" not found')
    if status_of(claim).get("phase") != "Bound" or condition(claim, "Lost"):
        raise ConfigError(f'persistentvolumeclaim "{name}" is not bound')
    return directories / str(claim["metadata"]["namespace"]) / name


def ports(containers: Iterable[Object]) -> dict[str, int]:
    """Named ports of containers."""
    declared = [port for container in containers for port in container.get("ports") or ()]
    return {port["name"]: port["containerPort"] for port in declared if port.get("name")}
