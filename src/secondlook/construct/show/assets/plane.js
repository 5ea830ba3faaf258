// The plane of responses, and the step enlarged. What is drawn is also described in words.

/** A map from the plane to a square of `size` pixels in which all `points` fit. */
function fitted(points, size, margin) {
  const ranges = [0, 1].map((axis) => {
    const values = points.map((point) => point[axis]);
    return [Math.min(...values), Math.max(...values)];
  });
  const span = Math.max(...ranges.map(([low, high]) => high - low), 1e-12);
  const scale = (size - 2 * margin) / span;
  const middle = ranges.map(([low, high]) => (low + high) / 2);
  const at = ([a, b]) => [size / 2 + (a - middle[0]) * scale, size / 2 - (b - middle[1]) * scale];
  return { at, scale, middle, size };
}

const add = (a, b) => [a[0] + b[0], a[1] + b[1]];
const around = ([x, y], radius) => [x - radius, y - radius, 2 * radius, 2 * radius];
const joined = (points) => points.map((point) => point.join(",")).join(" ");

function line(kind, from, to, extra = {}) {
  return make("svg:line", { class: kind, x1: from[0], y1: from[1], x2: to[0], y2: to[1], ...extra });
}

function disc(kind, [x, y], radius) {
  return make("svg:circle", { class: kind, cx: x, cy: y, r: radius });
}

/** A line whose head ends exactly at `to`. */
function arrow(kind, from, to) {
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const length = Math.hypot(dx, dy);
  if (length < 0.5) return [];
  const head = Math.min(9, length * 0.7);
  const [ux, uy] = [(dx / length) * head, (dy / length) * head];
  const base = [to[0] - ux, to[1] - uy];
  const wings = [0.45, -0.45].map((turn) => add(base, [-uy * turn, ux * turn]));
  return [line(kind, from, base), make("svg:polygon", { class: `head ${kind}`, points: joined([to, ...wings]) })];
}

/** A label beside a point, where it overlaps least what is `taken`: rectangles [x, y, width, height]. */
function place(text, kind, point, distance, taken, size) {
  const [width, height] = [7.6 * [...text].length + 4, 15];
  const outside = (x, y) => Math.max(0, -x, x + width - size) + Math.max(0, -y, y + height - size);
  const overlap = (x, y, [left, top, w, h]) => {
    const across = Math.min(x + width, left + w) - Math.max(x, left);
    const down = Math.min(y + height, top + h) - Math.max(y, top);
    return across > 0 && down > 0 ? across * down : 0;
  };
  let best = { cost: Infinity };
  for (let turn = 0; turn < 16; turn += 1) {
    const angle = (turn * Math.PI) / 8 - Math.PI / 4;
    const x = point[0] + Math.cos(angle) * (distance + width / 2) - width / 2;
    const y = point[1] + Math.sin(angle) * (distance + height / 2) - height / 2;
    const cost = taken.reduce((sum, other) => sum + overlap(x, y, other), turn / 2 + 40 * outside(x, y));
    if (cost < best.cost) best = { cost, x, y };
  }
  taken.push([best.x, best.y, width, height]);
  const middle = { x: best.x + width / 2, y: best.y + height / 2 };
  return make("svg:text", { class: `label ${kind}`, ...middle }, text);
}

function grid(view) {
  const nodes = [];
  const step = [0.1, 0.2, 0.5, 1, 2, 5].find((width) => width * view.scale > 48) ?? 10;
  const reach = view.size / view.scale / 2;
  for (const axis of [0, 1]) {
    const first = Math.ceil((view.middle[axis] - reach) / step);
    for (let k = first; k * step <= view.middle[axis] + reach; k += 1) {
      const at = view.at([k * step, k * step])[axis];
      const [from, to] = [0, view.size].map((end) => (axis === 0 ? [at, end] : [end, at]));
      nodes.push(line(k === 0 ? "axis" : "grid", from, to));
      const spot = axis === 0 ? { x: at + 3, y: view.size - 4 } : { x: 3, y: at - 3 };
      const text = minus(String(Number((k * step).toFixed(6))));
      if (at > 20 && at < view.size - 20) nodes.push(make("svg:text", { class: "tick", ...spot }, text));
    }
  }
  return nodes;
}

/** True and made partial sums as paths from f₀; the made one up to the current block. */
function paths(data, { block, views }, view, fresh) {
  const point = (sum) => view.at(add(data.base, sum));
  const truth = views.map((each) => point(each.truth));
  const made = views.slice(0, block + 1).map((each) => point(each.accumulated));
  const arrows = made.slice(1).map((to, k) => arrow(k + 1 === block && fresh ? "made fresh" : "made", made[k], to));
  return [make("svg:polyline", { class: "halo", points: joined(truth) }), ...arrows.flat(), disc("goal", truth[block], 6)];
}

/** Crosses where descent began and where the current step does, with their names. */
function starts(data, { stage, now }, view, taken) {
  const points = [["f₀", data.base]];
  if (stage.step) points.push([`f${subscript(stage.step)}`, now.from]);
  return points.flatMap(([name, point]) => {
    const [x, y] = view.at(point);
    taken.push(around([x, y], 7));
    const cross = make("svg:path", { class: "start", d: `M${x - 6} ${y - 6}l12 12m0 -12l-12 12` });
    return [cross, place(name, "start", [x, y], 8, taken, view.size)];
  });
}

/** What the heads carry: averages with the lines of their weights, and the difference from average to pick. */
function carried(data, { now, asker }, spots, view, taken) {
  // Labels are placed by the caller, once all that they must not cover is in `taken`.
  const [shapes, labels] = [[], []];
  const many = now.averages.length > 1;
  const middles = now.averages.map((average) => view.at(average.at));
  taken.push(...middles.map((middle) => around(middle, 8)));
  if (now.even === null && now.pick !== null) {
    now.averages[0].weights.slice(0, asker.length).forEach((weight, k) => {
      const thick = { "stroke-width": (1 + 9 * weight).toFixed(2) };
      if (weight > 5e-3) shapes.push(line("weight", middles[0], spots[k], thick));
    });
    shapes.push(...arrow("pull", middles[0], spots[now.pick]));
  }
  if (now.even !== null) {
    const even = view.at(now.even);
    const mean = [0, 1].map((axis) => middles.reduce((sum, middle) => sum + middle[axis] / middles.length, 0));
    shapes.push(...arrow("pull", mean, even));
    shapes.push(make("svg:rect", { class: "even", x: even[0] - 6, y: even[1] - 6, width: 12, height: 12 }));
    taken.push(around(even, 8));
    labels.push(() => place("even", "even", even, 9, taken, view.size));
  }
  middles.forEach(([x, y], k) => {
    shapes.push(make("svg:path", { class: "average", d: `M${x} ${y - 7}l7 7l-7 7l-7 -7z` }));
    labels.push(() => place(many ? averageName(k) : "ȳ", "average", [x, y], 9, taken, view.size));
  });
  return { shapes, labels };
}

function drawPlane(svg, data, scene, size, fresh) {
  const { views, now, states } = scene;
  const sums = views.map((each) => add(data.base, each.truth));
  const view = fitted([...data.responses, data.base, ...sums], size, 34);
  const spots = data.responses.map(view.at);
  const radius = (k) => 4 + 8 * data.rewards[k];
  const taken = [...spots.map((spot, k) => around(spot, radius(k))), ...sums.map((sum) => around(view.at(sum), 5))];
  const { shapes, labels } = carried(data, scene, spots, view, taken);
  const discs = spots.map((spot, k) => disc(`response ${states[data.labels[k]]}`, spot, radius(k)));
  const ring = now.pick === null ? [] : [disc("ring", spots[now.pick], radius(now.pick) + 4)];
  const drawn = [...grid(view), ...shapes, ...discs, ...ring, ...paths(data, scene, view, fresh)];
  const begun = starts(data, scene, view, taken);
  const named = labels.map((label) => label());
  const responses = spots.map((spot, k) => place(data.labels[k], states[data.labels[k]], spot, radius(k) + 5, taken, size));
  svg.setAttribute("viewBox", `0 0 ${size} ${size}`);
  svg.setAttribute("aria-label", inWords(data, scene));
  svg.replaceChildren(...drawn, ...begun, ...named, ...responses);
}

function inWords(data, { now, states }) {
  const words = [`W₀x at ${pair(data.base)}; step so far ${pair(now.accumulated)}, true ${pair(now.truth)}.`];
  if (now.pick !== null) {
    words.push(`Top pick ${data.labels[now.pick]}, average at ${pair(now.averages[0].at)}.`);
  }
  data.labels.forEach((label, k) => {
    words.push(`${label} at ${pair(data.responses[k])}, reward ${data.rewards[k].toFixed(2)}, ${states[label]}.`);
  });
  return words.join(" ");
}

/** The paths alone, as large as they go. */
function drawZoom(svg, data, scene, width, fresh) {
  const { block, views, now } = scene;
  const height = Math.min(width, 230);
  const view = fitted([data.base, ...views.map((each) => add(data.base, each.truth))], height, 30);
  const taken = views.map((each) => around(view.at(add(data.base, each.truth)), 7));
  const nodes = [...paths(data, scene, view, fresh), ...starts(data, scene, view, taken)];
  const ends = views.slice(0, block + 1).map((each) => view.at(add(data.base, each.accumulated)));
  ends.slice(1).forEach((end, k) => {
    const middle = [0, 1].map((axis) => (ends[k][axis] + end[axis]) / 2);
    const long = Math.hypot(end[0] - ends[k][0], end[1] - ends[k][1]) > 14;
    if (long) nodes.push(place(String(k + 1), "count", middle, 6, taken, height));
  });
  svg.setAttribute("viewBox", `${(height - width) / 2} 0 ${width} ${height}`);
  svg.setAttribute("aria-label", `The step enlarged: made ${pair(now.accumulated)}, true ${pair(now.truth)}.`);
  svg.replaceChildren(...nodes);
}
