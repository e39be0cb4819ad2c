"""What an InferenceService may say of its container and pods, in core/v1 terms: env, probes, rollout."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from llmkube.api.fields import MAP_ATOMIC, DataKey, ObjectName, QualifiedName, Quantity, Record, list_map
from llmkube.api.rules import Rule

_Seconds = Annotated[int, Field(ge=0, le=86400, json_schema_extra={"format": "int32"})]
_Positive = Annotated[int, Field(ge=1, le=86400, json_schema_extra={"format": "int32"})]
IntOrPercent = Annotated[
    Annotated[int, Field(ge=0, le=1000)] | Annotated[str, Field(max_length=4, pattern=r"^(100|[0-9]{1,2})%$")],
    Field(json_schema_extra={"x-kubernetes-int-or-string": True}),
]


class DataKeySelector(Record):
    """A key of a Secret or ConfigMap in the same namespace."""

    name: ObjectName
    """Name of the object."""
    key: DataKey
    """Key in its data."""
    optional: bool | None = None
    """Whether the pod may start without it."""


class ObjectFieldSelector(Record):
    """A field of the pod."""

    field_path: QualifiedName
    """Path of the field, e.g. status.podIP."""
    api_version: QualifiedName | None = None
    """Version of the path; v1 by default."""


class ResourceFieldSelector(Record):
    """A resource of the container."""

    resource: QualifiedName
    """Resource, e.g. limits.memory."""
    container_name: QualifiedName | None = None
    """Container whose resource it is."""
    divisor: Quantity | None = None
    """Unit of the value."""


_SOURCES = (
    "(has(self.secretKeyRef) ? 1 : 0) + (has(self.configMapKeyRef) ? 1 : 0) + "
    "(has(self.fieldRef) ? 1 : 0) + (has(self.resourceFieldRef) ? 1 : 0)"
)


class EnvVarSource(Record):
    """Where the value of a variable comes from; exactly one."""

    secret_key_ref: Annotated[DataKeySelector, Field(json_schema_extra=MAP_ATOMIC)] | None = None
    """A key of a Secret."""
    config_map_key_ref: Annotated[DataKeySelector, Field(json_schema_extra=MAP_ATOMIC)] | None = None
    """A key of a ConfigMap."""
    field_ref: Annotated[ObjectFieldSelector, Field(json_schema_extra=MAP_ATOMIC)] | None = None
    """A field of the pod."""
    resource_field_ref: Annotated[ResourceFieldSelector, Field(json_schema_extra=MAP_ATOMIC)] | None = None
    """A resource of the container."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"{_SOURCES} == 1",
            holds=lambda source: len(source.manifest()) == 1,
            expected="exactly one of secretKeyRef, configMapKeyRef, fieldRef, resourceFieldRef",
            found="%d",
            found_cel=(_SOURCES,),
            values=lambda source: (len(source.manifest()),),
            fix="keep one",
        ),
    )


class EnvVar(Record):
    """An environment variable of the engine."""

    name: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z][-._a-zA-Z0-9]*$")]
    """Name of the variable."""
    value: Annotated[str, Field(max_length=32768)] | None = None
    """Value of the variable."""
    value_from: EnvVarSource | None = None
    """Where the value comes from, instead of value."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="name",
            cel="!self.name.startsWith('LLAMA_ARG_') && self.name != 'LLAMA_API_KEY'",
            holds=lambda env: not env.name.startswith("LLAMA_ARG_") and env.name != "LLAMA_API_KEY",
            expected="a variable that sets no flag of llama-server",
            found="%s",
            found_cel=("self.name",),
            values=lambda env: (env.name,),
            fix="use the field of the spec, extraArgs, or auth for API keys",
        ),
        Rule(
            field="value",
            cel="!has(self.value) || !has(self.valueFrom)",
            holds=lambda env: env.value is None or env.value_from is None,
            expected="value or valueFrom",
            found="both",
            fix="keep one",
        ),
    )


class ProbeTiming(Record):
    """How often a probe asks, and how often it may fail; what is left out is chosen from the model's size."""

    initial_delay_seconds: _Seconds | None = None
    """Seconds before the first probe."""
    period_seconds: _Positive | None = None
    """Seconds between probes."""
    timeout_seconds: _Positive | None = None
    """Seconds until a probe counts as failed."""
    failure_threshold: _Positive | None = None
    """Failures in a row that count."""


class Probes(Record):
    """Timing of the engine's probes; what they ask, /health, is fixed."""

    startup: ProbeTiming | None = None
    """Until the model is loaded."""
    readiness: ProbeTiming | None = None
    """Whether requests are sent to the pod."""
    liveness: ProbeTiming | None = None
    """Whether the container is restarted."""


class RollingUpdate(Record):
    """How many pods a rollout may add and take away at a time."""

    max_unavailable: IntOrPercent | None = None
    """Pods that may be missing: a number or a percentage."""
    max_surge: IntOrPercent | None = None
    """Pods that may be made in addition: a number or a percentage. Each needs GPUs of its own."""


class Strategy(Record):
    """How old pods are replaced by new ones."""

    type: Literal["RollingUpdate", "Recreate"] = "RollingUpdate"
    """RollingUpdate replaces pods step by step; Recreate stops all of them first."""
    rolling_update: RollingUpdate | None = None
    """How many pods at a time."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="rollingUpdate",
            cel="self.type == 'RollingUpdate' || !has(self.rollingUpdate)",
            holds=lambda strategy: strategy.type == "RollingUpdate" or strategy.rolling_update is None,
            expected="no rollingUpdate unless type is RollingUpdate",
            found="%s",
            found_cel=("self.type",),
            values=lambda strategy: (strategy.type,),
            fix="remove rollingUpdate, or change type",
        ),
    )


Env = Annotated[tuple[EnvVar, ...], Field(max_length=64, json_schema_extra=list_map("name"))]
