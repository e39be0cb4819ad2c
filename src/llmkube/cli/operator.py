"""`llmkube operator`: from flags and environment to a running manager, until SIGTERM or SIGINT.

Only puts parts together: what the operator does is in controllers/, how it runs is in runtime/. A configuration that
cannot work ends in one line before anything is started.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from llmkube.cli.errors import CommandError, one_line
from llmkube.cli.operator_options import operator_options
from llmkube.desired.settings import OperatorSettings, engine_images
from llmkube.kube.errors import KubeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llmkube.kube.client import Client
    from llmkube.kube.lease import Timing
    from llmkube.runtime.manager import Manager
    from llmkube.runtime.metrics import Metrics
    from llmkube.runtime.tracing import Tracing

LEASE = "llmkube-operator"


@dataclass(frozen=True)
class Options:
    """How this process runs, apart from what it renders."""

    kubeconfig: Path | None
    context: str | None
    health_host: str | None
    health_port: int | None
    leader_elect: bool
    leader_election_namespace: str | None
    leader_election_lease_duration: int = 15
    leader_election_renew_deadline: float = 10.0
    leader_election_retry_period: float = 2.0

    def timing(self) -> Timing:
        """Return the lease's times; CommandError when two processes could lead at once with them."""
        from llmkube.kube.lease import Timing

        times = (self.leader_election_lease_duration, self.leader_election_renew_deadline)
        timing = Timing(*times, self.leader_election_retry_period)
        if trouble := timing.trouble():
            raise CommandError(f"--leader-election-*: {trouble}")
        return timing


@click.command(context_settings={"auto_envvar_prefix": "LLMKUBE", "show_default": True})
@operator_options
def operator(
    *,
    log_format: str,
    log_level: str,
    images: tuple[tuple[str, str], ...],
    image_repository: str,
    health_port: int,
    **given: Any,
) -> None:
    """Run the operator: make Models and InferenceServices what they say, until SIGTERM.

    Each option can come from the environment, as LLMKUBE_ and its name, e.g. LLMKUBE_HEALTH_PORT. Those that can be
    repeated are LLMKUBE_NAMESPACES, LLMKUBE_IMAGES, LLMKUBE_IMAGE_PULL_SECRETS, LLMKUBE_SOURCE_ALLOW,
    LLMKUBE_SOURCE_ROOTS, LLMKUBE_ARCHITECTURES and LLMKUBE_SCRAPE_FROM, apart by commas.
    """
    from llmkube.runtime import logging

    logging.configure(style="console" if log_format == "console" else "json", level=log_level)
    rendered = {name: given.pop(name) for name in OperatorSettings.model_fields if name in given}
    settings = OperatorSettings(image_map=engine_images(image_repository) | dict(images), **rendered)
    options = Options(health_port=None if health_port < 0 else health_port, **given)
    with one_line(), expected():
        asyncio.run(run(options, settings))


async def run(options: Options, settings: OperatorSettings) -> None:
    """Run until a signal; raises what `expected` knows when it cannot go on."""
    from llmkube.kube import config
    from llmkube.kube.client import Client
    from llmkube.kube.transport import Transport
    from llmkube.runtime import tracing
    from llmkube.runtime.metrics import Metrics
    from llmkube.runtime.signals import stopping

    cluster, metrics = await config.load(options.kubeconfig, options.context), Metrics()
    requests = Requests(metrics)
    async with Transport(cluster, observer=requests) as transport, Transport(cluster, observer=requests) as leasing:
        with tracing.from_environment() as traces:
            manager = build(Client(transport), Client(leasing), options, settings, metrics=metrics, traces=traces)
            spare_the_collector()
            with stopping(manager.stop):
                await manager.run()


def spare_the_collector() -> None:
    """Keep what stays for good out of the garbage collector's sight, and have it look less often.

    Modules and schemas are most of what it would walk through, again and again. With Python's own thresholds a service
    costs about a sixteenth more CPU until it has converged (tests/bench, convergence).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def build(
    client: Client, leasing: Client, options: Options, settings: OperatorSettings, *, metrics: Metrics, traces: Tracing
) -> Manager:
    """Put the manager together; nothing runs yet. The lease has a way of its own: it never waits behind other writes,
    and those are fenced by it."""
    from llmkube.controllers.setup import controllers
    from llmkube.kube.lease import LeaderElector
    from llmkube.runtime.clock import SystemClock
    from llmkube.runtime.manager import Manager
    from llmkube.runtime.watchdog import Watchdog

    clock = SystemClock()
    wiring = controllers(client, settings, clock)
    metrics.registry.register(wiring.measures)
    for each in wiring.controllers:
        each.tracing = traces
    namespace = options.leader_election_namespace or leasing.namespace
    timing = options.timing()
    elector = LeaderElector(leasing, namespace=namespace, name=LEASE, identity=identity(), clock=clock, timing=timing)
    client.transport.trace = traces.request
    client.transport.fence = elector.seconds_left if options.leader_elect else None
    return Manager(
        informers=wiring.informers,
        controllers=wiring.controllers,
        background=wiring.background,
        health_port=options.health_port,
        health_host=options.health_host,
        elector=elector if options.leader_elect else None,
        watchdog=Watchdog(timing.renew_deadline),
        metrics=metrics,
    )


def identity() -> str:
    """Return who this process is in the Lease: no two are alike, also on one host."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


@dataclass(frozen=True)
class Requests:
    """Counts what the transport asks of the API server."""

    metrics: Metrics

    def request(self, *, method: str, code: str, seconds: float) -> None:
        """Count one request."""
        self.metrics.requests.labels(code, method).inc()
        self.metrics.request_seconds.labels(method).observe(seconds)


@contextmanager
def expected() -> Iterator[None]:
    """Turn the failures that a running operator must expect into one line; a bug keeps its traceback."""
    from llmkube.kube.lease import LeaseLostError
    from llmkube.runtime.health import PortTakenError
    from llmkube.runtime.manager import SyncTimeoutError
    from llmkube.runtime.tasks import EndedError
    from llmkube.runtime.tracing import TracingUnavailableError

    known = (KubeError, LeaseLostError, SyncTimeoutError, PortTakenError, EndedError, TracingUnavailableError)
    try:
        yield
    except known as error:
        raise CommandError(str(error)) from error
    except BaseExceptionGroup as group:
        _, others = group.split(known)
        if others is not None:
            raise
        raise CommandError("; ".join(dict.fromkeys(str(each) for each in leaves(group)))) from group


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield what a task group's failure is made of."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from leaves(each)
    else:
        yield error
