"""The options of `llmkube operator`, in the order in which its help shows them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from llmkube.cli.operator_types import Image, Listed
from llmkube.desired.settings import ENGINE_REPOSITORY, FETCHER_IMAGE, Scrape
from llmkube.models.source import HUGGING_FACE

if TYPE_CHECKING:
    from collections.abc import Callable

_PROCESS = (
    click.option(
        "--kubeconfig",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Kubeconfig file; by default $KUBECONFIG, ~/.kube/config, then the pod's service account.",
    ),
    click.option("--context", help="Context of the kubeconfig."),
    click.option(
        "--namespace",
        "--namespaces",
        "namespaces",
        type=Listed(),
        multiple=True,
        metavar="NS",
        help="Namespace to work in; repeatable; all by default.",
    ),
    click.option("--health-host", help="Address of the health server; every address by default."),
    click.option(
        "--health-port",
        type=click.IntRange(-1, 65535),
        default=8081,
        help="Port of /healthz, /readyz and /metrics; 0 takes a free one, -1 serves none.",
    ),
    click.option(
        "--leader-elect/--no-leader-elect", default=True, help="Work only while this process holds the Lease."
    ),
    click.option("--leader-election-namespace", metavar="NS", help="Namespace of the Lease; by default the context's."),
    click.option(
        "--leader-election-lease-duration",
        type=click.IntRange(min=1),
        default=15,
        metavar="SECONDS",
        help="How long a standby waits after the leader's last renewal before it leads.",
    ),
    click.option(
        "--leader-election-renew-deadline",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="How long the leader tries to renew before it exits.",
    ),
    click.option(
        "--leader-election-retry-period",
        type=float,
        default=2.0,
        metavar="SECONDS",
        help="How long everybody waits between two tries.",
    ),
)
"""How this process reaches the API server, and leads."""

_IMAGES = (
    click.option("--fetcher-image", default=FETCHER_IMAGE, help="Image that has `llmkube fetch`."),
    click.option(
        "--image",
        "images",
        type=Image(),
        multiple=True,
        help="Image of llama-server for an accelerator, or for its nodes of one architecture; repeatable; the others "
        "keep theirs.",
    ),
    click.option(
        "--image-repository",
        default=ENGINE_REPOSITORY,
        metavar="REPOSITORY",
        help="Where llama.cpp's own images are pulled from: a mirror with the same tags.",
    ),
    click.option(
        "--image-pull-secret",
        "image_pull_secrets",
        type=Listed(),
        multiple=True,
        metavar="NAME",
        help="Secret with which images are pulled, in each namespace that has services; repeatable.",
    ),
    click.option(
        "--engine-build",
        type=click.IntRange(min=1),
        metavar="NUMBER",
        help="llama.cpp build of the images whose tag does not end with one, e.g. 11669.",
    ),
    click.option(
        "--architecture",
        "architectures",
        type=Listed(),
        multiple=True,
        metavar="NAME",
        help="Architecture that the engines of --image know besides the pinned build's; repeatable.",
    ),
)
"""Which images run, where they come from, and what they take."""

_SOURCES = (
    click.option(
        "--source-allow",
        type=Listed(),
        multiple=True,
        metavar="HOST|CIDR",
        help="Non-public host or network that models may come from; repeatable.",
    ),
    click.option(
        "--source-root",
        "source_roots",
        type=Listed(),
        multiple=True,
        metavar="DIR",
        help="Directory that file:// models may be in; repeatable.",
    ),
    click.option(
        "--hugging-face",
        default=HUGGING_FACE,
        envvar=["LLMKUBE_HUGGING_FACE", "HF_ENDPOINT"],
        metavar="URL",
        help="Endpoint that hf:// models are read from: a mirror.",
    ),
    click.option(
        "--refresh-interval",
        "refresh_seconds",
        type=click.FloatRange(min=1.0),
        default=600.0,
        envvar="LLMKUBE_REFRESH_INTERVAL",
        metavar="SECONDS",
        help="How often the source of a Model with refresh OnChange is looked at.",
    ),
    click.option(
        "--reference-interval",
        "reference_seconds",
        type=click.FloatRange(min=1.0),
        default=60.0,
        envvar="LLMKUBE_REFERENCE_INTERVAL",
        metavar="SECONDS",
        help="How often Secrets and ConfigMaps that InferenceServices name are read.",
    ),
)
"""Where models may come from, and how often it is looked there."""

_PODS = (
    click.option(
        "--cluster-domain", default="cluster.local", help="DNS domain of the cluster; empty where it has none."
    ),
    click.option(
        "--scrape",
        type=click.Choice(get_args(Scrape)),
        default="annotations",
        help="How Prometheus is told of the engines: prometheus.io annotations of their pods, or PodMonitors.",
    ),
    click.option(
        "--scrape-from",
        type=Listed(),
        multiple=True,
        metavar="NS",
        help="Namespace that a service's NetworkPolicy lets in besides, for scraping; repeatable.",
    ),
    click.option(
        "--user-namespaces/--no-user-namespaces",
        default=False,
        help="Give every pod a user namespace of its own (hostUsers: false); the nodes must be able to.",
    ),
)
"""What stands around the pods."""

_LOG = (
    click.option(
        "--log-format", type=click.Choice(["json", "console"]), default="json", help="Form of the log on stderr."
    ),
    click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info"),
)
"""What is told, and how."""


def operator_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add all of them."""
    for option in reversed((*_PROCESS, *_IMAGES, *_SOURCES, *_PODS, *_LOG)):
        function = option(function)
    return function
