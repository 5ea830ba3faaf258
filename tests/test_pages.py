"""What the tools that write pages refuse: a page without the place for what they write."""

import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[1] / "tools"


@pytest.mark.parametrize(
    "page",
    [
        "Nothing.\n",
        "<!-- a:end -->\n",
        "<!-- a:start -->\nold\nmore, which has to stay\n",
        "<!-- ab:start -->\n<!-- ab:end -->\n",
    ],
)
def test_a_page_without_the_block_or_its_end_is_left_alone_and_told(page, monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    sys.modules.pop("evidence_tables", None)
    from evidence_tables import block

    with pytest.raises(ValueError, match="the page has no block 'a': put <!-- a:start --> and <!-- a:end -->"):
        block(page, "a", "new\n")
    whole = "Before.\n<!-- a:start -->\nold\n<!-- a:end -->\nAfter.\n"
    assert block(whole, "a", "new\n") == "Before.\n<!-- a:start -->\nnew\n<!-- a:end -->\nAfter.\n"
