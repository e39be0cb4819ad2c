"""A custom resource with one field for each thing that a schema can demand of a value."""

from __future__ import annotations

from typing import Any

from tests.conformance.objects import GROUP, Object

ROW: Object = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "count": {
            "type": "integer",
            "x-kubernetes-validations": [{"rule": "self >= oldSelf", "message": "a row only grows"}],
        },
        "width": {"type": "integer", "minimum": 2},
    },
}
RANGE: Object = {
    "type": "object",
    "properties": {"low": {"type": "integer"}, "high": {"type": "integer"}},
    "x-kubernetes-validations": [
        {
            "rule": "!has(self.low) || !has(self.high) || self.low <= self.high",
            "message": "low is at most high",
            "messageExpression": "'low is at most high, found %d and %d'.format([self.low, self.high])",
            "fieldPath": ".low",
        },
        {"rule": "has(self.high)", "message": "high is needed", "reason": "FieldValueRequired", "fieldPath": ".high"},
        {"rule": "!has(self.low) || self.low != 13", "message": "not thirteen", "reason": "FieldValueForbidden"},
        {
            "rule": "!has(self.low) || self.low != 14",
            "message": "not fourteen",
            "reason": "FieldValueDuplicate",
            "fieldPath": ".low",
        },
    ],
}
FIELDS: Object = {
    "count": {"type": "integer", "minimum": 1, "maximum": 10},
    "above": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 1, "exclusiveMaximum": True},
    "step": {"type": "integer", "multipleOf": 5},
    "mode": {"type": "string", "enum": ["fast", "slow"]},
    "level": {"type": "integer", "enum": [1, 2, 3]},
    "code": {"type": "string", "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 4},
    "when": {"type": "string", "format": "date-time"},
    "on": {"type": "boolean"},
    "port": {"x-kubernetes-int-or-string": True},
    "note": {"type": "string", "nullable": True},
    "tags": {"type": "array", "maxItems": 3, "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
    "steps": {"type": "array", "minItems": 1, "maxItems": 9, "items": {"type": "string", "maxLength": 3}},
    "labels": {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 2,
        "additionalProperties": {"type": "string", "maxLength": 3},
    },
    "rows": {
        "type": "array",
        "maxItems": 9,
        "items": ROW,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    },
    "nested": {
        "type": "object",
        "required": ["must", "too"],
        "properties": {
            "must": {"type": "string"},
            "too": {"type": "object", "properties": {"deep": {"type": "integer", "maximum": 7}}},
        },
    },
    "either": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
    },
    "range": RANGE,
    "guess": {
        "type": "object",
        "properties": {"low": {"type": "integer"}, "high": {"type": "integer"}},
        "x-kubernetes-validations": [{"rule": "self.low > 0", "message": "low is above 0"}],
    },
    "some": {"type": "string", "anyOf": [{"pattern": "^a"}, {"pattern": "^b"}], "not": {"pattern": "z$"}},
    "small": {"type": "integer", "format": "int32"},
    "fixed": {
        "type": "integer",
        "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "fixed never changes"}],
    },
    "text": {
        "type": "string",
        "maxLength": 50,
        "x-kubernetes-validations": [{"rule": "self.startsWith('t') && self.size() < 9"}],
    },
    "once": {
        "type": "string",
        "maxLength": 20,
        "x-kubernetes-validations": [
            {
                "rule": "!oldSelf.hasValue() || oldSelf.value() == '' || oldSelf.value() == self",
                "optionalOldSelf": True,
                "message": "once set it stays",
            }
        ],
    },
    "amount": {
        "type": "string",
        "maxLength": 20,
        "x-kubernetes-validations": [
            {"rule": "isQuantity(self) && quantity(self).isGreaterThan(quantity('1Gi'))", "message": "more than 1Gi"}
        ],
    },
    "pairs": {
        "type": "array",
        "maxItems": 5,
        "items": {"type": "integer"},
        "x-kubernetes-validations": [
            {"rule": "self.all(x, x > 0) && self.exists_one(x, x == 1)", "message": "one of them is 1, all above 0"}
        ],
    },
}


def gauge(name: str, spec: Any = None, **meta: Any) -> Object:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "Gauge",
        "metadata": {"name": name, **meta},
        "spec": {} if spec is None else spec,
    }


def gauges() -> Object:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "required": ["spec"],
                "properties": {"spec": {"type": "object", "properties": FIELDS}},
                "x-kubernetes-validations": [
                    {"rule": "self.metadata.name != 'forbidden'", "message": "not by that name"}
                ],
            }
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"gauges.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": "gauges", "kind": "Gauge"},
            "versions": [version],
        },
    }
