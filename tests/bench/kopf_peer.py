"""The kopf peer: `kopf run` loads this. For every InferenceService it applies the same templates, and one status."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import kopf
from tests.bench.cluster import Server
from tests.bench.rendering import filled

TEMPLATES = Path(os.environ.get("TEMPLATES", "/dev/null")).read_text().splitlines()


@kopf.on.startup()
async def connect(settings: kopf.OperatorSettings, memo: kopf.Memo, **_: Any) -> None:
    """One connection pool, and no events to the API server."""
    settings.posting.enabled = False
    memo.server = await Server.connect(Path(os.environ["KUBECONFIG"]))


@kopf.on.cleanup()
async def disconnect(memo: kopf.Memo, **_: Any) -> None:
    await memo.server.close()


@kopf.on.create("inference.llmkube.dev", "v1alpha1", "inferenceservices")
@kopf.on.resume("inference.llmkube.dev", "v1alpha1", "inferenceservices")
async def reconcile(name: str | None, namespace: str | None, uid: str | None, memo: kopf.Memo, **_: Any) -> None:
    """The same three applies as everybody."""
    metadata = {"name": name, "namespace": namespace, "uid": uid}
    for template in TEMPLATES:
        await memo.server.apply(json.loads(filled(template, metadata)), manager="kopf-peer")
