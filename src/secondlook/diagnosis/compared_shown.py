"""A comparison as people read it: cells of one table, lines in words, and one HTML page."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from secondlook.diagnosis.compared import Against, LogComparison
from secondlook.layout import ends, number, p_value, points
from secondlook.machine import whole

HEADINGS = ("log", "n", "A", "score", "change [95%]", "p", "Holm", "finding")


def cells(found: LogComparison, one: Against) -> tuple[str, ...]:
    """A row of the table."""
    means = (f"{100 * mean:.1f}%" if found.shares else f"{mean:.4g}" for mean in (one.theirs, one.mine))
    return (
        one.label,
        f"{one.change.n:,}",
        *means,
        changed(found, one),
        p_value(one.p),
        p_value(one.adjusted),
        one.standing,
    )


def changed(found: LogComparison, one: Against) -> str:
    """The change with its interval, in points or in the score's own units."""
    if found.shares:
        return points(one.change)
    return f"{one.change.value:+.3g} {ends(one.change.low, one.change.high, signed=True, digits=3, scale=1)}".rstrip()


def legend(found: LogComparison) -> Iterator[str]:
    """Legend: which letter is which log, and how it was compared."""
    logs: list[LogComparison | Against] = [found, *found.against]
    for log in logs:
        yield f"{log.label}  {log.model + ', ' if log.model else ''}{log.file}"
    by = f"clustered by {found.cluster}" if found.cluster else "each sample a cluster of its own"
    kind = "right or wrong" if found.shares else "a mean of numbers"
    yield f"Score {found.scorer}: {kind}; paired by sample, {by}."


def told(one: Against) -> str:
    """Facts behind a row: pairs, clusters, epochs, flips, and what was left out."""
    words = [f"{one.change.n:,} samples in {one.change.clusters:,} clusters"]
    if max(one.epochs) > 1:
        words.append(f"{one.epochs[0]} and {one.epochs[1]} epochs")
    if one.flips is not None:
        words.append(f"{100 * one.flips:.1f}% of answers flip, design effect {number(one.design, '.2f')}")
    for where, alone, failed in zip(("A", one.label), one.alone, one.failed, strict=True):
        words += [f"{alone:,} samples in {where} alone"] if alone else []
        words += [f"{failed:,} answers of {where} failed or were not scored"] if failed else []
    words += [f"{one.unpaired:,} samples left out for that"] if one.unpaired else []
    return "; ".join(words) + "."


def write_page(found: LogComparison, path: Path) -> None:
    """Write the page, whole or not at all."""
    # Jinja comes with extras; the numbers are printed without it.
    from secondlook.pages.forest import Tree, forest
    from secondlook.pages.html import digest, environment, style

    assets = resources.files("secondlook.pages") / "assets"
    sheet = style((assets / "compare.css").read_text("utf-8"))
    scale = 100 if found.shares else 1
    axis = "change of right answers, points" if found.shares else f"change of {found.scorer}"
    trees = [
        Tree(
            one.label,
            scale * one.change.value,
            None if one.change.low is None else scale * one.change.low,
            None if one.change.high is None else scale * one.change.high,
            one.standing,
        )
        for one in found.against
    ]
    text = (
        environment()
        .from_string((assets / "compare.html.j2").read_text("utf-8"))
        .render(
            found=found,
            against=list(zip(found.against, found.sentences, strict=True)),
            told=told,
            axis=axis,
            picture=forest(trees, axis, "changes"),
            headings=HEADINGS,
            rows=[(one, cells(found, one)) for one in found.against],
            legend=list(legend(found)),
            notes=[*dict.fromkeys(note for one in found.against for note in one.notes)],
            style=sheet,
            hash=digest(sheet),
        )
    )
    with whole(path) as file:
        file.write(text.encode())
