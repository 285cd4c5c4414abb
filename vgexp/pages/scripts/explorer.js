// The explorer: its controls, and the page's start.

function options(select, entries, chosen) {
  select.replaceChildren(...entries.map(([value, text]) => new Option(text, value, false, value === chosen)));
}

/** A button a value of the color's field: pressed while its lines are shown. */
function buildLegend() {
  const counts = new Map();
  for (const run of facts.runs) counts.set(valueOf(run, view.color), (counts.get(valueOf(run, view.color)) ?? 0) + 1);
  element("legend").replaceChildren(
    ...[...palette()].map(([value, { color, dash }]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", String(!view.hidden.has(value)));
      const swatch = button.appendChild(document.createElement("span"));
      swatch.className = "swatch";
      swatch.style.borderTop = `3px ${{ dotdash: "dashed" }[dash] ?? dash} ${color}`;
      button.append(worded(value), Object.assign(document.createElement("small"), { textContent: ` ${counts.get(value)}` }));
      button.addEventListener("click", (event) => {
        if (event.altKey) valuesOf(view.color).forEach((other) => view.hidden[other === value ? "delete" : "add"](other));
        else if (!view.hidden.delete(value)) view.hidden.add(value);
        redraw();
      });
      return button;
    }),
  );
}

/** Lines with a point within a box that is drawn in a figure are brought forward. */
function whenBrushed(figure, drawn) {
  figure.on_event("selectiongeometry", ({ geometry, final }) => {
    if (geometry.type !== "rect" || !final) return;
    const within = (x, y) => x >= geometry.x0 && x <= geometry.x1 && y >= geometry.y0 && y <= geometry.y1;
    const inside = drawn().filter((one) => one.xs.some((x, i) => within(x, one.ys[i])));
    brush(inside.flatMap((one) => one.runs.map((run) => run.id)));
  });
}

/** Brings these runs forward in all panels; none of them: everything. */
function brush(ids) {
  view.selected = ids.length ? new Set(ids) : null;
  element("clear").hidden = !view.selected;
  drawProfiles();
  buildCurves();
}

function moveTo(at) {
  view.at = at;
  element("step").value = String(at);
  drawProfiles();
}

/** The slider moves: from the first time on, the y axis is held over all steps, unless the reader let go of it. */
function slideTo(at) {
  if (view.hold === null) holdAxis(true);
  moveTo(at);
}

/** The slider is at rest. */
function rest() {
  buildDistribution(facts.runs[view.run]);
  remember();
}

function holdAxis(hold) {
  view.hold = hold;
  element("hold").checked = hold;
  frameProfiles();
  remember();
}

let playing = null;

/** Plays the steps, ten a second, from the beginning where it is at the end. */
function play() {
  if (playing) {
    clearInterval(playing);
    playing = null;
    rest();
  } else {
    if (view.at === allSteps.length - 1) slideTo(0);
    playing = setInterval(() => (view.at < allSteps.length - 1 ? slideTo(view.at + 1) : play()), 100);
  }
  element("play").textContent = playing ? "pause" : "play";
}

function redraw() {
  buildLegend();
  buildProfiles();
  buildCurves();
  buildDetail();
  remember();
}

function wire() {
  const fields = [["", "network"], ...facts.fields.map((name) => [name, name])];
  options(element("quantity"), Object.entries(facts.columns), view.quantity);
  options(element("curve"), Object.entries(facts.curves), view.curve);
  options(element("color"), fields, view.color);
  options(element("facet"), [["", "none"], ...fields.slice(1)], view.facet);
  options(element("run"), facts.runs.map((run, i) => [String(i), `${facts.groups[run.group].name}, seed ${run.seed}`]), String(view.run));
  for (const id of ["quantity", "curve", "color", "facet"]) {
    element(id).addEventListener("change", () => {
      view[id] = element(id).value;
      if (id === "color") view.hidden.clear();
      redraw();
    });
  }
  for (const id of ["fraction", "log", "seeds"]) {
    element(id).checked = view[id];
    element(id).addEventListener("change", () => {
      view[id] = element(id).checked;
      redraw();
    });
  }
  element("step").max = String(allSteps.length - 1);
  element("step").value = String(view.at);
  element("step").addEventListener("input", () => slideTo(Number(element("step").value)));
  element("step").addEventListener("change", rest);
  element("hold").checked = view.hold === true;
  element("hold").addEventListener("change", () => holdAxis(element("hold").checked));
  element("play").addEventListener("click", play);
  element("clear").addEventListener("click", () => brush([]));
  element("run").addEventListener("change", () => chooseRun(Number(element("run").value)));
  element("layer").addEventListener("change", () => {
    view.layer = Number(element("layer").value);
    buildDistribution(facts.runs[view.run]);
    remember();
  });
  element("tensor").addEventListener("change", () => buildDistribution(facts.runs[view.run]));
  element("ratio").addEventListener("change", buildDetail);
}

/** The field by which the gradients' falls differ most, of those whose values can be told apart: its share of their
 * variance. The groups themselves where there are few. */
function bestColor() {
  if (facts.groups.length <= COLORS.length) return "";
  const runs = facts.runs.filter((run) => Number.isFinite(facts.groups[run.group].fall));
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  const falls = (members) => members.map((run) => facts.groups[run.group].fall);
  const total = mean(falls(runs));
  const between = (name) => {
    const parts = valuesOf(name).map((value) => falls(runs.filter((run) => valueOf(run, name) === value)));
    return parts.filter((part) => part.length).reduce((sum, part) => sum + part.length * (mean(part) - total) ** 2, 0);
  };
  const told = facts.fields.filter((name) => valuesOf(name).length > 1 && valuesOf(name).length <= 2 * COLORS.length);
  return told.map((name) => [between(name), name]).sort((a, b) => b[0] - a[0])[0]?.[1] ?? "";
}

/** Shows the profiles, curves and details of the runs that have any. */
function explore() {
  const profiled = facts.runs.filter((run) => run.profiles);
  element("explorer").hidden = !profiled.length;
  if (!profiled.length) return;
  allSteps = [...new Set(profiled.flatMap((run) => run.profiles.steps))].sort((a, b) => a - b);
  const signals = facts.groups.map((group) => group.signal);
  view.quantity = signals.includes("dx_rms") && "dx_rms" in facts.columns ? "dx_rms" : Object.keys(facts.columns)[0];
  view.curve = Object.keys(facts.curves)[0] ?? "";
  view.color = bestColor();
  view.run = facts.runs.indexOf(profiled[0]);
  recall();
  wire();
  redraw();
  window.explorer = { // what tests ask
    view, facts, shown: () => panels.flatMap((panel) => panel.drawn), curves: () => curvePanel?.drawn ?? [],
    yEnds: () => panels.map(({ figure }) => [figure.y_range.start, figure.y_range.end]),
  };
}

async function start() {
  const kept = history.state; // before the first picture is remembered
  wireClaims();
  watch();
  [facts, numbers] = await Promise.all([unpackFacts(), unpackNumbers(), loadBokeh()]);
  explore();
  buildRunsTable();
  await showPictures();
  recallFields(kept);
  document.body.dataset.ready = "true";
}

start();
