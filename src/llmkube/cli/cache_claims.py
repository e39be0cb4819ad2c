"""The caches of a cluster: claims, the Models in them, and who uses those. Read through the API, never changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmkube.cli.output import aligned, as_json, printable, size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmkube.cli.connection import Target

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """`name` is "" for models that each pod fetches for itself; `phase` "" while there is no claim yet."""

    namespace: str
    name: str
    mode: str
    phase: str = ""
    capacity: str = ""
    models: list[Manifest] = field(default_factory=list)
    services: list[str] = field(default_factory=list)


async def claims(target: Target) -> list[Claim]:
    """Every claim that a Model of the namespace (or of all) is kept in."""
    from llmkube.kube.kinds import INFERENCE_SERVICE, MODEL, PVC

    async with target.connect() as connection:
        volumes = await connection.client.list_raw(PVC, connection.scope)
        models = await connection.client.list_raw(MODEL, connection.scope)
        services = await connection.client.list_raw(INFERENCE_SERVICE, connection.scope)
    return arranged(volumes, models, services)


def arranged(volumes: Iterable[Manifest], models: Iterable[Manifest], services: Iterable[Manifest]) -> list[Claim]:
    """Models by the claim that they are in, each with the InferenceServices that name it."""
    live = {_key(each): each for each in volumes}
    users: dict[tuple[str, str], list[str]] = {}
    for service in services:
        namespace, name = _key(service)
        users.setdefault((namespace, str(service.get("spec", {}).get("modelRef", ""))), []).append(name)
    found: dict[tuple[str, str, str], Claim] = {}
    for model in sorted(models, key=_key):
        namespace, name = _key(model)
        mode, claim_name = _place(model)
        claim = found.setdefault((namespace, claim_name, mode), _claim(namespace, claim_name, mode, live))
        claim.models.append(model)
        claim.services.extend(each for each in users.get((namespace, name), []) if each not in claim.services)
    return [found[key] for key in sorted(found)]


def _place(model: Manifest) -> tuple[str, str]:
    """The mode, and the claim that it means (desired/cache.py names them so)."""
    from llmkube.desired.cache import SHARED_CLAIM
    from llmkube.desired.naming import child_name

    cache = (model.get("spec") or {}).get("cache") or {}
    mode = str(cache.get("mode") or "PerModel")
    own = {"PerModel": child_name(_key(model)[1], "cache"), "Shared": SHARED_CLAIM}
    return mode, own.get(mode) or (str(cache.get("claimName") or "") if mode == "Existing" else "")


def _claim(namespace: str, name: str, mode: str, live: dict[tuple[str, str], Manifest]) -> Claim:
    status = live.get((namespace, name), {}).get("status") or {}
    return Claim(
        namespace, name, mode, str(status.get("phase") or ""), str((status.get("capacity") or {}).get("storage") or "")
    )


def _key(item: Manifest) -> tuple[str, str]:
    metadata = item.get("metadata") or {}
    return str(metadata.get("namespace", "")), str(metadata.get("name", ""))


def rendered(found: list[Claim], output: str) -> str:
    """A table, or JSON with sizes in bytes."""
    if output == "json":
        return as_json({"claims": [_document(each) for each in found]})
    if not found:
        return "no models\n"
    head = ["NAMESPACE", "CLAIM", "MODE", "PHASE", "CAPACITY", "MODELS", "USED BY"]
    return aligned([head, *(_row(each) for each in found)])


def _row(claim: Claim) -> list[str]:
    models = ", ".join(_model(each) for each in claim.models)
    cells = [claim.namespace, claim.name, claim.mode, claim.phase, claim.capacity, models, ", ".join(claim.services)]
    return [printable(each) for each in cells]


def _model(model: Manifest) -> str:
    status = model.get("status") or {}
    known = status.get("sizeBytes")
    told = [str(status.get("phase") or "Pending"), *([size(known)] if isinstance(known, int) else [])]
    return f"{_key(model)[1]} ({', '.join(told)})"


def _document(claim: Claim) -> dict[str, Any]:
    models = [
        {
            "name": _key(each)[1],
            "phase": (each.get("status") or {}).get("phase"),
            "sizeBytes": (each.get("status") or {}).get("sizeBytes"),
            "sha256": (each.get("status") or {}).get("sha256"),
        }
        for each in claim.models
    ]
    return {
        "namespace": claim.namespace,
        "name": claim.name or None,
        "mode": claim.mode,
        "phase": claim.phase or None,
        "capacity": claim.capacity or None,
        "models": models,
        "services": claim.services,
    }
