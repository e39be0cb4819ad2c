"""The options of the whole test suite; fixtures live beside the tests that use them."""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest
from hypothesis import settings

# The same examples in every run, so that a commit is judged by what it changes; hack/fuzz properties draws new ones.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")

KUBECONFIG = "LLMKUBE_TEST_KUBECONFIG"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--control-plane",
        choices=("embedded", "real"),
        default="embedded",
        help="what tests/conformance asks: the embedded API server, or a real control plane, which is started for "
        f"the session (see hack/controlplane) where {KUBECONFIG} names none",
    )
    parser.addoption("--seeds", type=int, default=300, metavar="N", help="how many seeds tests/sim runs")
    parser.addoption("--first-seed", type=int, default=0, metavar="SEED", help="the one that they begin with")
    parser.addoption(
        "--seed", type=int, metavar="SEED", help="the one seed that tests/sim runs, with the operators' log"
    )
    parser.addoption("--kubernetes", metavar="X.Y.Z", help="the version of the real control plane that is started")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Start one real control plane, before the workers of xdist: they inherit the variable that names it."""
    config = session.config
    if config.getoption("--control-plane") == "real" and not (os.environ.get(KUBECONFIG) or config.option.collectonly):
        running = ExitStack()
        config.add_cleanup(running.close)
        running.callback(os.environ.pop, KUBECONFIG, None)
        os.environ[KUBECONFIG] = _started(running, config.getoption("--kubernetes"))


def _started(running: ExitStack, version: str | None) -> str:
    from hack.controlplane.cluster import temporary
    from hack.gobuild import BuildError

    try:
        return str(running.enter_context(temporary(version)).kubeconfig)
    except BuildError as error:
        raise pytest.UsageError(f"--control-plane=real: {error}") from error
