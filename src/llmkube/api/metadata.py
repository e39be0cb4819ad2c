"""The part of an object's metadata that people write, bounded as the names of derived objects need it."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from llmkube.api.fields import Annotations, Labels, ObjectName, Record

_NAME = r"^[a-z]([-a-z0-9.]*[a-z0-9])?$"


class ObjectMeta(Record):
    """Standard Kubernetes metadata; what the API server keeps beside these is carried along unread."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(max_length=63, pattern=_NAME)] | None = None
    """Name of the object. It becomes a label value and, with its dots replaced, the name of a Service: at most 63
    characters, the first a letter."""
    namespace: ObjectName | None = None
    labels: Labels | None = None
    annotations: Annotations | None = None
