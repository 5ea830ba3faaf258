"use strict";
// Elements, numbers as text, and the tables of attention.

const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

/** An element with attributes and children; "svg:" before its name puts it into SVG's namespace. */
function make(name, attributes = {}, ...children) {
  const svg = name.startsWith("svg:");
  const node = svg ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== ""));
  return node;
}

const minus = (text) => text.replace("-", "−");
const subscript = (k) => [...String(k)].map((c) => "₀₁₂₃₄₅₆₇₈₉"[c]).join("");
const averageName = (k) => `ȳ${subscript(k + 1)}`;

/** 5.6 × 10⁻¹⁷, 0.12, 0. */
function sized(value, digits = 3) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e4) return minus(String(Number(value.toPrecision(digits))));
  const [head, power] = value.toExponential(1).split("e");
  const raised = [...power.replace("+", "")].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]));
  return `${minus(head)}\u00a0×\u00a010${raised.join("")}`;
}

/** A number with its sign, always of the same width. */
function signed(value, digits) {
  const text = Math.abs(value).toFixed(digits);
  return (value < 0 && Number(text) > 0 ? "−" : "+") + text;
}

function pair(vector, digits = 2) {
  return `(${vector.map((value) => signed(value, digits)).join(", ")})`;
}

/** What fits into a cell: a dot for next to nothing, a share without its zero, or a whole number. */
function brief(value) {
  if (Math.abs(value) < 0.005) return "·";
  if (Math.abs(value - Math.round(value)) < 0.005) return minus(String(Math.round(value)));
  return minus(value.toFixed(2).replace("0.", "."));
}

/** A cell shows a value briefly, says it exactly, and is coloured by it as a share of one. */
function cell(value, where) {
  if (value === null) return make("td", { class: "masked" }, make("span", { class: "quiet" }, "not seen"));
  const exact = Number.isInteger(value) ? String(value) : sized(value);
  const seen = make("span", { class: "value", "aria-hidden": "true" }, brief(value));
  const attributes = { title: `${where}: ${exact}`, class: Math.abs(value) < 0.005 ? "nothing" : null };
  const node = make("td", attributes, seen, make("span", { class: "quiet" }, exact));
  // By script: the page's policy allows no style attribute.
  node.style.setProperty("--share", Math.min(1, Math.max(0, value)).toFixed(4));
  return node;
}

/** A heading where there is little room: 12 to be seen, y₁₂ to be heard. */
function numbered(label) {
  const digits = [...label].map((c) => "₀₁₂₃₄₅₆₇₈₉".indexOf(c)).filter((digit) => digit >= 0);
  const seen = digits.length > 0 ? digits.join("") : label[0];
  return [make("span", { "aria-hidden": "true" }, seen), make("span", { class: "quiet" }, label)];
}

/** A panel as a table. The row of the token that asks is marked, and columns by the states of their responses. */
function panel(data, caption, asks, states) {
  const dense = data.columns.length > 9;
  const heads = data.columns.map((label) => {
    const text = dense ? numbered(label) : [label];
    return make("th", { scope: "col", class: states[label] ?? null }, ...text);
  });
  const rows = data.rows.map((label, at) => {
    const current = label === asks ? { class: "asks", "aria-current": "true" } : {};
    const cells = data.values[at].map((value, k) => cell(value, `${label}, ${data.columns[k]}`));
    return make("tr", current, make("th", { scope: "row" }, label), ...cells);
  });
  const first = make("col");
  const widest = Math.max(...data.rows.map((label) => [...label].length));
  first.style.width = `${Math.max(2, 0.55 * widest + 0.6)}rem`;
  const corner = make("td", { class: "corner" }, data.kind === "attention" ? "asks" : "");
  const table = make(
    "table",
    { class: dense ? "dense" : null },
    make("caption", {}, data.title),
    make("colgroup", {}, first, make("col", { span: data.columns.length })),
    make("thead", {}, make("tr", {}, corner, ...heads)),
    make("tbody", {}, ...rows),
  );
  const said = caption ? make("p", { class: "caption" }, caption) : "";
  return make("div", { class: `panel card ${data.role}${dense ? " wide" : ""}`, "data-role": data.role }, table, said);
}
