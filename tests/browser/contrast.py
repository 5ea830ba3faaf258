"""Contrast of what is on a page, by the formula of WCAG 2.2 from the browser's computed styles."""

# Every colour goes through a canvas, which knows all notations; transparent layers are laid over what is below them.
_SCRIPT = """
() => {
  const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 })
    .getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const over = (top, below) => [0, 1, 2].map((k) => (top[k] * top[3] + below[k] * (255 - top[3])) / 255);
  const ground = (node) => {
    if (node === null) return [255, 255, 255];
    const own = rgba(getComputedStyle(node).backgroundColor);
    return own[3] === 255 ? own.slice(0, 3) : over(own, ground(node.parentElement));
  };
  const shown = (node) => node.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || node.closest("script, .quiet") || !shown(node)) continue;
    const behind = ground(node);
    const style = getComputedStyle(node);
    const color = node.ownerSVGElement ? style.fill : style.color;
    found.push({ text: walker.currentNode.data.trim(), color: over(rgba(color), behind), ground: behind });
  }
  for (const node of document.querySelectorAll("main svg [class]")) {
    if (node.matches("text, .grid, .axis, .weight, .halo, .response.retired, .response.unseen")) continue;
    const behind = ground(node.ownerSVGElement);
    const style = getComputedStyle(node);
    const color = node.matches(".head, path.average") ? style.fill : style.stroke;
    found.push({ shape: node.getAttribute("class"), color: over(rgba(color), behind), ground: behind });
  }
  return found;
}
"""
TEXT, SHAPE = 4.5, 3.0


def luminance(rgb: list[float]) -> float:
    """Relative luminance of an sRGB colour with components from 0 to 255."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (value / 255 for value in rgb)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def ratio(one: list[float], other: list[float]) -> float:
    """Contrast ratio, from 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def is_dark(page) -> bool:
    """Whether the page stands on a dark ground."""
    ground = "getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number)"
    return luminance(page.evaluate(ground)) < 0.2


def check(page, least: int) -> None:
    """More texts and shapes than so many, none too faint."""
    many, faint = too_faint(page)
    assert many > least
    assert faint == []


def too_faint(page) -> tuple[int, list[str]]:
    """How many texts and shapes there are, and those below 4.5 to 1 (texts) or 3 to 1 (shapes)."""
    found = page.evaluate(_SCRIPT)
    faint = []
    for each in found:
        has = ratio(each["color"], each["ground"])
        if has < (TEXT if "text" in each else SHAPE):
            faint.append(f"{each.get('text') or each['shape']}: {has:.2f}")
    return len(found), faint
