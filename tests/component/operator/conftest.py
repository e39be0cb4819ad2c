"""The operator on a control plane, in a namespace of the test's own, with a stand-in for nodes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hack.gobuild import BuildError
from tests.component.local.conftest import models, smollm2
from tests.component.operator.api import PREFIXES, Api, Object, Refused
from tests.component.operator.kubelet import Kubelet
from tests.component.operator.plane import Plane, embedded, real
from tests.component.operator.process import Operator
from tests.foreign_kinds import definitions

__all__ = ["models", "smollm2"]
Until = Callable[..., Any]
FOREIGN = ("httproutes", "podmonitors")
COLLECTED = 120.0
"""Seconds: the garbage collector of a young control plane looks for new kinds now and then only."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On the embedded control plane, which lacks what they ask, tests of the real one are not there at all."""
    if config.getoption("--control-plane") == "embedded":
        left_out = [each for each in items if each.get_closest_marker("real_control_plane")]
        items[:] = [each for each in items if each not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Of a test that failed: what was there besides what it asked for."""
    report = yield
    there: dict[str, Any] = getattr(item, "funcargs", {})
    if call.when == "call" and report.failed and {"api", "here"} <= there.keys():
        report.sections.append(("the namespace", namespace_of(there["api"], there["here"])))
    return report


def namespace_of(api: Api, here: str) -> str:
    """A line for each object that decides whether a service is ready."""
    lines = []
    for resource in ("jobs", "deployments", "pods", "endpointslices"):
        for each in api.items(resource, here):
            name = each["metadata"]["name"]
            lines.append(f"{resource}/{name}: {each.get('status') or each.get('endpoints')}"[:800])
    return "\n".join(lines)


@pytest.fixture(scope="session")
def plane(request: pytest.FixtureRequest) -> Iterator[Plane]:
    with (embedded if request.config.getoption("--control-plane") == "embedded" else real)() as found:
        yield found


@pytest.fixture(scope="module")
def api(plane: Plane) -> Api:
    return plane.api


@pytest.fixture(scope="session", autouse=True)
def kubelet(plane: Plane) -> Iterator[Kubelet]:
    with Kubelet(plane.api, binds=plane.is_real) as one:
        yield one


@pytest.fixture
def here(api: Api, until: Until) -> Iterator[str]:
    """A namespace, ready for pods."""
    name = f"operator-{secrets.token_hex(4)}"
    api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    api.delete("namespaces", "", name)


@pytest.fixture
def foreign_kinds(api: Api, until: Until) -> Iterator[None]:
    """HTTPRoute and PodMonitor are served from before the operator starts until the test's end."""
    try:
        files = definitions()
    except BuildError as error:
        pytest.skip(f"HTTPRoute and PodMonitor are NOT tested: {error}")
    api.apply_files(*files)
    for resource in FOREIGN:
        until(lambda of=resource: api.items(of, "default"), lambda found: found == [])
    yield
    for resource in FOREIGN:
        group = PREFIXES[resource].split("/")[2]
        api.delete("customresourcedefinitions", "", f"{resource}.{group}")


@pytest.fixture
def flags() -> tuple[str, ...]:
    """Further options of the operator."""
    return ()


@pytest.fixture
def operator(plane: Plane, here: str, flags: tuple[str, ...], tmp_path: Path) -> Iterator[Operator]:
    """One operator of this namespace alone."""
    own = ("--no-leader-elect", "--namespace", here)
    with Operator(plane.kubeconfig, tmp_path / "operator.log", *own, *flags) as one:
        one.until_ready()
        yield one


@pytest.fixture(scope="session")
def until() -> Until:
    def wait(look: Callable[[], Any], good: Callable[[Any], Any] = bool, *, seconds: float = 30) -> Any:
        deadline = time.monotonic() + seconds
        seen: Any = None
        while time.monotonic() < deadline:
            try:
                if good(seen := look()):
                    return seen
            except (Refused, KeyError, IndexError):
                pass
            time.sleep(0.05)
        if isinstance(seen, dict):
            seen.get("metadata", {}).pop("managedFields", None)
        pytest.fail(f"never became good within {seconds} s; last seen:\n{yaml.safe_dump(seen)}")

    return wait


@pytest.fixture
def documents(models: Any) -> Callable[..., tuple[Object, Object]]:
    """A Model and a service of it."""

    def make(name: str = "chat", **spec: Any) -> tuple[Object, Object]:
        source = models.url("smollm2.gguf")
        model = {"apiVersion": "inference.llmkube.dev/v1alpha1", "kind": "Model", "metadata": {"name": name}}
        service = {"apiVersion": model["apiVersion"], "kind": "InferenceService", "metadata": {"name": name}}
        return {**model, "spec": {"source": source}}, {**service, "spec": {"modelRef": name, **spec}}

    return make


@pytest.fixture
def serving(api: Api, here: str, operator: Operator, documents: Callable[..., Any], until: Until) -> Callable[..., Any]:
    """Apply both documents and wait until the service is ready."""

    def serve(name: str = "chat", **spec: Any) -> Object:
        model, service = documents(name, **spec)
        api.apply("models", here, model)
        api.apply("inferenceservices", here, service)
        found: Object = until(lambda: api.get("inferenceservices", here, name), is_ready)
        return found

    return serve


@pytest.fixture
def steady(api: Api, here: str, operator: Operator, until: Until) -> Iterator[None]:
    """Whatever a test did: in the end a look that finds nothing new writes nothing."""
    yield
    sent, done = operator.settled(), operator.metric("controller_runtime_reconcile_total")
    there = [(each, kind) for kind in ("models", "inferenceservices") for each in api.items(kind, here)]
    for each, kind in there:
        api.patch(kind, here, each["metadata"]["name"], {"metadata": {"labels": {"look": "again"}}})
    until(lambda: operator.metric("controller_runtime_reconcile_total"), lambda found: found >= done + len(there))
    assert operator.settled() == sent


def is_ready(service: Object) -> bool:
    status = service.get("status", {})
    return status.get("phase") == "Ready" and status["observedGeneration"] == service["metadata"]["generation"]
