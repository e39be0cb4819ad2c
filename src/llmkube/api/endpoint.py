"""What an InferenceService may say of how it is reached: its Service, TLS, and a route from outside of the cluster."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from llmkube.api.fields import DNS_LABEL, LIST_SET, MAP_ATOMIC, Annotations, LabelName, ObjectName, Record, SecretName
from llmkube.api.rules import Rule

_INT32 = {"format": "int32"}
_Port = Annotated[int, Field(ge=1, le=65535, json_schema_extra=_INT32)]
_LABEL = DNS_LABEL.strip("^$")
_Host = Annotated[str, Field(min_length=1, max_length=253, pattern=rf"^(\*\.)?{_LABEL}(\.{_LABEL})*$")]


class ParentReference(Record):
    """A Gateway, or one of its listeners."""

    name: ObjectName
    """Name of the Gateway."""
    namespace: LabelName | None = None
    """Namespace of the Gateway; this one when left out."""
    section_name: ObjectName | None = None
    """Name of the listener; all that match when left out."""


class RouteTLS(Record):
    """That clients come by HTTPS, and with which certificate."""

    secret_ref: Annotated[SecretName, Field(json_schema_extra=MAP_ATOMIC)] | None = None
    """Secret of type kubernetes.io/tls for an Ingress; by default the controller's own certificate."""


class Route(Record):
    """A way in from outside of the cluster."""

    kind: Literal["Ingress", "HTTPRoute"]
    """What is made: an Ingress (networking.k8s.io/v1), or an HTTPRoute (gateway.networking.k8s.io/v1)."""
    hosts: Annotated[tuple[_Host, ...], Field(min_length=1, max_length=16, json_schema_extra=LIST_SET)]
    """Host names of requests, e.g. chat.example.com."""
    path: Annotated[str, Field(max_length=256, pattern=r"^/[-A-Za-z0-9/._~]*$")] = "/v1"
    """Prefix of the paths that come through, as the engine has them: nothing is rewritten. /v1 is the OpenAI API alone;
    / adds the engine's own pages, among them /metrics, /slots and /props."""
    class_name: ObjectName | None = None
    """IngressClass; by default the cluster's own."""
    parent_ref: ParentReference | None = None
    """The Gateway of an HTTPRoute."""
    tls: RouteTLS | None = None
    """That clients come by HTTPS; by default they come by HTTP. A Gateway's listener has its own certificate."""
    annotations: Annotations | None = None
    """Annotations of the Ingress or HTTPRoute, e.g. a controller's time limits."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="className",
            cel="self.kind == 'Ingress' || !has(self.className)",
            holds=lambda route: route.kind == "Ingress" or route.class_name is None,
            expected="className with kind Ingress only",
            found="%s",
            found_cel=("self.kind",),
            values=lambda route: (route.kind,),
            fix="remove it, or change kind",
        ),
        Rule(
            field="parentRef",
            cel="(self.kind == 'HTTPRoute') == has(self.parentRef)",
            holds=lambda route: (route.kind == "HTTPRoute") == (route.parent_ref is not None),
            expected="a parentRef with kind HTTPRoute, and none with Ingress",
            found="kind %s",
            found_cel=("self.kind",),
            values=lambda route: (route.kind,),
            fix="name the Gateway in parentRef, or change kind",
        ),
        Rule(
            field="tls",
            cel="self.kind == 'Ingress' || !has(self.tls) || !has(self.tls.secretRef)",
            holds=lambda route: route.kind == "Ingress" or route.tls is None or route.tls.secret_ref is None,
            expected="tls.secretRef with kind Ingress only",
            found="%s",
            found_cel=("self.kind",),
            values=lambda route: (route.kind,),
            fix="remove it: the Gateway's listener names its certificate",
        ),
    )


class EndpointTLS(Record):
    """That the engine itself answers by HTTPS."""

    secret_ref: Annotated[SecretName, Field(json_schema_extra=MAP_ATOMIC)]
    """Secret of type kubernetes.io/tls in the same namespace; another certificate in it replaces the pods."""


class Endpoint(Record):
    """How the service is reached."""

    port: _Port = 8080
    """Port of the Service."""
    path: Annotated[str, Field(max_length=256, pattern=r"^/\S*$")] = "/v1/chat/completions"
    """Path that status.endpoint names, that of the mode where it is left as it is; the engine answers on all of its."""
    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    """Type of the Service."""
    annotations: Annotations | None = None
    """Annotations of the Service, e.g. for a load balancer."""
    tls: EndpointTLS | None = None
    """That the engine itself answers by HTTPS; by default it answers by HTTP."""
    route: Route | None = None
    """A way in from outside of the cluster; none by default."""
