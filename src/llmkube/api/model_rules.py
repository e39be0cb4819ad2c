"""The rules of a Model that span fields. See rules.py for how one rule serves all three nets."""

from __future__ import annotations

import re

from llmkube.api.rules import Rule

_SOURCE = r"^((https?|hf|s3|oci)://[^/\s]+/\S+|pvc://[-a-z0-9.]+/\S+|file:///\S+)$"
_CREDENTIALS = r"^[a-z0-9]+://[^/]*@"


MODEL_RULES = (
    Rule(
        field="source",
        cel=f"self.source.matches('{_SOURCE.replace(chr(92), chr(92) * 2)}')",
        holds=lambda spec: re.fullmatch(_SOURCE, spec.source) is not None,
        expected="https://host/file, http://host/file, hf://org/repo/file.gguf, s3://bucket/key, oci://ref, "
        "pvc://claim/path or file:///path",
        found="%s",
        found_cel=("self.source",),
        values=lambda spec: (spec.source,),
        fix="write the address with its scheme and without spaces",
    ),
    Rule(
        field="source",
        cel=f"!self.source.matches('{_CREDENTIALS}')",
        holds=lambda spec: re.match(_CREDENTIALS, spec.source) is None,
        expected="an address without user name or password",
        found="one that carries them",
        fix="put credentials in a Secret and name it in sourceSecretRef",
    ),
)

CACHE_RULES = (
    Rule(
        field="claimName",
        cel="self.mode == 'Existing' || !has(self.claimName)",
        holds=lambda cache: cache.mode == "Existing" or cache.claim_name is None,
        expected="no claimName unless mode is Existing",
        found="%s with mode %s",
        found_cel=("self.claimName", "self.mode"),
        values=lambda cache: (cache.claim_name, cache.mode),
        fix="set mode to Existing, or remove claimName",
    ),
    Rule(
        field="claimName",
        cel="self.mode != 'Existing' || has(self.claimName)",
        holds=lambda cache: cache.mode != "Existing" or cache.claim_name is not None,
        expected="a claimName with mode Existing",
        found="none",
        fix="name the PersistentVolumeClaim to use",
    ),
    Rule(
        field="mode",
        cel="self.mode in ['PerModel', 'Shared'] || (!has(self.storageClassName) && !has(self.accessMode))",
        holds=lambda cache: (
            cache.mode in {"PerModel", "Shared"} or (cache.storage_class_name is None and cache.access_mode is None)
        ),
        expected="mode PerModel or Shared with storageClassName or accessMode",
        found="%s",
        found_cel=("self.mode",),
        values=lambda cache: (cache.mode,),
        fix="they describe a claim that is made: remove them, or change mode",
    ),
)
