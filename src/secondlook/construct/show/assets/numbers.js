// What is said in words and numbers: the responses, the term, made against true, the residual stream, all blocks.

function stateText(data, { block, now, asker, states }, k) {
  const kind = states[data.labels[k]];
  const after = now.after[k] > 0.5;
  if (kind === "unseen") return "later: not seen";
  if (kind === "retired") return after ? "retired" : "retired, now live again";
  if (kind === "picked") return after ? "top reward, retires" : "top reward";
  if (after) return "live, retires";
  return data.result === "T8" && block > 0 ? `rank ${asker.order.indexOf(k)}` : "live";
}

function drawTokens(data, scene) {
  const rows = data.labels.map((label, k) => {
    const fill = make("span");
    fill.style.setProperty("--share", data.rewards[k].toFixed(4));
    const bar = make("span", { class: "bar", "aria-hidden": "true" }, fill);
    return make(
      "li",
      { "data-state": scene.states[label], "data-label": label },
      make("span", { class: "name" }, label),
      make("span", { class: "reward" }, bar, make("span", {}, `r = ${data.rewards[k].toFixed(3)}`)),
      make("span", { class: "state" }, stateText(data, scene, k)),
    );
  });
  byId("tokens").replaceChildren(...rows);
}

/** The block's term with its numbers: 0.2 · ( y₅ − (0.46 y₃ + …) ) = … */
function formula(data, now) {
  const written = (factor, top, average) => [
    `${factor} · ( `,
    make("span", { class: "pick" }, top),
    " − ",
    make("span", { class: "average" }, average),
    ` ) = ${pair(now.added, 4)}`,
  ];
  const factor = sized(data.factor);
  if (now.even !== null) {
    const names = now.averages.map((_, k) => averageName(k));
    const mean = names.length > 1 ? `mean of ${names[0]} … ${names.at(-1)}` : names[0];
    return written(`${factor} · ${names.length}`, "even average", mean);
  }
  if (now.pick === null) return [];
  const shares = now.averages[0].weights.map((weight, k) => [weight, data.labels[k]]);
  const largest = shares.filter(([weight]) => weight > 5e-4).sort((a, b) => b[0] - a[0]);
  const sum = largest.map(([weight, label]) => `${weight.toFixed(3)} ${label}`).join(" + ");
  return written(factor, data.labels[now.pick], largest.length > 1 ? `(${sum})` : sum);
}

/** A vector to the last digit that float64 has; from the first digit that `other` has otherwise, marked. */
function digits(vector, other) {
  return vector.map((value, axis) => {
    const [text, against] = [signed(value, 17), signed(other[axis], 17)];
    let same = 0;
    while (same < text.length && text[same] === against[same]) same += 1;
    return make("span", {}, text.slice(0, same), same < text.length ? make("mark", {}, text.slice(same)) : "");
  });
}

function drawNumbers(now) {
  byId("made").replaceChildren(...digits(now.accumulated, now.truth));
  byId("true").replaceChildren(...digits(now.truth, now.accumulated));
  byId("error").textContent = now.error === 0 ? "0, equal to the last bit" : sized(now.error, 2);
  byId("error").dataset.value = now.error;
  byId("loss").textContent = `${now.loss.toFixed(4)} nats`;
  byId("loss").dataset.value = now.loss;
}

/** After the last block: the whole step against autograd's. */
function drawComparison(data, { block, views, asker }, found) {
  const box = byId("comparison");
  box.hidden = block !== views.length - 1;
  if (box.hidden) return;
  const { steps } = data.settings;
  const fact = (value, text) => make("div", {}, make("strong", {}, value), make("p", {}, text));
  const responses = `${asker.length} response${asker.length === 1 ? "" : "s"}`;
  const holds = found.error <= found.bound ? "≤" : ">";
  const bounded = `${sized(found.error, 2)} ${holds} ${sized(found.bound, 2)}`;
  const alone = [sized(found.error, 2), "its length: a single response asks for no step"];
  const [before, after] = [views[0].loss.toFixed(4), views.at(-1).loss.toFixed(4)];
  box.replaceChildren(
    make("h2", {}, `${steps === 1 ? "The step" : `All ${steps} steps`} on ${responses}: complete`),
    fact(sized(found.relative, 2), "relative error of the read-out against descent on W by autograd"),
    fact(...(asker.length > 1 ? [bounded, "its length, and what leaks and rounding allow"] : alone)),
    fact(`${before} → ${after}`, "loss in nats, before and after"),
  );
  box.dataset.relative = found.relative;
}

function coordinate(value) {
  if (value === 0) return "0";
  return Math.abs(value) < 5e-4 ? sized(value, 2) : minus(String(Number(value.toFixed(3))));
}

/** The slots of the asking token's residual stream, with those marked that the block has changed. */
function drawStream(data, { block, views, now, asker }) {
  const before = views[Math.max(0, block - 1)].stream;
  const slots = Object.entries(now.stream).map(([slot, values]) => {
    const written = values.some((value, k) => value !== before[slot][k]);
    const kind = written ? "written" : data.fed.includes(slot) ? "fed" : null;
    const tag = written ? make("span", { class: "tag" }, "written") : "";
    const numbers = make("dd", {}, values.map(coordinate).join("  "));
    return make("div", { class: kind, "data-slot": slot }, make("dt", {}, slot, tag), numbers);
  });
  byId("stream").replaceChildren(...slots);
  const when = block === 0 ? "as it is read in" : `after block ${block}`;
  byId("stream-note").textContent = `Token ${asker.label} ${when}: the named slots of its vector, side by side.`;
}

function addsText(data, view) {
  if (view.pick !== null) return `${data.labels[view.pick]} − ȳ`;
  return view.even === null ? "nothing" : "all terms";
}

function drawLedger(data, { block, views }, go) {
  const rows = views.map((view, at) => {
    const current = at === block ? "step" : null;
    const button = make("button", { type: "button", "data-block": at, "aria-current": current }, at || "read-in");
    button.addEventListener("click", () => go(at));
    const { step } = data.stages[at];
    const length = Math.hypot(...view.added);
    const kind = at === block ? "now" : at > block ? "ahead" : null;
    return make(
      "tr",
      { class: kind },
      make("th", { scope: "row" }, button),
      make("td", {}, addsText(data, view) + (data.settings.steps > 1 && step !== null ? `, step ${step + 1}` : "")),
      make("td", {}, length > 0 ? sized(length) : "–"),
      make("td", {}, sized(view.error, 2)),
      make("td", {}, view.loss.toFixed(4)),
    );
  });
  byId("ledger").replaceChildren(...rows);
}
