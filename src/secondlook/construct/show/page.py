"""The recording as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import resources
from pathlib import Path

import jinja2

from secondlook.construct.show.document import document
from secondlook.construct.show.exhibits import find
from secondlook.construct.show.panels import Json
from secondlook.construct.show.record import record
from secondlook.machine import whole

_SCRIPTS = ("tables.js", "numbers.js", "plane.js", "page.js")


def render(name: str, *, n: int | None = None, steps: int = 1, eta: float = 0.1, seed: int = 0) -> str:
    """A page that steps through the blocks of a construction, on one drawn context.

    Args:
        name: Of the construction, one of `EXHIBITS`.
        n: Responses, 2 to 16; by default 6, and 2 for Bradley–Terry.
        steps: Gradient steps K, 1 to 8.
        eta: η, above 0 and up to 1.
        seed: Of the context.

    Returns:
        HTML that refers to nothing outside itself, and may not either: its content security policy forbids it.

    Raises:
        ValueError: What cannot be shown, and what to do.
    """
    exhibit = find(name)
    recording = record(exhibit, exhibit.n if n is None else n, steps, eta, seed)
    return _fill(document(name, exhibit, recording, seed))


def write(
    path: str | Path, name: str, *, n: int | None = None, steps: int = 1, eta: float = 0.1, seed: int = 0
) -> Path:
    """Write the page of `render` to a file, which is there afterwards in whole or not at all.

    Returns:
        The path.

    Raises:
        ValueError: What cannot be shown, and what to do.
        OSError: The file cannot be written.
    """
    find(name)
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"folder {target.parent} does not exist; create it, or write to another")
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; name a file in it")
    page = render(name, n=n, steps=steps, eta=eta, seed=seed)
    with whole(target) as file:
        file.write(page.encode())
    return target


def _fill(data: Json) -> str:
    folder = resources.files("secondlook.construct.show") / "assets"
    style = (folder / "page.css").read_text("utf-8")
    script = "\n".join((folder / name).read_text("utf-8") for name in _SCRIPTS)
    # A "<" could end the script element that holds the data.
    inline = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string((folder / "page.html.j2").read_text("utf-8"))
    return template.render(
        data=data, inline=inline, style=style, script=script, style_hash=_hash(style), script_hash=_hash(script)
    )


def _hash(source: str) -> str:
    """What a content security policy calls a text by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"
