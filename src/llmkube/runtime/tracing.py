"""Spans of reconciles, and of the requests that each makes: sent by OpenTelemetry when its OTLP endpoint is set.

Everything else is OpenTelemetry's own to configure: OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER and so on. Without
an endpoint nothing is imported and nothing is recorded.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llmkube import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
SERVICE = "llmkube-operator"
FLUSH_MILLISECONDS = 5000


class TracingUnavailableError(Exception):
    """An endpoint is set and the library is not there; the message is one line."""


class Tracing:
    """Records spans with a tracer of OpenTelemetry's, or, without one, nothing."""

    def __init__(self, tracer: Any = None) -> None:
        self._tracer = tracer

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, str | int]) -> Iterator[Any]:
        """Yield a span that is current in this task for the length of the block; None when nothing is recorded."""
        if self._tracer is None:
            yield None
            return
        with self._tracer.start_as_current_span(name, attributes=dict(attributes)) as span:
            yield span

    @contextmanager
    def request(self, method: str, path: str) -> Iterator[None]:
        """Record a request of the API server, where it belongs to a span."""
        if self._tracer is None or not _is_recording():
            yield
            return
        attributes = {"http.request.method": method, "url.path": path}
        with self._tracer.start_as_current_span(f"{method} {path}", attributes=attributes):
            yield


@contextmanager
def from_environment(environment: Mapping[str, str] = os.environ) -> Iterator[Tracing]:
    """Yield what the environment asks for; what was recorded is sent at the end, within bounds."""
    if not any(environment.get(each) for each in ENDPOINTS) or environment.get("OTEL_SDK_DISABLED") == "true":
        yield Tracing()
        return
    provider = _provider()
    try:
        yield Tracing(provider.get_tracer("llmkube", __version__))
    finally:
        provider.force_flush(FLUSH_MILLISECONDS)
        provider.shutdown()


def _provider() -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        fix = "install llmkube[tracing], or unset it"
        raise TracingUnavailableError(
            f"{' or '.join(ENDPOINTS)} is set, and OpenTelemetry is not there: {fix}"
        ) from error
    named = {"service.name": os.environ.get("OTEL_SERVICE_NAME", SERVICE), "service.version": __version__}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _is_recording() -> bool:
    from opentelemetry.trace import get_current_span

    return bool(get_current_span().is_recording())
