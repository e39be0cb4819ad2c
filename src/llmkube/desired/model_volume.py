"""The files of Models in the engine's pod: claims, or a volume of the pod's own that init containers fill.

    models_part(models: Sequence[Served], settings: OperatorSettings) -> PodPart
    model_file(models: Sequence[Served], served: Served) -> str             the path in the container
    model_files(isvc_name: str, served: Served) -> Files                    of the model itself, which is the first
    used(annotations: Mapping[str, str]) -> list[tuple[str, str]]           the volume and digest of all that it reads

Each claim is mounted once, however many Models keep their bytes in it. The engine must never be able to write to one,
and every digest that it may read is in the pod's annotations: by them nothing is collected that serves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.api import quantity
from llmkube.api.group import GROUP
from llmkube.desired.arguments import Files
from llmkube.desired.cache import MOUNT_PATH, claim_name, ephemeral_size
from llmkube.desired.fetch_job import CACHE_VOLUME, Wanted, fetch_containers, fetch_volumes, literal
from llmkube.desired.pod_part import PodPart

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from llmkube.desired.inputs import Served
    from llmkube.desired.settings import OperatorSettings

MODEL_DIGEST = f"{GROUP}/model-sha256"
FURTHER_DIGESTS = f"{GROUP}/further-sha256"
_MI = 2**20


def models_part(models: Sequence[Served], settings: OperatorSettings) -> PodPart:
    """Return what the pod needs for the files of its model, and of those beside it."""
    claims = _claims(models)
    further = ",".join(f"{_volume(claims.index(_claim(each)))}={each.status.sha256 or ''}" for each in models[1:])
    return PodPart(
        volumes=tuple(_volumes(models)),
        mounts=tuple(
            {"name": _volume(number), "mountPath": _path(number), "readOnly": True} for number in range(len(claims))
        ),
        init_containers=tuple(_fetchers(models, settings)),
        annotations={MODEL_DIGEST: models[0].status.sha256 or ""} | ({FURTHER_DIGESTS: further} if further else {}),
    )


def model_file(models: Sequence[Served], served: Served) -> str:
    """Return the path of a Model's file."""
    number = _claims(models).index(_claim(served))
    return literal(f"{_path(number)}/{served.status.path}")


def model_files(isvc_name: str, served: Served) -> Files:
    """Return the paths of the model and its projector; ValueError where nothing is verified."""
    status = served.status
    if not status.path or not status.sha256:
        raise ValueError(f"{isvc_name}: expected a Model with path and sha256 in its status, found none; wait for it")
    mmproj = status.mmproj
    projector = literal(f"{MOUNT_PATH}/{mmproj.path}") if mmproj and mmproj.path else None
    return Files(literal(f"{MOUNT_PATH}/{status.path}"), projector)


def used(annotations: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the volume and the digest of all bytes that the pod may read."""
    model, further = annotations.get(MODEL_DIGEST), annotations.get(FURTHER_DIGESTS)
    found = [(CACHE_VOLUME, model)] if model else []
    for each in further.split(",") if further else ():
        volume, _, digest = each.partition("=")
        if digest:
            found.append((volume, digest))
    return found


def _claim(served: Served) -> str | None:
    return claim_name(served.spec, served.model.metadata.name)


def _claims(models: Sequence[Served]) -> list[str | None]:
    """The claims in the order of their mounts; None is the volume of the pod's own."""
    return list(dict.fromkeys(_claim(each) for each in models))


def _volume(number: int) -> str:
    return CACHE_VOLUME if number == 0 else f"{CACHE_VOLUME}-{number}"


def _path(number: int) -> str:
    return MOUNT_PATH if number == 0 else f"{MOUNT_PATH}-{number}"


def _volumes(models: Sequence[Served]) -> Iterator[dict[str, Any]]:
    for number, claim in enumerate(_claims(models)):
        if claim:
            yield {"name": _volume(number), "persistentVolumeClaim": {"claimName": claim}}
        else:
            yield {"name": _volume(number), "emptyDir": {"sizeLimit": _limit(_own(models))}}
    for at, served in enumerate(models):
        if _claim(served) is None:
            yield from ({**each, "name": _named(each["name"], at)} for each in fetch_volumes(served.spec))


def _own(models: Sequence[Served]) -> list[Served]:
    return [each for each in models if _claim(each) is None]


def _limit(models: Sequence[Served]) -> str:
    """What one Model alone asks for as it is; several are summed up."""
    sizes = [ephemeral_size(each.spec, size_bytes=_size(each)) for each in models]
    return sizes[0] if len(sizes) == 1 else f"{-(-sum(map(quantity.to_int, sizes)) // _MI)}Mi"


def _size(served: Served) -> int:
    mmproj = served.status.mmproj
    return (served.status.size_bytes or 0) + ((mmproj.size_bytes or 0) if mmproj else 0)


def _fetchers(models: Sequence[Served], settings: OperatorSettings) -> Iterator[dict[str, Any]]:
    """The init containers that fetch for this pod alone: exactly the bytes that were accepted for the Models."""
    for at, served in enumerate(models):
        if _claim(served) is None:
            volume = _volume(_claims(models).index(None))
            yield from (_renamed(each, at, volume) for each in _fetcher(served, settings))


def _fetcher(served: Served, settings: OperatorSettings) -> list[dict[str, Any]]:
    status, mmproj = served.status, served.status.mmproj
    wanted = Wanted(status.sha256, status.etag, status.size_bytes)
    projector = Wanted(mmproj.sha256, mmproj.etag, mmproj.size_bytes) if mmproj else Wanted()
    return fetch_containers(served.model, served.spec, settings, wanted, projector)


def _renamed(container: dict[str, Any], at: int, volume: str) -> dict[str, Any]:
    """Several Models' fetches have names of their own, and write into the one volume."""
    mounts = [
        {**each, "name": volume if each["name"] == CACHE_VOLUME else _named(each["name"], at)}
        for each in container["volumeMounts"]
    ]
    return {**container, "name": _named(container["name"], at), "volumeMounts": mounts}


def _named(name: str, at: int) -> str:
    return name if at == 0 else f"{name}-{at}"
