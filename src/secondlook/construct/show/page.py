"""The recording as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import json

import jinja2

from secondlook.construct.show.document import Json, document
from secondlook.construct.show.exhibits import EXHIBITS
from secondlook.construct.show.record import record
from secondlook.construct.show.verdict_page import NAME, verdict_data
from secondlook.construct.show.words import ASSETS

# They become one script. tables.js is first, as "use strict" counts at the very top only; page.js draws, so it is last.
_SCRIPTS = ("tables.js", "numbers.js", "plane.js", "page.js")


_CLAIMS = {exhibit.claim: name for name, exhibit in EXHIBITS.items()} | {"T12": NAME}


def named(text: str) -> str:
    """The name of a construction, from that or from the id of its claim.

    Raises:
        ValueError: A construction that is unknown, or a claim that has no page; those that have one are listed.
    """
    name = _CLAIMS.get(text.upper(), text)
    if name not in _CLAIMS.values():
        known = ", ".join(f"{name} ({claim})" for claim, name in _CLAIMS.items())
        raise ValueError(f"construction {text!r} is unknown; known: {known}")
    return name


def render(name: str, *, n: int | None = None, steps: int = 1, eta: float = 0.1, seed: int = 0) -> str:
    """A page that steps through the blocks of a construction, on one drawn context.

    Args:
        name: Of the construction, one of ``EXHIBITS``, or its claim; or `verdicts`, a page of T12 with sliders, which
            has but a seed.
        n: Responses, 2 to 16; by default 6, and 2 for Bradley–Terry.
        steps: Gradient steps K, 1 to 8.
        eta: η, above 0 and up to 1.
        seed: Of the context.

    Returns:
        HTML that refers to nothing outside itself, and may not either: its content security policy forbids it.

    Raises:
        ValueError: What cannot be shown, and what to do.
    """
    name = named(name)
    if name == NAME:
        if n not in (None, 2) or steps != 1:
            raise ValueError(
                f"n is {n} and steps is {steps}: the page of verdicts is about 2 answers, a round at a time"
            )
        return fill(verdict_data(seed), "verdicts.html.j2", ("page.css", "verdicts.css"), ("verdicts.js",))
    exhibit = EXHIBITS[name]
    recording = record(exhibit, exhibit.n if n is None else n, steps, eta, seed)
    return fill(document(name, recording, seed))


def fill(
    data: Json,
    template: str = "page.html.j2",
    styles: tuple[str, ...] = ("page.css",),
    scripts: tuple[str, ...] = _SCRIPTS,
) -> str:
    """A page around its data; template, styles and scripts are files among the assets.

    Raises:
        ValueError: A number that JSON does not have.
    """
    style, script = ("\n".join((ASSETS / name).read_text("utf-8") for name in names) for names in (styles, scripts))
    # A "<" could end the script element that holds the data.
    inline = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string((ASSETS / template).read_text("utf-8")).render(
        data=data, inline=inline, style=style, script=script, style_hash=_hash(style), script_hash=_hash(script)
    )


def _hash(source: str) -> str:
    """Digest by which a content security policy names a text."""
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"
