"""Which Secrets and ConfigMaps an InferenceService refers to, and what is missing of them.

    references(spec: InferenceServiceSpec) -> tuple[Reference, ...]
    held(spec: InferenceServiceSpec, referenced: Referenced) -> Trouble | None

Pure. What is missing is said before pods are made: those that serve must never be replaced by some that cannot start.
What may be missing (`optional` of an environment variable) is not looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmkube.desired.pod_trouble import Trouble
from llmkube.desired.referenced import Found, Reference, trouble

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from llmkube.api.container import EnvVar
    from llmkube.api.inference import InferenceServiceSpec

    Referenced = Mapping[Reference, Found]


CERTIFICATE, KEY = "tls.crt", "tls.key"
PEM_LABELS = {CERTIFICATE: "CERTIFICATE", KEY: "PRIVATE KEY"}
"""What the keys of a Secret of type kubernetes.io/tls hold; a private key may say of which kind it is."""


class Needed(NamedTuple):
    """A key of an object, and the path of the spec that asks for it."""

    where: str
    reference: Reference
    key: str
    may_be_empty: bool = False


def references(spec: InferenceServiceSpec) -> tuple[Reference, ...]:
    """Return every object that is needed, once."""
    return tuple(dict.fromkeys(each.reference for each in _needed(spec)))


def held(spec: InferenceServiceSpec, referenced: Referenced) -> Trouble | None:
    """Return the first thing that is missing."""
    for each in _needed(spec):
        found = referenced.get(each.reference)
        if told := trouble(each.where, each.reference, each.key, found, may_be_empty=each.may_be_empty):
            return told
    return _unusable_keys(spec, referenced) or _unusable_certificate(spec, referenced)


def version(reference: Reference, key: str, referenced: Referenced) -> str:
    """Return the version of a key's content for an annotation of the pods; empty where nothing is known of it."""
    found = referenced.get(reference)
    entry = found.entries.get(key) if found else None
    return entry.version if entry else ""


def _needed(spec: InferenceServiceSpec) -> Iterator[Needed]:
    if spec.auth is not None:
        keys = spec.auth.secret_ref
        yield Needed("spec.auth.secretRef", Reference("Secret", keys.name), keys.key)
    if spec.chat_template_ref is not None:
        template = spec.chat_template_ref
        yield Needed("spec.chatTemplateRef", Reference("ConfigMap", template.name), template.key)
    if spec.endpoint.tls is not None:
        for key in PEM_LABELS:
            yield Needed("spec.endpoint.tls.secretRef", Reference("Secret", spec.endpoint.tls.secret_ref.name), key)
    for variable in spec.env:
        yield from _of_variable(variable)


def _of_variable(variable: EnvVar) -> Iterator[Needed]:
    source = variable.value_from
    if source is None:
        return
    where = f"spec.env[{variable.name}].valueFrom"
    if (secret := source.secret_key_ref) is not None and not secret.optional:
        yield Needed(f"{where}.secretKeyRef", Reference("Secret", secret.name), secret.key, may_be_empty=True)
    if (config := source.config_map_key_ref) is not None and not config.optional:
        yield Needed(f"{where}.configMapKeyRef", Reference("ConfigMap", config.name), config.key, may_be_empty=True)


def _unusable_keys(spec: InferenceServiceSpec, referenced: Referenced) -> Trouble | None:
    """With no key in the file the engine lets everybody in; one that ends in white space is none that HTTP carries."""
    if spec.auth is None:
        return None
    said = spec.auth.secret_ref
    entry = referenced[Reference("Secret", said.name)].entries[said.key]
    line = f"spec.auth.secretRef: expected an API key a line in key {said.key} of Secret {said.name}"
    if not entry.lines:
        return Trouble("NoAPIKeys", f"{line}, found blank lines and comments only; add a key, or remove spec.auth")
    if entry.padded:
        found = f"found {entry.padded} of {entry.lines} that end in a blank or a carriage return"
        return Trouble("APIKeysUnusable", f"{line}, {found}, which nobody can send; take it away")
    return None


def _unusable_certificate(spec: InferenceServiceSpec, referenced: Referenced) -> Trouble | None:
    """What is no PEM, or is encrypted, ends an engine before it loads anything."""
    if spec.endpoint.tls is None:
        return None
    secret = Reference("Secret", spec.endpoint.tls.secret_ref.name)
    for key, label in PEM_LABELS.items():
        labels = referenced[secret].entries[key].labels
        if not any(each.endswith(label) and not each.startswith("ENCRYPTED") for each in labels):
            seen = f"PEM of {', '.join(labels)}" if labels else "no PEM"
            line = f"spec.endpoint.tls.secretRef: expected a PEM {label} in key {key} of {secret}, found {seen}"
            return Trouble("CertificateUnusable", f"{line}; `kubectl create secret tls` makes one")
    return None
