"""The model's files in the engine's pod: a claim, or a volume of the pod's own that init containers fill.

    model_part(served: Served, settings: OperatorSettings) -> PodPart
    model_files(isvc_name: str, status: ModelStatus) -> Files

The engine must never be able to write to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmkube.api.group import GROUP
from llmkube.desired.arguments import Files
from llmkube.desired.cache import MOUNT_PATH, claim_name, ephemeral_size
from llmkube.desired.fetch_job import CACHE_VOLUME, Wanted, fetch_containers, fetch_volumes, literal
from llmkube.desired.pod_part import PodPart

if TYPE_CHECKING:
    from llmkube.api.model import ModelStatus
    from llmkube.desired.inputs import Served
    from llmkube.desired.settings import OperatorSettings

MODEL_DIGEST = f"{GROUP}/model-sha256"


def model_part(served: Served, settings: OperatorSettings) -> PodPart:
    """Return what the pod needs for the model's files."""
    is_own = claim_name(served.spec, served.model.metadata.name) is None
    return PodPart(
        volumes=tuple(_volumes(served)),
        mounts=({"name": CACHE_VOLUME, "mountPath": MOUNT_PATH, "readOnly": True},),
        init_containers=tuple(_fetchers(served, settings)) if is_own else (),
        annotations={MODEL_DIGEST: served.status.sha256 or ""},
    )


def model_files(isvc_name: str, status: ModelStatus) -> Files:
    """Return the paths in the container; ValueError where nothing is verified."""
    if not status.path or not status.sha256:
        raise ValueError(f"{isvc_name}: expected a Model with path and sha256 in its status, found none; wait for it")
    mmproj = status.mmproj
    projector = literal(f"{MOUNT_PATH}/{mmproj.path}") if mmproj and mmproj.path else None
    return Files(literal(f"{MOUNT_PATH}/{status.path}"), projector)


def _fetchers(served: Served, settings: OperatorSettings) -> list[dict[str, Any]]:
    """The init containers that fetch for this pod alone: exactly the bytes that were accepted for the Model."""
    status, mmproj = served.status, served.status.mmproj
    wanted = Wanted(status.sha256, status.etag, status.size_bytes)
    projector = Wanted(mmproj.sha256, mmproj.etag, mmproj.size_bytes) if mmproj else Wanted()
    return fetch_containers(served.model, served.spec, settings, wanted, projector)


def _volumes(served: Served) -> list[dict[str, Any]]:
    claim = claim_name(served.spec, served.model.metadata.name)
    if claim:
        return [{"name": CACHE_VOLUME, "persistentVolumeClaim": {"claimName": claim}}]
    mmproj = served.status.mmproj
    size = (served.status.size_bytes or 0) + ((mmproj.size_bytes or 0) if mmproj else 0)
    limit = ephemeral_size(served.spec, size_bytes=size)
    return [{"name": CACHE_VOLUME, "emptyDir": {"sizeLimit": limit}}, *fetch_volumes(served.spec)]
