"""The question that the resolver asks for a Model: with its Secret's credentials, within the administrator's policy.

It runs in the background. Credentials and certificates are read each time and kept nowhere: one that was mended counts
the next time.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llmkube.desired.model_facts import known, with_projector
from llmkube.gguf.resolve import resolve
from llmkube.kube.errors import Forbidden, NotFound
from llmkube.kube.kinds import CONFIG_MAP, SECRET, Key
from llmkube.models.credentials import Credentials
from llmkube.models.errors import SourceError
from llmkube.models.policy import SourcePolicy

if TYPE_CHECKING:
    from llmkube.api.model import ModelSpec
    from llmkube.desired.resolution import Known
    from llmkube.desired.settings import OperatorSettings
    from llmkube.gguf.resolve import Resolved
    from llmkube.kube.client import Client

TIMEOUT = 60.0


class SourceReader:
    """Asks sources, as far as the operator may."""

    def __init__(self, client: Client, settings: OperatorSettings) -> None:
        self._client = client
        self._hugging_face = settings.hugging_face
        self._policy = SourcePolicy(settings.source_allow, tuple(Path(each) for each in settings.source_roots))

    async def read(self, key: Key, spec: ModelSpec) -> Known:
        """Return what the source has, and the projector's; raise SourceError, GGUFError or KubeError."""
        credentials = await self._credentials(key, spec)
        certificates = await self._certificates(key, spec)
        licences = spec.license.allow if spec.license else ()
        found = known(await self._resolve(spec.source, credentials, certificates, licences))
        if spec.mmproj_source is None:
            return found
        projector = await self._resolve(spec.mmproj_source, credentials, certificates)
        return with_projector(found, spec.mmproj_source, projector)

    async def _resolve(
        self, source: str, credentials: Credentials, certificates: str | None, licences: tuple[str, ...] = ()
    ) -> Resolved:
        return await resolve(
            source,
            policy=self._policy,
            credentials=credentials,
            licences=licences,
            timeout=TIMEOUT,
            hugging_face=self._hugging_face,
            ca_bundle=certificates,
        )

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

    async def _certificates(self, key: Key, spec: ModelSpec) -> str | None:
        bundle = spec.ca_bundle_ref
        if bundle is None:
            return None
        where = f"spec.caBundleRef: ConfigMap {bundle.name}: expected PEM certificates in key {bundle.key}"
        try:
            data = (await self._client.get(CONFIG_MAP, Key(key.namespace, bundle.name))).data
        except (NotFound, Forbidden) as error:
            line = f"{where}, found {error}; create it, or correct spec.caBundleRef"
            raise SourceError("CABundleNotFound", line, retryable=True) from error
        if "-----BEGIN CERTIFICATE-----" not in data.get(bundle.key, ""):
            found = "other text" if bundle.key in data else f"keys {', '.join(sorted(data)) or 'none'}"
            line = f"{where}, found {found}; correct the ConfigMap, or spec.caBundleRef"
            raise SourceError("CABundleInvalid", line, retryable=True)
        return data[bundle.key]


def _refused(name: str, expected: str, found: object) -> str:
    fix = "correct the Secret, or spec.sourceSecretRef"
    return f"spec.sourceSecretRef: Secret {name}: expected {expected}, found {found}; {fix}"
