"""A picture of the ledger's page for the README: ``claims_picture.py index.html claims.png``; wants Chromium."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright


def main() -> int:
    """Take the picture with one card open."""
    page_file, picture = map(Path, sys.argv[1:])
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.stderr.write("chromium is not there; install the distribution's package of that name\n")
        return 1
    with sync_playwright() as playwright:
        # With its sandbox, Chromium does not start as root.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": 1240}, color_scheme="light")
        page.goto(page_file.resolve().as_uri())
        page.click("#T3 > summary")
        page.screenshot(path=picture)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
