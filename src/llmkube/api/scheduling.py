"""Where pods may run, in Kubernetes' own terms (core/v1), typed and bounded so that the CRD checks and explains."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from llmkube.api.fields import (
    LIST_ATOMIC,
    MAP_ATOMIC,
    Count,
    Int64,
    LabelName,
    Labels,
    LabelValue,
    QualifiedName,
    Record,
    list_map,
)

_Values = Annotated[tuple[LabelValue, ...], Field(max_length=64, json_schema_extra=LIST_ATOMIC)]
_Keys = Annotated[tuple[QualifiedName, ...], Field(max_length=16, json_schema_extra=LIST_ATOMIC)]
_Namespaces = Annotated[tuple[LabelName, ...], Field(max_length=64, json_schema_extra=LIST_ATOMIC)]
_Weight = Annotated[int, Field(ge=1, le=100, json_schema_extra={"format": "int32"})]


class Toleration(Record):
    """A taint that the pods accept."""

    key: Annotated[str, Field(max_length=317)] | None = None
    """Key of the taint; empty matches every key, with operator Exists."""
    operator: Literal["Exists", "Equal", "Lt", "Gt"] | None = None
    """How key and value compare; Equal by default."""
    value: LabelValue | None = None
    """Value of the taint."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; empty matches every effect."""
    toleration_seconds: Int64 | None = None
    """How long a NoExecute taint is tolerated."""


class LabelExpression(Record):
    """A requirement on one label."""

    key: QualifiedName
    """Key of the label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How the label and the values compare."""
    values: _Values | None = None
    """Values for In and NotIn."""


_LabelExpressions = Annotated[tuple[LabelExpression, ...], Field(max_length=32, json_schema_extra=LIST_ATOMIC)]


class LabelSelector(Record):
    """Objects by their labels; every requirement must hold."""

    match_labels: Labels | None = None
    """Labels with exactly these values."""
    match_expressions: _LabelExpressions | None = None
    """Requirements on labels."""


class NodeExpression(Record):
    """A requirement on one label or field of a node."""

    key: QualifiedName
    """Key of the label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    """How the label and the values compare."""
    values: _Values | None = None
    """Values to compare with."""


_NodeExpressions = Annotated[tuple[NodeExpression, ...], Field(max_length=32, json_schema_extra=LIST_ATOMIC)]


class NodeSelectorTerm(Record):
    """Requirements on a node, all of which must hold."""

    match_expressions: _NodeExpressions | None = None
    """Requirements on the node's labels."""
    match_fields: _NodeExpressions | None = None
    """Requirements on the node's fields."""


class NodeSelector(Record):
    """Nodes for which at least one term holds."""

    node_selector_terms: Annotated[
        tuple[NodeSelectorTerm, ...], Field(min_length=1, max_length=16, json_schema_extra=LIST_ATOMIC)
    ]
    """The terms."""


class PreferredNodes(Record):
    """Nodes that are preferred, with a weight."""

    weight: _Weight
    """From 1 to 100."""
    preference: NodeSelectorTerm
    """What is preferred."""


class NodeAffinity(Record):
    """Which nodes."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    """Nodes that pods may run on."""
    preferred_during_scheduling_ignored_during_execution: (
        Annotated[tuple[PreferredNodes, ...], Field(max_length=16, json_schema_extra=LIST_ATOMIC)] | None
    ) = None
    """Nodes that pods should rather run on."""


class PodAffinityTerm(Record):
    """Pods to be near to, or away from."""

    topology_key: QualifiedName
    """The node label that says what near means, e.g. kubernetes.io/hostname."""
    label_selector: LabelSelector | None = None
    """Which pods."""
    namespaces: _Namespaces | None = None
    """Namespaces of the pods; this one by default."""
    namespace_selector: LabelSelector | None = None
    """Namespaces of the pods, by labels."""
    match_label_keys: _Keys | None = None
    """Labels whose values the pods must share with this one."""
    mismatch_label_keys: _Keys | None = None
    """Labels whose values the pods must not share with this one."""


class WeightedPodAffinityTerm(Record):
    """Pods that are preferred to be near to, or away from, with a weight."""

    weight: _Weight
    """From 1 to 100."""
    pod_affinity_term: PodAffinityTerm
    """Which pods."""


_PodTerms = Annotated[tuple[PodAffinityTerm, ...], Field(max_length=16, json_schema_extra=LIST_ATOMIC)]
_WeightedPodTerms = Annotated[tuple[WeightedPodAffinityTerm, ...], Field(max_length=16, json_schema_extra=LIST_ATOMIC)]


class PodAffinity(Record):
    """Which pods to be near to, or away from."""

    required_during_scheduling_ignored_during_execution: _PodTerms | None = None
    """What must hold."""
    preferred_during_scheduling_ignored_during_execution: _WeightedPodTerms | None = None
    """What should rather hold."""


class Affinity(Record):
    """Where pods may and should run, relative to nodes and to other pods."""

    node_affinity: NodeAffinity | None = None
    """Which nodes."""
    pod_affinity: PodAffinity | None = None
    """Which pods to be near to."""
    pod_anti_affinity: PodAffinity | None = None
    """Which pods to be away from."""


class TopologySpreadConstraint(Record):
    """How evenly pods are spread over zones, nodes and the like."""

    max_skew: Annotated[int, Field(ge=1, le=1000, json_schema_extra={"format": "int32"})]
    """How many more pods one place may have than another."""
    topology_key: QualifiedName
    """The node label that names the place."""
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    """What to do with a pod that would break it."""
    label_selector: LabelSelector | None = None
    """Which pods count; those of this service by default."""
    min_domains: Count | None = None
    """How many places there must be."""
    node_affinity_policy: Literal["Honor", "Ignore"] | None = None
    """Whether nodes that the pods' affinity excludes count."""
    node_taints_policy: Literal["Honor", "Ignore"] | None = None
    """Whether nodes with taints that the pods do not tolerate count."""
    match_label_keys: _Keys | None = None
    """Labels that tell one revision's pods from another's."""


Tolerations = Annotated[tuple[Toleration, ...], Field(max_length=32, json_schema_extra=LIST_ATOMIC)]
TopologySpread = Annotated[
    tuple[TopologySpreadConstraint, ...],
    Field(max_length=16, json_schema_extra=list_map("topologyKey", "whenUnsatisfiable")),
]
NodeLabels = Annotated[Labels, Field(json_schema_extra=MAP_ATOMIC)]
