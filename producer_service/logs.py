"""Logs: one JSON object per line, with a constant `event` and fields."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog

from terminal.masking import masked_values


def _mask(_: Any, __: str, fields: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Mask the passwords of URLs, which the errors of libraries quote."""
    return {name: masked_values(value) for name, value in fields.items()}


def configure(level: str, stream: TextIO | None = None) -> None:
    """Log from a level on, to stdout or another stream. Messages of libraries have the same form, from WARNING on."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _mask,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.root.handlers = [handler]
    logging.root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))
    logging.getLogger("producer_service").setLevel(level.upper())
    # APScheduler warns of every overlapping or missed run, which `schedule` counts.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    # `schedule` logs the errors of jobs itself.
    logging.getLogger("apscheduler.executors").setLevel(logging.CRITICAL)
