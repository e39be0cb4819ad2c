"""A condition as Kubernetes writes it (KEP-1623), and the types that LLMKube's objects carry."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from llmkube.api.fields import Bytes, Record, Timestamp, list_map

RESOLVED = "Resolved"
CACHED = "Cached"
AVAILABLE = "Available"
PROGRESSING = "Progressing"
DEGRADED = "Degraded"
MODEL_READY = "ModelReady"
SCHEDULED = "Scheduled"
AUTOSCALED = "Autoscaled"


class Condition(Record):
    """One aspect of an object's state, as last observed."""

    type: Annotated[str, Field(max_length=316, pattern=r"^[A-Za-z]([-A-Za-z0-9_./]*[A-Za-z0-9])?$")]
    """Type of the condition, in CamelCase."""
    status: Literal["True", "False", "Unknown"]
    """Status of the condition, one of True, False, Unknown."""
    observed_generation: Bytes | None = None
    """The metadata.generation that the condition was set for; older than the object's means out of date."""
    last_transition_time: Timestamp
    """When the status last changed."""
    reason: Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    """One CamelCase word for programs: why the condition has this status."""
    message: Annotated[str, Field(max_length=32768)]
    """One line for people: what was expected, what was found, what to do."""


Conditions = Annotated[tuple[Condition, ...], Field(max_length=32, json_schema_extra=list_map("type"))]
