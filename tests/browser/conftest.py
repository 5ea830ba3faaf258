"""Pages in a real browser: headless Chromium from the system's packages, driven by Playwright.

Without one of them tests skip and say so; where CI is "true" they fail instead.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.register_assert_rewrite("page_checks")
QUIET = ("gpu", "quic", "background-networking", "component-update", "sync")
FLAGS = ["--headless", "--no-sandbox", "--no-first-run", *(f"--disable-{what}" for what in QUIET)]


def missing(reason: str) -> None:
    """Skip, or fail where the browser has to be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (a skip becomes a failure where CI=true)", pytrace=False)
    pytest.skip(reason)


# Not for the whole session: while Playwright runs, no other event loop can, and other rooms' tests have theirs.
@pytest.fixture(scope="module")
def chromium():
    """The browser."""
    if find_spec("playwright") is None:
        missing("no Playwright; pip install -c constraints.txt -e '.[dev]'")
    program = os.environ.get("SECONDLOOK_CHROMIUM") or shutil.which("chromium")
    if program is None or not Path(program).is_file():
        missing(f"no Chromium at {program}; apt-get install chromium, or set SECONDLOOK_CHROMIUM to its path")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What pages wrote to the console, raised, or asked for beside their file; a test that expects some clears it."""
    return []


@pytest.fixture
def open_page(chromium, complaints) -> Iterator[Callable]:
    """Open a file as a page of its own; afterwards fail if there were complaints."""
    contexts = []

    def asked(url, own):
        if url.partition("#")[0] != own:
            complaints.append(f"asks for {url}")

    def opened(file: Path, *, fragment="", width=1280, height=900, scheme="light", motion="no-preference"):
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion=motion
        )
        contexts.append(context)
        page, own = context.new_page(), file.resolve().as_uri()
        page.set_default_timeout(120_000)  # a browser on a busy machine comes in its own time
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("request", lambda request: asked(request.url, own))
        page.goto(own + fragment)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
