"""The part of an object's metadata that people write, bounded as the names of derived objects need it."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ConfigDict

from llmkube.api.fields import Annotations, Labels, ObjectName, Record
from llmkube.api.rules import Rule


class ObjectMeta(Record):
    """Standard Kubernetes metadata; what the API server keeps beside these is carried along unread."""

    model_config = ConfigDict(extra="allow")

    name: ObjectName | None = None
    namespace: ObjectName | None = None
    labels: Labels | None = None
    annotations: Annotations | None = None


_NAME = r"^[a-z]([-a-z0-9.]*[a-z0-9])?$"


def name_rule(kind: str) -> Rule:
    """Return the rule for a name that becomes a label value and, with its dots replaced, the name of a Service."""
    return Rule(
        cel=f"size(self.metadata.name) <= 63 && self.metadata.name.matches('{_NAME}')",
        holds=lambda thing: _is_short_name(thing.metadata),
        expected=f"a {kind} name of at most 63 characters that starts with a letter",
        found_cel="self.metadata.name + ' of ' + string(size(self.metadata.name))",
        found=lambda thing: f"{thing.metadata.name} of {len(thing.metadata.name)}",
        fix="choose another name",
    )


def _is_short_name(metadata: Any) -> bool:
    name = metadata.name
    return name is None or (len(name) <= 63 and re.fullmatch(_NAME, name) is not None)
