"""One line of JSON for each request; what was said stands in it only if that is asked for."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict

from secondlook.gateway.audit import AuditRow

LOGGER = logging.getLogger("secondlook.gateway")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": round(record.created, 3), "level": record.levelname.lower(), "event": record.getMessage()}
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line["error"] = f"{type(error).__name__}: {' '.join(str(error).split())}"
        # In ASCII: what a client sent, a model's name for one, cannot end a line or move a terminal's cursor.
        return json.dumps(line, default=str)


def set_up(level: int = logging.INFO) -> None:
    """Send our lines, and what the server below us warns of, to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Json())
    for logger, least in ((LOGGER, level), (logging.getLogger("uvicorn"), logging.WARNING)):
        # Replaced, not added: a single worker sets this up again in the process of `serve`.
        logger.handlers[:] = [handler]
        logger.propagate = False
        logger.setLevel(least)


def log(row: AuditRow, *, text: bool) -> None:
    """A line for one request."""
    if LOGGER.isEnabledFor(logging.INFO):
        fields = {name: value for name, value in asdict(row).items() if value is not None and name != "time"}
        if not text:
            fields.pop("transcript", None)
        LOGGER.info("request", extra={"fields": fields})
