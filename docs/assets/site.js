// What the theme's own script makes without a name or out of the keyboard's reach: the buttons beside code, and tables
// that scroll.
const name = () => {
  document.querySelectorAll(".md-code__nav").forEach((nav, place) => nav.setAttribute("aria-label", `Code ${place + 1}`));
  document.querySelectorAll(".md-typeset__scrollwrap").forEach((table) => { table.tabIndex = 0; });
};
new MutationObserver(name).observe(document.body, { childList: true, subtree: true });
name();
