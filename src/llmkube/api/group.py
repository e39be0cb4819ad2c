"""The name and version of the API group. Everything that spells them takes them from here."""

from __future__ import annotations

GROUP = "inference.llmkube.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
