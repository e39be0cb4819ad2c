"""Seeds become tests, a few to each, so that workers share them."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import pytest
import structlog

AT_ONCE = 10


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seeds" in metafunc.fixturenames:
        config = metafunc.config
        one, begin = config.getoption("--seed"), config.getoption("--first-seed")
        end = begin + config.getoption("--seeds")
        parts = [range(first, min(first + AT_ONCE, end)) for first in range(begin, end, AT_ONCE)]
        chosen = parts if one is None else [range(one, one + 1)]
        metafunc.parametrize("seeds", chosen, ids=[f"{part.start}-{part.stop - 1}" for part in chosen])


@pytest.fixture(autouse=True)
def _quiet_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """Thousands of faults are logged on purpose; who replays one seed wants to read them."""
    before = structlog.get_config()
    level = logging.CRITICAL if request.config.getoption("--seed") is None else logging.DEBUG
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level), cache_logger_on_first_use=False)
    yield
    structlog.configure(**before)


@pytest.fixture(autouse=True)
def _spared_collector() -> Iterator[None]:
    """A quarter of the time went into walking through all modules again; the operator spares itself that too."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()
