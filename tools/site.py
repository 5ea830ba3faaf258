"""Hook of the site (mkdocs): pages may show what lies beside ``docs/``, as they do when read in the repository."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
_CORNER = re.compile(r"<th[^>]*></th>")
_OUTSIDE = re.compile(r"\]\(\.\./([^)#\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add every file outside ``docs/`` that a page points to."""
    pages = [file for file in files if file.is_documentation_page()]
    for name in sorted({name for page in pages for name in _OUTSIDE.findall(page.content_string)}):
        if (ROOT / name).is_file():
            files.append(File.generated(config, _within(name), abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Turn links to files outside ``docs/`` to where the site has them."""
    return _OUTSIDE.sub(lambda found: f"]({_within(found[1])})", markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """A corner of a table is no heading: Markdown has no other way to write it, and screen readers read headings."""
    return _CORNER.sub("<td></td>", html)


def _within(name: str) -> str:
    # Text that a browser would offer to save is shown instead.
    return f"beside/{name}" + (".txt" if name.endswith((".md", ".py", ".toml")) else "")
