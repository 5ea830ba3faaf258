"""Flows between two rounds, as SVG that takes its colours from the page: a band a change, as wide as it is frequent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

# Units of the viewBox. Bands run from _LEFT to _RIGHT; the names of states stand in the margins outside.
_WIDTH, _HEIGHT, _TOP, _BAR = 420, 230, 22, 14
_LEFT, _RIGHT = 110, 310
_GAP = 8.0
_LINE = 11  # from one number to the next


def flows(counts: Mapping[tuple[str, str], int], states: Sequence[str], headings: tuple[str, str], name: str) -> Markup:
    """Two columns of states and the bands between them.

    Args:
        counts: How many went from one state to another.
        states: Every state, from top to bottom; those nobody was in are left out. Each is a class of the page's style.
        headings: Of the two columns.
        name: Unique in the page, for title and description.
    """
    total = sum(counts.values()) or 1
    shown = [state for state in states if any(state in pair and number for pair, number in counts.items())]
    scale = (_HEIGHT - _TOP - _GAP * (len(shown) - 1) - 8) / total
    before = {state: sum(counts.get((state, to), 0) for to in shown) for state in shown}
    after = {state: sum(counts.get((of, state), 0) for of in shown) for state in shown}
    starts, ends = _tops(before, scale), _tops(after, scale)
    drawn = [
        f'<text class="tick" x="{_LEFT}" y="12" text-anchor="end">{escape(headings[0])}</text>',
        f'<text class="tick" x="{_RIGHT}" y="12">{escape(headings[1])}</text>',
    ]
    reached, said, numbers = dict(ends), float(_TOP) - _LINE, []
    for of in shown:
        at = starts[of]
        for to in shown:
            if number := counts.get((of, to), 0):
                width = number * scale
                drawn.append(_band(at, reached[to], width, to if of != to else "same"))
                if of != to:
                    # Where bands begin they do not cross; numbers of narrow ones make room for each other.
                    said = max(at + width / 2, said + _LINE)
                    numbers.append(_label(_LEFT + 6, said, str(number), "start"))
                at, reached[to] = at + width, reached[to] + width
    for state in shown:
        drawn += [
            _bar(_LEFT - _BAR, starts[state], before[state] * scale, state),
            _bar(_RIGHT, ends[state], after[state] * scale, state),
            _label(_LEFT - _BAR - 6, starts[state] + before[state] * scale / 2, f"{state} {before[state]}", "end"),
            _label(_RIGHT + _BAR + 6, ends[state] + after[state] * scale / 2, f"{state} {after[state]}", "start"),
        ]
    drawn += numbers  # on top of every band
    description = "; ".join(f"{number} {of} and then {to}" for (of, to), number in counts.items() if number)
    return Markup(  # noqa: S704 - texts are escaped, `name` is the caller's own, all else is numbers
        f'<svg class="flows" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="{name}-t {name}-d">'
        f'<title id="{name}-t">{escape(headings[0])} and {escape(headings[1])}</title>'
        f'<desc id="{name}-d">{escape(description)}</desc>{"".join(drawn)}</svg>'
    )


def _tops(counts: Mapping[str, int], scale: float) -> dict[str, float]:
    tops, at = {}, float(_TOP)
    for state, number in counts.items():
        tops[state] = at
        at += number * scale + _GAP
    return tops


def _band(start: float, end: float, width: float, kind: str) -> str:
    half = (_LEFT + _RIGHT) / 2
    there = f"M{_LEFT} {start:.1f}C{half} {start:.1f} {half} {end:.1f} {_RIGHT} {end:.1f}"
    back = f"V{end + width:.1f}C{half} {end + width:.1f} {half} {start + width:.1f} {_LEFT} {start + width:.1f}Z"
    return f'<path class="halo flow {escape(kind)}" d="{there}{back}"/>'


def _bar(x: float, y: float, height: float, state: str) -> str:
    return f'<rect class="state {escape(state)}" x="{x}" y="{y:.1f}" width="{_BAR}" height="{max(height, 1):.1f}"/>'


def _label(x: float, y: float, text: str, anchor: str) -> str:
    # SVG places text by its baseline; 4 lower, the 11 px of .tick are centred at y.
    return f'<text class="tick" x="{x}" y="{y + 4:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
