"""Draw the pictures of the documentation, or check that they show the committed results (``--check``).

``loop.svg`` is the loop as a diagram, ``flips.svg`` the flips of a real model's answers, and ``break-even.svg`` the
accuracy of measured critics beside the accuracy that they need.
"""

from __future__ import annotations

import sys
from collections import Counter
from html import escape

from real_records import REAL
from real_table import asked
from verdict_plane import Point, points

from secondlook.diagnosis.table import Arm
from secondlook.local.weights import catalogue
from secondlook.pages.flows import flows

DOCS = REAL.parents[1] / "docs"
MODEL, TASK = "smollm2-135m", "word problems"
"""The real model and the task whose flips are shown."""
STATES = ("right", "wrong", "unread", "refused")
"""Names of an answer's states by their code, as the style of a run's page has them."""
INK, MUTED, PAPER, RULE = "#1d1b18", "#5d564c", "#fffefb", "#d9d2c5"
GOOD, BAD, OPEN, BLUE, PURPLE = "#2f6212", "#a13a05", "#735400", "#0b5c8f", "#8a2f8f"
STYLE = (
    f"text{{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:{INK}}}"
    f".small{{font-size:11px;fill:{MUTED}}}.head{{font-weight:600}}.tick{{font-size:12px}}"
    f".state,.flow{{fill:{MUTED}}}.right{{fill:{GOOD}}}.wrong{{fill:{BAD}}}.unread{{fill:{OPEN}}}"
    f".flow{{opacity:.5}}.flow.same{{fill:{RULE};opacity:.7}}"
    f".box{{fill:#f1ede4;stroke:#857c6e}}.line{{fill:none;stroke:{INK};stroke-width:1.4}}"
)


def picture(width: int, height: int, title: str, drawn: list[str]) -> str:
    """A whole SVG file on a light ground, so that it can be read beside light and dark text."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(title)}"><title>{escape(title)}</title><style>{STYLE}</style>'
        f'<rect width="{width}" height="{height}" rx="8" fill="{PAPER}"/>\n' + "\n".join(drawn) + "\n</svg>\n"
    )


def text(x: float, y: float, words: str, of: str = "", anchor: str = "middle") -> str:
    """A line of text."""
    return f'<text class="{of}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>'


def loop() -> str:
    """The loop: question, answer, critique, and the way back."""
    boxes = (("question", "what is asked"), ("answer", "round 0, 1, 2, …"), ("critique", "verdict: right or wrong"))
    at = [20 + 250 * place for place in range(3)]
    drawn = [
        '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        f'<path d="M0 0L8 4L0 8Z" fill="{INK}"/></marker></defs>'
    ]
    for x, (name, about) in zip(at, boxes, strict=True):
        drawn += [
            f'<rect class="box" x="{x}" y="50" width="160" height="64" rx="8"/>',
            text(x + 80, 78, name, "head"),
            text(x + 80, 98, about, "small"),
        ]
    for x, says in ((at[0], "model"), (at[1], "critic")):
        drawn += [f'<path class="line" d="M{x + 160} 82H{x + 248}" marker-end="url(#head)"/>']
        drawn += [text(x + 204, 72, says, "small")]
    drawn += [
        f'<path class="line" d="M{at[2] + 80} 114V150Q{at[2] + 80} 162 {at[2] + 68} 162H{at[1] + 92}'
        f'Q{at[1] + 80} 162 {at[1] + 80} 150V116" marker-end="url(#head)"/>',
        text(at[1] + 205, 154, "second look: question, answer and critique", "small"),
        text(at[1] + 205, 178, "stand in the context of the next answer", "small"),
        text(at[1] + 80, 34, "the last answer is kept", "small"),
    ]
    return picture(700, 196, "A question is answered, the answer is checked, and the model answers again", drawn)


def counts(arm: Arm) -> Counter[tuple[str, str]]:
    """How many answers went from one state to another by the first second look."""
    return Counter((STATES[before], STATES[after]) for before, after in arm.state[:, :2].tolist())


def flips() -> str:
    """Flips of a real model's answers after its own check, and after a tool's verdict."""
    arms = asked(MODEL)[TASK]
    model = catalogue()[MODEL]
    title = f"{model.title} ({model.quantisation}), {len(arms['self'].sample)} short word problems"
    drawn = [text(440, 24, title, "head")]
    for place, (arm, says) in enumerate((("self", "after own check"), ("tool", "after the tool"))):
        svg = str(flows(counts(arms[arm]), STATES, ("first answer", says), arm))
        drawn.append(svg.replace("<svg ", f'<svg x="{10 + 440 * place}" y="44" width="420" height="230" ', 1))
    return picture(880, 284, f"Answers before and after a second look: {title}", drawn)


def break_even() -> str:
    """Critics as measured: how often they are right, beside how often they would have to be."""
    size, left, top = 360, 70, 34

    def at(needed: float, right: float) -> tuple[float, float]:
        return round(left + needed * size, 1), round(top + (1 - right) * size, 1)

    drawn = [
        f'<path d="M{left} {top}V{top + size}L{left + size} {top}Z" fill="{GOOD}" opacity=".08"/>',
        f'<path d="M{left} {top + size}H{left + size}V{top}Z" fill="{BAD}" opacity=".08"/>',
        f'<path class="line" d="M{left} {top + size}L{left + size} {top}"/>',
        f'<path class="line" d="M{left} {top}V{top + size}H{left + size}" style="stroke:#857c6e"/>',
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = at(share, share)
        drawn += [
            text(x, top + size + 18, f"{share:.0%}", "small"),
            text(left - 8, y + 4, f"{share:.0%}", "small", "end"),
        ]
    drawn += [
        text(left + size / 2, top + size + 38, "critic accuracy needed to break even (a*)"),
        f'<g transform="rotate(-90 18 {top + size / 2})">{text(18, top + size / 2, "critic accuracy measured")}</g>',
        text(left + 14, top + 24, "looking again gains", "small", "start"),
        text(left + size - 14, top + size - 14, "looking again harms", "small", "end"),
    ]
    for one in points():
        if one.critic is not None and one.even is not None and one.gain is not None:
            drawn.append(_critic(one, *at(one.even.value, one.critic.value)))
    x = left + size + 24
    for row, (hue, fill, says) in enumerate(
        (
            (GOOD, GOOD, "real model, accuracy rose"),
            (BAD, BAD, "real model, accuracy fell"),
            (GOOD, "none", "planted subject, accuracy rose"),
            (BAD, "none", "planted subject, accuracy fell"),
        )
    ):
        y = top + 20 + 24 * row
        drawn += [f'<circle cx="{x}" cy="{y}" r="6" fill="{fill}" stroke="{hue}" stroke-width="1.8"/>']
        drawn += [text(x + 14, y + 4, says, "small", "start")]
    return picture(700, 452, "Measured critic accuracy against the accuracy needed to break even", drawn)


def _critic(one: Point, x: float, y: float) -> str:
    assert one.gain is not None
    hue = GOOD if one.gain.value > 0 else BAD
    return (
        f'<circle cx="{x}" cy="{y}" r="6" fill="{"none" if one.planted else hue}" stroke="{hue}" stroke-width="1.8">'
        f"<title>{escape(one.name)}: {100 * one.gain.value:+.1f} points</title></circle>"
    )


def main() -> int:
    """Draw the pictures, or compare them; the first that differs is told."""
    for name, draw in (("loop", loop), ("flips", flips), ("break-even", break_even)):
        file, drawn = DOCS / f"{name}.svg", draw()
        if "--check" not in sys.argv[1:]:
            file.write_text(drawn, encoding="utf-8")
        elif not file.is_file() or file.read_text("utf-8") != drawn:
            sys.stderr.write(f"docs/{file.name} does not show the committed results; run: python tools/pictures.py\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
