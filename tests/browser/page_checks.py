"""What every page of ours must be: as wide as its window, named throughout, and closed to what others put into it."""

from functools import cache

from node_packages import node_packages

_WIDE = """() => [...document.querySelectorAll("body *:not(.quiet)")]
  .filter((node) => !node.ownerSVGElement && node.getBoundingClientRect().right > innerWidth)
  .map((node) => node.outerHTML.slice(0, 80))"""
_UNNAMED = """(what) => [...document.querySelectorAll(what)]
  .filter((n) => !(n.getAttribute("aria-label") || n.title || n.labels?.length || n.caption || n.textContent.trim()))
  .map((n) => n.outerHTML.slice(0, 80))"""
_INTRUDE = """async () => {
  const heard = new Promise((done) => addEventListener("securitypolicyviolation", done));
  document.body.append(Object.assign(document.createElement("script"), { textContent: "window.broken = 1" }));
  return [(await heard).effectiveDirective, window.broken ?? null];
}"""


def check_width(page, *widths: int) -> None:
    """Nothing scrolls sideways."""
    for width in widths:
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(_WIDE) == []


def check_names(page, what: str) -> None:
    """Every such control and picture has a name."""
    assert page.evaluate(_UNNAMED, what) == []


def check_accessible(page) -> None:
    """Nothing that axe (of Deque, for WCAG 2.2 AA and good practice) finds fault with."""
    page.evaluate(_axe())
    found = page.evaluate("async () => (await axe.run(document)).violations")
    assert [(rule["id"], [node["html"][:120] for node in rule["nodes"][:3]]) for rule in found] == []


@cache
def _axe() -> str:
    return (node_packages() / "node_modules/axe-core/axe.min.js").read_text("utf-8")


def check_policy(page, complaints: list[str]) -> None:
    """The page's own policy stops a script that somebody puts into it, and the browser says so."""
    assert page.evaluate(_INTRUDE) == ["script-src-elem", None]
    assert len(complaints) == 1
    assert "Content Security Policy" in complaints.pop()
