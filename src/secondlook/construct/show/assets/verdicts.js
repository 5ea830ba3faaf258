// The page of T12: the layer's own forward pass on two answers, and what the sliders ask of it.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const softmax = (scores) => {
  const top = Math.max(...scores);
  const e = scores.map((score) => Math.exp(score - top));
  const sum = e.reduce((a, b) => a + b, 0);
  return e.map((value) => value / sum);
};
const times = (matrix, vector) => matrix.map((row) => row.reduce((sum, weight, k) => sum + weight * vector[k], 0));
const plus = (a, b) => a.map((value, k) => value + b[k]);

/** The read-out at the first token: read in, one block of attention added to the stream, read out. */
function forward(tokens) {
  const { layer } = data;
  const streams = tokens.map((token) => times(layer.read_in, token));
  const head = (matrix, number, width) => matrix.slice(number * width, (number + 1) * width);
  const carried = [];
  for (let number = 0; number < layer.heads; number += 1) {
    const [query] = streams.map((stream) => times(head(layer.query, number, layer.head_width), stream));
    const keys = streams.map((stream) => times(head(layer.key, number, layer.head_width), stream));
    const values = streams.map((stream) => times(head(layer.value, number, layer.values), stream));
    const shares = softmax(keys.map((key) => key.reduce((sum, value, k) => sum + value * query[k], 0)));
    carried.push(...values[0].map((_, k) => shares.reduce((sum, share, j) => sum + share * values[j][k], 0)));
  }
  return times(layer.read_out, plus(streams[0], times(layer.out, carried)));
}

/** Two answers √c apart, and a prediction at which the margin is δ; the query has length 1. */
function tokens(delta, c, u) {
  const root = Math.sqrt(c);
  const apart = data.unit.map((value) => root * value);
  const middle = data.across.map((value) => 0.3 * root * value);
  const f = middle.map((value, k) => value + (delta * apart[k]) / (2 * c));
  return [0.5, -0.5].map((half, number) => {
    const y = middle.map((value, k) => value + half * apart[k]);
    // The fed slots in their order (`widths` in construction.py); `pull` is y, as ‖x‖ = 1.
    return [...f, ...y, ...y, number ? 1 - u : u, y[0] ** 2 + y[1] ** 2, 1];
  });
}

/** By how much one forward pass moves the margin. */
function moved(delta, c, u) {
  const step = forward(tokens(delta, c, u));
  return 2 * Math.sqrt(c) * (step[0] * data.unit[0] + step[1] * data.unit[1]);
}

/** Numbers from 0 to 1 that look random and are the same for the same seed (mulberry32). */
function chance(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const drawn = (name, attributes, text = "") => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  return node;
};

/** An empty picture with axes; its `x` and `y` take values to places. */
function picture(svg, { width = 420, height = 300, across, up, xs, ys, says, also }) {
  const [left, right, top, bottom] = [44, 12, 12, 40];
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const x = (value) => left + ((value - across[0]) / (across[1] - across[0])) * (width - left - right);
  const y = (value) => height - bottom - ((value - up[0]) / (up[1] - up[0])) * (height - top - bottom);
  const parts = [];
  for (const tick of ys) {
    parts.push(drawn("line", { class: tick ? "grid" : "axis", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }));
    parts.push(drawn("text", { class: "tick right", x: left - 6, y: y(tick) + 4 }, String(tick).replace("-", "−")));
  }
  for (const tick of xs) {
    parts.push(drawn("text", { class: "tick centre", x: x(tick), y: height - bottom + 16 }, tick));
    parts.push(drawn("line", { class: "grid", x1: x(tick), x2: x(tick), y1: top, y2: height - bottom }));
  }
  parts.push(drawn("text", { class: "tick centre", x: (left + width - right) / 2, y: height - 6 }, says));
  if (also) parts.push(drawn("text", { class: "tick", x: left + 6, y: top + 14 }, also));
  const path = (kind, points) =>
    parts.push(drawn("path", { class: kind, d: points.map(([a, b], k) => `${k ? "L" : "M"}${x(a)} ${y(b)}`).join("") }));
  const dot = (kind, a, b) => parts.push(drawn("circle", { class: kind, cx: x(a), cy: y(b), r: kind === "dot" ? 4 : 6 }));
  return { parts, path, dot, show: () => svg.replaceChildren(...parts) };
}

let seed = 1;
const shown = (value, digits = 3) => (Number.isFinite(value) ? value.toFixed(digits).replace("-", "−") : "–");

function read() {
  const [p, keeps, alarms, power] = ["p", "keeps", "alarms", "size"].map((id) => Number(byId(id).value));
  return { p, keeps, alarms, c: 10 ** power };
}

function draw() {
  const { p, keeps, alarms, c } = read();
  const favours = (q) => q * keeps + (1 - q) * alarms;
  const mean = (q) => {
    const delta = Math.log(q / (1 - q));
    return (favours(q) * moved(delta, c, 1) + (1 - favours(q)) * moved(delta, c, 0)) / c;
  };
  const precision = (q) => ((1 - q) * alarms) / ((1 - q) * alarms + q * (1 - keeps));
  const drift = (q) => (1 - q) * alarms - q * (1 - keeps);
  const alarmed = 1 - keeps + alarms;
  const limit = alarmed ? alarms / alarmed : NaN;
  for (const [id, value] of Object.entries({ p, keeps, alarms, size: c })) byId(`${id}-value`).textContent = value.toPrecision(2);
  const grid = Array.from({ length: 25 }, (_, k) => (k + 1) / 26);
  const finer = Array.from({ length: 99 }, (_, k) => (k + 1) / 100);

  const odds = picture(byId("by-odds"), { across: [0, 1], up: [-1, 1], xs: [0, 0.25, 0.5, 0.75, 1], ys: [-1, -0.5, 0, 0.5, 1], says: "p, before the look", also: "expected move of the log-odds, in units of c" });
  odds.path("theory", [[0, alarms], [1, keeps - 1]]);
  for (const q of grid) odds.dot("dot", q, mean(q));
  const delta = Math.log(p / (1 - p));
  for (const u of [0, 1]) odds.path("shift", [[p, 0], [p, moved(delta, c, u) / c]]);
  odds.dot("dot now", p, mean(p));
  odds.show();

  const precise = picture(byId("by-precision"), { across: [0, 1], up: [-1, 1], xs: [0, 0.25, 0.5, 0.75, 1], ys: [-1, -0.5, 0, 0.5, 1], says: "P(wrong | alarm)", also: "expected move of the log-odds, in units of c" });
  const known = (q) => Number.isFinite(precision(q));
  if (finer.some(known)) precise.path("theory", finer.filter(known).map((q) => [precision(q), drift(q)]));
  for (const q of grid.filter(known)) precise.dot("dot", precision(q), mean(q));
  if (known(p)) precise.dot("dot now", precision(p), mean(p));
  precise.show();

  const rounds = 400;
  const random = chance(seed);
  let [at, sum, share] = [delta, 0, p];
  const [path, means, recursion] = [[], [], []];
  for (let round = 1; round <= rounds; round += 1) {
    const q = sigmoid(at);
    sum += q;
    path.push([round, q]);
    means.push([round, sum / round]);
    recursion.push([round, share]);
    share = share * keeps + (1 - share) * alarms;
    const right = random() < q;
    at += moved(at, c, Number(random() < (right ? keeps : alarms)));
  }
  const walk = picture(byId("rounds"), { width: 900, height: 260, across: [1, rounds], up: [0, 1], xs: [1, 100, 200, 300, 400], ys: [0, 0.5, 1], says: "round" });
  walk.path("weight", path);
  if (Number.isFinite(limit)) walk.path("theory", [[1, limit], [rounds, limit]]);
  walk.path("mean", means);
  walk.path("recursion", recursion);
  walk.show();

  const [expected, told] = [mean(p), precision(p)];
  const helps = Math.abs(expected) < 1e-9 ? "neither helps nor harms" : expected > 0 ? "helps" : "harms";
  byId("finding").textContent = `In expectation this look ${helps}`;
  byId("finding").dataset.value = expected;
  const far = Math.abs(at);
  const bound = (Math.abs(delta) + far) / (c * rounds);
  const lines = {
    "P(wrong | alarm)": shown(told),
    "expected move, forward passes": shown(c * expected, 4),
    "expected move, theorem": shown(c * drift(p), 4),
    "limit p* = Upp": shown(limit),
    "mean of p after 400 rounds": shown(means.at(-1)[1]),
    "|mean p − mean u|, at most": shown(bound, 4),
    "rate near p*": shown(Number.isFinite(limit) ? 1 - c * limit * (1 - limit) * alarmed : NaN),
    "rate of the recursion": shown(keeps - alarms),
  };
  byId("numbers").replaceChildren(
    ...Object.entries(lines).flatMap(([name, value]) => {
      const [term, description] = [document.createElement("dt"), document.createElement("dd")];
      [term.textContent, description.textContent] = [name, value];
      return [term, description];
    }),
  );
}

const off = Math.max(...data.recorded.map(({ delta, c, u, moved: theirs }) => Math.abs(moved(delta, c, u) - theirs) / c));
byId("exact").textContent = `${data.recorded.length} forward passes recorded in float64 beside this page's own: they differ by at most ${off.toExponential(1)} of c. Weights: ${data.weights} numbers.`;
byId("exact").dataset.value = off;
for (const id of ["p", "keeps", "alarms", "size"]) byId(id).addEventListener("input", draw);
byId("again").addEventListener("click", () => {
  seed += 1;
  draw();
});
draw();
