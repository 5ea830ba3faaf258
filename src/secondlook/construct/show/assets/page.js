// State (the block, and the token that asks), how keys and controls change it, and the order of drawing.

const DATA = JSON.parse(document.getElementById("data").textContent);
const LAST = DATA.stages.length - 1;
const state = { block: 0, asks: DATA.asking.length - 1 };
const radios = [...document.querySelectorAll("input[name=asking]")];

/** What is to be shown: the stage, the token's views of all stages and of this one, the token, and response states. */
function present() {
  const [stage, asker] = [DATA.stages[state.block], DATA.asking[state.asks]];
  const views = DATA.stages.map((each) => each.views[state.asks]);
  const now = views[state.block];
  return { block: state.block, stage, views, now, asker, states: responseStates(now, asker.length) };
}

/** What each response is to the token that asks, while the block's heads attend. */
function responseStates(now, length) {
  const states = {};
  DATA.labels.forEach((label, k) => {
    if (k >= length) states[label] = "unseen";
    else if (now.hidden[k] > 0.5) states[label] = "retired";
    else states[label] = k === now.pick ? "picked" : "live";
  });
  return states;
}

function placeText(stage) {
  if (state.block === 0) return `Read-in, before ${LAST} block${LAST === 1 ? "" : "s"}`;
  const { steps } = DATA.settings;
  const step = steps > 1 && stage.step !== null ? `, step ${stage.step + 1} of ${steps}` : "";
  return `Block ${state.block} of ${LAST}${step}`;
}

function drawControls(stage) {
  byId("slider").value = state.block;
  byId("slider").setAttribute("aria-valuetext", placeText(stage));
  byId("place").textContent = placeText(stage);
  for (const id of ["first", "back"]) byId(id).setAttribute("aria-disabled", state.block === 0);
  for (const id of ["next", "last"]) byId(id).setAttribute("aria-disabled", state.block === LAST);
  radios.forEach((radio, k) => {
    radio.checked = k === state.asks;
  });
}

function drawPanels({ block, stage, now, asker, states }) {
  let note = "Rows ask, columns are attended to. ";
  if (block === 0) note = "Nothing yet: go to the first block.";
  else if (!stage.panels.some((data) => data.kind === "attention")) note = "This block has no heads.";
  else if (DATA.prefixes) note += `The row of ${asker.label} is outlined; what a token cannot see is hatched.`;
  else note += "No mask, and no position in the scores: every token asks the same, so all rows are alike.";
  byId("heads-note").textContent = note;
  const panels = stage.panels.map((data, k) => panel(data, now.captions[k], asker.label, states));
  byId("panels").replaceChildren(...panels);
}

/** Pictures are as many pixels wide as their place; `fresh` if they show something new. */
function drawPictures(scene, fresh) {
  const width = (id) => Math.max(200, Math.round(byId(id).getBoundingClientRect().width));
  drawPlane(byId("plane"), DATA, scene, width("plane"), fresh);
  drawZoom(byId("zoom"), DATA, scene, width("zoom"), fresh);
  const alone = "The step alone, enlarged; numbers are blocks.";
  byId("zoom-note").textContent = scene.asker.length > 1 ? alone : "A single response asks for no step.";
}

function draw() {
  const scene = present();
  drawControls(scene.stage);
  byId("headline").textContent = scene.now.headline;
  byId("lines").replaceChildren(...scene.now.lines.map((text) => make("p", {}, text)));
  byId("formula").replaceChildren(...formula(DATA, scene.now));
  drawTokens(DATA, scene);
  drawNumbers(scene.now);
  drawComparison(DATA, scene, DATA.comparisons[state.asks]);
  drawPanels(scene);
  drawStream(DATA, scene);
  drawLedger(DATA, scene, goFromLedger);
  drawPictures(scene, true);
}

function go(block, asks = state.asks) {
  state.block = Math.min(LAST, Math.max(0, block));
  state.asks = asks;
  // Inside another page there is no address of its own that could remember the place.
  if (location.protocol !== "about:") history.replaceState(null, "", `#block=${state.block}&token=${state.asks + 1}`);
  draw();
}

function goFromLedger(block) {
  go(block);
  document.querySelector(`#ledger [data-block="${block}"]`).focus(); // the button is drawn anew
}

/** Block and token from the address; what is missing or makes no sense is left as it is. */
function arrive() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const whole = (key) => (/^\d+$/.test(wanted.get(key) ?? "") ? Number(wanted.get(key)) : NaN);
  const [block, token] = [whole("block"), whole("token")];
  if (block <= LAST) state.block = block;
  if (token >= 1 && token <= DATA.asking.length) state.asks = token - 1;
  draw();
}

// In the order of the buttons, which take their moves by place.
const MOVES = {
  Home: () => 0,
  ArrowLeft: () => state.block - 1,
  ArrowRight: () => state.block + 1,
  End: () => LAST,
};

document.addEventListener("keydown", (event) => {
  const taken = event.target.type === "radio" && event.key.startsWith("Arrow"); // they choose the token
  const modified = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey;
  if (taken || modified || !Object.hasOwn(MOVES, event.key)) return;
  event.preventDefault();
  go(MOVES[event.key]());
});
["first", "back", "next", "last"].forEach((id, k) => {
  byId(id).addEventListener("click", () => go(Object.values(MOVES)[k]()));
});
byId("slider").addEventListener("input", () => go(Number(byId("slider").value)));
radios.forEach((radio, k) => radio.addEventListener("change", () => go(state.block, k)));
addEventListener("hashchange", arrive);
addEventListener("resize", () => drawPictures(present(), false));
arrive();
