"""The documentation as a site: each page read without network, on a telephone, in both themes, and by axe."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from page_checks import check_accessible

ROOT = Path(__file__).parents[2]
PAGES = sorted(page.stem for page in (ROOT / "docs").glob("*.md"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site; a warning fails the build."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")
    return folder


@pytest.fixture(scope="module")
def browsers(chromium):
    """A window for each theme, as wide as a telephone's."""
    contexts = {
        scheme: chromium.new_context(viewport={"width": 360, "height": 800}, color_scheme=scheme)
        for scheme in ("light", "dark")
    }
    yield contexts
    for context in contexts.values():
        context.close()


@pytest.mark.parametrize("name", PAGES)
def test_anyone_can_read_a_page(site, browsers, name):
    file = site / "index.html" if name == "index" else site / name / "index.html"
    for context in browsers.values():
        page, asked = context.new_page(), []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 360  # tables and code scroll by themselves
        check_accessible(page)
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
        page.close()


def test_a_page_is_read_by_keyboard(site, browsers):
    page = browsers["light"].new_page()
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto((site / "commands/index.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent.trim()") == "Skip to content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('article, .md-sidebar, .md-content') !== null")
