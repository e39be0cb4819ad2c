"""Reconciles as spans, sent by the real exporter to a collector that keeps what it gets."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from llmkube.kube.kinds import Key
from llmkube.runtime.clock import SystemClock
from llmkube.runtime.controller import Controller
from llmkube.runtime.outcome import Result, TerminalError
from llmkube.runtime.queue import WorkQueue
from llmkube.runtime.tracing import Tracing, from_environment

if TYPE_CHECKING:
    from collections.abc import Iterator


class Collector(HTTPServer):
    """An OTLP collector (HTTP, protobuf)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.spans: list[Any] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.server.spans += [span for scope in resource.scope_spans for span in scope.spans]
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing."""


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as one:
        Thread(target=one.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", one.url)
        yield one
        one.shutdown()


async def reconcile_all(tracing: Tracing, *names: str) -> None:
    """One reconcile for each name; each makes one request, and fails when it is called `bad`."""
    queue: WorkQueue[Key] = WorkQueue(SystemClock())
    left = len(names)

    async def reconcile(key: Key) -> Result:
        nonlocal left
        left -= 1
        if not left:
            controller.stop()
        with tracing.request("PATCH", f"/api/v1/{key.name}"):
            await asyncio.sleep(0)
        if key.name == "bad":
            raise TerminalError("it is bad")
        return Result()

    controller = Controller("model", reconcile=reconcile, queue=queue, workers=1)
    controller.tracing = tracing
    for name in names:
        controller.enqueue(Key("team", name))
    await controller.run()


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


async def test_a_reconcile_and_its_requests_are_one_trace(collector: Collector) -> None:
    with from_environment() as tracing:
        await reconcile_all(tracing, "chat", "bad")
    by_name = {span.name: span for span in collector.spans}
    reconciles = [each for each in collector.spans if each.name == "reconcile model"]
    assert [attributes(each)["outcome"] for each in reconciles] == ["Result", "Terminal"]
    assert attributes(reconciles[0]).items() >= {("controller", "model"), ("namespace", "team"), ("name", "chat")}
    request = by_name["PATCH /api/v1/chat"]
    assert (request.trace_id, request.parent_span_id) == (reconciles[0].trace_id, reconciles[0].span_id)


async def test_a_request_that_belongs_to_no_reconcile_is_not_recorded(collector: Collector) -> None:
    with from_environment() as tracing, tracing.request("GET", "/version"):
        pass
    assert collector.spans == []


async def test_without_an_endpoint_nothing_is_recorded_and_nothing_is_imported() -> None:
    with from_environment({}) as tracing:
        await reconcile_all(tracing, "chat")
    code = "import sys, llmkube.cli.operator, llmkube.runtime.controller; print('opentelemetry' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_a_collector_that_is_not_there_delays_the_end_by_no_more_than_its_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with from_environment() as tracing, tracing.span("one", {}):
        pass
