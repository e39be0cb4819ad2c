"""The question that the resolver asks for a Model: with its Secret's credentials, within the administrator's policy.

It runs in the background. Credentials are read each time and kept nowhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llmkube.desired.model_facts import known
from llmkube.desired.resolution import Known
from llmkube.gguf.resolve import resolve
from llmkube.kube.errors import Forbidden, NotFound
from llmkube.kube.kinds import SECRET, Key
from llmkube.models.credentials import Credentials
from llmkube.models.errors import SourceError
from llmkube.models.policy import SourcePolicy

if TYPE_CHECKING:
    from llmkube.api.model import ModelSpec
    from llmkube.desired.settings import OperatorSettings
    from llmkube.kube.client import Client

TIMEOUT = 60.0


class SourceReader:
    """Asks sources, as far as the operator may."""

    def __init__(self, client: Client, settings: OperatorSettings) -> None:
        self._client = client
        self._hugging_face = settings.hugging_face
        self._policy = SourcePolicy(settings.source_allow, tuple(Path(each) for each in settings.source_roots))

    async def read(self, key: Key, spec: ModelSpec) -> Known:
        """Return what the source has; raise SourceError, GGUFError or KubeError."""
        if spec.ca_bundle_ref is not None:
            return Known(size_bytes=None)  # only a pod can look, with the certificates that it mounts
        credentials = await self._credentials(key, spec)
        found = await resolve(
            spec.source,
            policy=self._policy,
            credentials=credentials,
            licences=spec.license.allow if spec.license else (),
            timeout=TIMEOUT,
            hugging_face=self._hugging_face,
        )
        return known(found)

    async def _credentials(self, key: Key, spec: ModelSpec) -> Credentials:
        if spec.source_secret_ref is None:
            return Credentials()
        name = spec.source_secret_ref.name
        try:
            secret = await self._client.get(SECRET, Key(key.namespace, name))
            return Credentials.from_secret(secret.data)
        except (NotFound, Forbidden) as error:
            raise SourceError(
                "SecretNotFound", _refused(name, "one that can be read", error), retryable=True
            ) from error
        except ValueError as error:
            message = _refused(name, "text in its data", "bytes that are none")
            raise SourceError("SecretInvalid", message, retryable=True) from error


def _refused(name: str, expected: str, found: object) -> str:
    fix = "correct the Secret, or spec.sourceSecretRef"
    return f"spec.sourceSecretRef: Secret {name}: expected {expected}, found {found}; {fix}"
