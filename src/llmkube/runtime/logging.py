"""How the operator's log looks: one JSON object a line for machines, coloured lines for people, both on stderr.

Every library's log goes the same way. Nothing here may ever see a credential: callers log names, never contents.
"""

from __future__ import annotations

import logging
import logging.config
import sys
from typing import Literal

import structlog

Format = Literal["json", "console"]

SHARED = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
)
QUIET = ("asyncio", "aiohttp.access", "kubernetes_asyncio")


def configure(*, style: Format, level: str) -> None:
    """Sets up the log of this process; `level` is debug, info, warning or error."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=SHARED, processors=_renderers(style)))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


def _renderers(style: Format) -> list[structlog.typing.Processor]:
    clean = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if style == "json":
        return [
            clean,
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(),
        ]
    return [clean, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
