"""The recording as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import json

import jinja2

from secondlook.construct.show.document import Json, document
from secondlook.construct.show.exhibits import EXHIBITS
from secondlook.construct.show.record import record
from secondlook.construct.show.words import ASSETS

_SCRIPTS = ("tables.js", "numbers.js", "plane.js", "page.js")


def render(name: str, *, n: int | None = None, steps: int = 1, eta: float = 0.1, seed: int = 0) -> str:
    """A page that steps through the blocks of a construction, on one drawn context.

    Args:
        name: Of the construction, one of ``EXHIBITS``.
        n: Responses, 2 to 16; by default 6, and 2 for Bradley–Terry.
        steps: Gradient steps K, 1 to 8.
        eta: η, above 0 and up to 1.
        seed: Of the context.

    Returns:
        HTML that refers to nothing outside itself, and may not either: its content security policy forbids it.

    Raises:
        ValueError: What cannot be shown, and what to do.
    """
    if name not in EXHIBITS:
        raise ValueError(f"construction {name!r} is unknown; known: {', '.join(EXHIBITS)}")
    exhibit = EXHIBITS[name]
    recording = record(exhibit, exhibit.n if n is None else n, steps, eta, seed)
    return fill(document(name, recording, seed))


def fill(data: Json) -> str:
    """The page around its data.

    Raises:
        ValueError: A number that JSON does not have.
    """
    style = (ASSETS / "page.css").read_text("utf-8")
    script = "\n".join((ASSETS / name).read_text("utf-8") for name in _SCRIPTS)
    # A "<" could end the script element that holds the data.
    inline = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string((ASSETS / "page.html.j2").read_text("utf-8"))
    return template.render(
        data=data, inline=inline, style=style, script=script, style_hash=_hash(style), script_hash=_hash(script)
    )


def _hash(source: str) -> str:
    """What a content security policy calls a text by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"
