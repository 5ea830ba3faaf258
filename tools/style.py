"""Look at the style of pages and docstrings: long sentences, inverted ones, and words that the glossary replaces.

Exit code 1 and a line for each finding, ``FILE:LINE: what``. Code, tables, quotations, formulas and generated pages are
passed over.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
GENERATED = {"commands.md", "settings.md", "records.md", "json.md", "ledger.md"}
LONGEST = 35
"""Words of a sentence, at most; a colon or a semicolon ends one."""
INVERTED = {
    r"\bof which (?:it|they|he|she|one|nothing|something)\b": "say whose or what first",
    r"\bof (?:whom|what) (?:it|they|is|was|are|were)\b": "say whose or what first",
    r"\bwhat (?:\w+ ){1,5}(?:is|are|was|were) (?:that|what|by|of)\b": "begin with the subject",
    r"\b(?:it|that|this) is what (?:it|that|this|they|he|she)\b": "begin with the subject",
    r"^Of (?:an?|the|its|their|every|each|all|what|whom) \w+ (?:it|they|that|what|nothing)\b": "begin with the subject",
    r"^By (?:which|how much|what)\b": "begin with a noun or a verb",
    r"^(?:That|What) (?:\w+ ){1,12}(?:is|was|are|were|has been) (?:what|that|by|of)\b": "begin with the subject",
    r"^That (?!is\b|was\b)(?:\w+ ){1,3}(?:is|are|was|were|has|have)\b[^,]* (?:is|are|was|were)\b": "say the fact first",
}
"""Patterns of turned sentences, and the remedy."""
FIRST = re.compile(
    r"(?:By which|By how|By what|Of which|Of what|Of whom|What|Which|Who|Whose|How|That|To which|At which)\b"
)
"""Beginnings that a docstring may not have: it begins with the noun or the verb that says what the thing is."""


def glossary() -> dict[str, str]:
    """Words that are not used here, and the word that is: the last and first columns of docs/glossary.md."""
    found = {}
    for row in re.findall(
        r"^\| \*\*(.+?)\*\*.*\| ([^|]+) \|$", (ROOT / "docs/glossary.md").read_text("utf-8"), re.MULTILINE
    ):
        found |= {word.strip(): row[0].replace("**", "") for word in row[1].split(",")}
    return found


def paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """Running text of a page with the line it begins in, without code, tables, quotations, formulas and marks."""
    text = re.sub(r"^( *)```.*?^\1```", lambda found: "\n" * found[0].count("\n"), text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"<!--.*?-->", "", text)
    begun, lines = 0, []
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        item = re.match(r"\s*(?:[-*]|\d+\.) ", line)
        if lines and (item or not line.strip() or re.match(r"\||#|>|    ", line)):
            yield begun, " ".join(lines)
            lines = []
        if line.strip() and not re.match(r"\||#|>|    \S", line):
            begun = begun if lines else number
            lines.append(line[item.end() :] if item else line.strip())


def sentences(paragraph: str) -> list[str]:
    """Sentences of a paragraph, without code, quotations and targets of links."""
    plain = re.sub(r"`[^`]*`", "code", paragraph)
    plain = re.sub(r"\"[^\"]*\"", "quote", plain)
    plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", plain).replace("*", "")
    return re.split(r"(?<=[.!?:;])\s+", plain)


def faults(sentence: str, instead: dict[str, str]) -> Iterator[str]:
    """Faults of one sentence."""
    if (words := len(re.findall(r"[A-Za-z]{2}[\w-]*", sentence))) > LONGEST:
        yield f"{words} words, at most {LONGEST}: {sentence[:60]}…"
    for pattern, remedy in INVERTED.items():
        if found := re.search(pattern, sentence):
            yield f"inverted ({remedy}): {found[0]}"
    for word, better in instead.items():
        if re.search(rf"\b{re.escape(word)}s?\b", sentence, re.IGNORECASE):
            yield f"'{word}': the glossary's word is '{better}'"


def of_pages() -> Iterator[str]:
    """Faults of the pages."""
    instead = glossary()
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
    for page in pages:
        if page.name in GENERATED | {"glossary.md"}:
            continue
        for line, paragraph in paragraphs(page.read_text("utf-8")):
            for sentence in sentences(paragraph):
                yield from (f"{page.relative_to(ROOT)}:{line}: {fault}" for fault in faults(sentence, instead))


def of_docstrings() -> Iterator[str]:
    """Docstrings of modules, classes and functions that do not begin with what the thing is."""
    for file in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                told = ast.get_docstring(node) or ""
                if FIRST.match(told):
                    line = getattr(node, "lineno", 1)
                    yield f"{file.relative_to(ROOT)}:{line}: begin with a noun or a verb: {told[:50]}…"


if __name__ == "__main__":
    found = [*of_pages(), *of_docstrings()]
    sys.stdout.write("".join(f"{fault}\n" for fault in found))
    sys.exit(bool(found))
