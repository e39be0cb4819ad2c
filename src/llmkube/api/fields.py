"""What every part of the API is made of: the frozen record, and field types with the bounds that the CRDs publish.

Every string and list is bounded: specs are written by strangers, and the API server prices CEL rules by these bounds.
"""

# ruff: noqa: TC001 - pydantic reads annotations at run time
from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from llmkube.api import quantity
from llmkube.api.rules import Rule

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema


class Record(BaseModel):
    """A frozen part of a resource, camelCase in JSON. Unknown fields are ignored on read: the server prunes them."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore", use_attribute_docstrings=True
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _keep_rules(self) -> Self:
        for rule in self.rules:
            if not rule.holds(self):
                raise PydanticCustomError("rule", "{line}", {"line": rule.message(self), "field": rule.field})
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Carry the rules into the schema, where api/crd.py finds them."""
        schema = handler.resolve_ref_schema(handler(core))
        if cls.rules:
            schema["x-kubernetes-validations"] = [rule.schema() for rule in cls.rules]
        return schema

    def manifest(self) -> dict[str, Any]:
        """Return the JSON object as Kubernetes spells it, without the fields that have no value."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def brief(self) -> dict[str, Any]:
        """Return the JSON object as a person would write it: without what is the default anyway."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def list_map(*keys: str) -> dict[str, Any]:
    """Mark a list of objects as a map by these keys, for server-side apply."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


LIST_SET = {"x-kubernetes-list-type": "set"}
LIST_ATOMIC = {"x-kubernetes-list-type": "atomic"}
MAP_ATOMIC = {"x-kubernetes-map-type": "atomic"}
_INT32, _INT64 = {"format": "int32"}, {"format": "int64"}

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
SHA256 = r"^[a-f0-9]{64}$"


def _checked_quantity(text: str) -> str:
    quantity.parse(text)
    return text


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Quantity = Annotated[str, Field(max_length=32, pattern=quantity.PATTERN), AfterValidator(_checked_quantity)]
Timestamp = Annotated[datetime, PlainSerializer(_rfc3339, return_type=str)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)]
LabelName = Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)]
DataKey = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
QualifiedName = Annotated[str, Field(min_length=1, max_length=317)]
LabelValue = Annotated[str, Field(max_length=63)]
Word = Annotated[str, Field(max_length=128)]
Line = Annotated[str, Field(max_length=1024)]
Digest = Annotated[str, Field(max_length=64, pattern=SHA256)]
Source = Annotated[str, Field(min_length=1, max_length=2048)]
Labels = Annotated[dict[QualifiedName, LabelValue], Field(max_length=64)]
Annotations = Annotated[dict[QualifiedName, Annotated[str, Field(max_length=4096)]], Field(max_length=64)]
Int32 = Annotated[int, Field(ge=-(2**31), le=2**31 - 1, json_schema_extra=_INT32)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1, json_schema_extra=_INT32)]
Int64 = Annotated[int, Field(ge=-(2**63), le=2**63 - 1, json_schema_extra=_INT64)]
Bytes = Annotated[int, Field(ge=0, le=2**63 - 1, json_schema_extra=_INT64)]


class SecretName(Record):
    """The name of a Secret in the same namespace."""

    name: ObjectName
    """Name of the Secret."""
