"""OpenAPI description of our own part of the interface; the rest is the upstream's."""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any


@cache
def document(*, keys: bool) -> dict[str, Any]:
    """The document, ``openapi.json`` with our version.

    Args:
        keys: Whether clients need a key.
    """
    made: dict[str, Any] = json.loads(files("secondlook.gateway").joinpath("openapi.json").read_text("utf-8"))
    made["info"]["version"] = version("secondlook")
    if keys:
        for path, operations in made["paths"].items():
            for operation in operations.values() if path.startswith("/v1/") else ():
                operation["security"] = [{"key": []}]
    else:
        del made["components"]["securitySchemes"]
    return made
