// Filters, the theme, copying, and cards that are open on paper and where an address leads.

const byId = (id) => document.getElementById(id);
const claims = [...document.querySelectorAll(".claim")];
const filters = [...document.querySelectorAll("[data-show]")];

function show(outcome) {
  const wanted = (claim) => outcome === "" || (outcome === "here" ? "here" in claim.dataset : claim.dataset.outcome === outcome);
  for (const claim of claims) claim.hidden = !wanted(claim);
  for (const floor of document.querySelectorAll(".floor")) floor.hidden = !floor.querySelector(".claim:not([hidden])");
  for (const filter of filters) filter.setAttribute("aria-pressed", filter.dataset.show === outcome);
  const count = claims.filter((claim) => !claim.hidden).length;
  byId("said").textContent = `${count} claim${count === 1 ? "" : "s"} shown`;
}
for (const filter of filters) {
  // A second press shows all again.
  filter.addEventListener("click", () => show(filter.getAttribute("aria-pressed") === "true" ? "" : filter.dataset.show));
}

const expand = byId("expand");
const label = () => {
  expand.textContent = claims.every((claim) => claim.open) ? "Close all" : "Open all";
};
expand.addEventListener("click", () => {
  const open = !claims.every((claim) => claim.open);
  for (const claim of claims) claim.open = open;
});
for (const claim of claims) claim.addEventListener("toggle", label);

const dark = matchMedia("(prefers-color-scheme: dark)");
const theme = byId("theme");
const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
const say = () => theme.setAttribute("aria-pressed", isDark());
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  say();
});
dark.addEventListener("change", say);
say();

for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    } catch {
      // A browser that does not allow it: the command is marked, to be copied by hand.
      getSelection().selectAllChildren(button.previousElementSibling);
      button.textContent = "Marked";
    }
    setTimeout(() => (button.textContent = before), 1500);
  });
}

let closed = [];
addEventListener("beforeprint", () => {
  closed = claims.filter((claim) => !claim.open);
  for (const claim of closed) claim.open = true;
});
addEventListener("afterprint", () => {
  for (const claim of closed) claim.open = false;
});

function arrive() {
  const there = location.hash.length > 1 && byId(location.hash.slice(1));
  if (there instanceof HTMLDetailsElement) there.open = true;
}
addEventListener("hashchange", arrive);
arrive();
