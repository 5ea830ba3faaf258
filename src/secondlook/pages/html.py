"""Parts of every page: its style, its templates, and the hashes by which it allows its own texts."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

import jinja2


def style(own: str = "") -> str:
    """The style that pages share, and a page's own after it."""
    return (resources.files("secondlook.pages") / "assets" / "base.css").read_text("utf-8") + own


def environment() -> jinja2.Environment:
    """Jinja environment that escapes every text and lets no missing name pass."""
    return jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def digest(source: str) -> str:
    """Digest by which a content security policy names a text."""
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"
