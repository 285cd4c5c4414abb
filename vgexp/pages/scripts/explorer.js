// The explorer: profiles over depth, curves over training, and one run in detail. One object says what is shown;
// every control changes it and draws again.

const view = {
  quantity: "", // a column of the profiles
  curve: "", // a column of the curves
  color: "", // a field, or "" for the groups
  facet: "", // a field, or "" for one panel
  fraction: false, // whether the depth is l / L
  log: true,
  seeds: false, // single runs in place of means with bands
  at: 0, // the index of the step among all that were recorded
  hidden: new Set(), // values of the color's field
  hiddenRuns: new Set(),
  selected: null, // runs that were brushed, or null
  run: 0, // the run in detail, its index
  layer: 1,
};
let facts, numbers, allSteps, panels, curvePanel;
const series = ([offset, length]) => numbers.subarray(offset, offset + length);

/** The values of a run's column at a recorded step, by layer. */
function profileAt(run, column, index) {
  const { at, layers } = run.profiles;
  return numbers.subarray(at[column] + index * layers, at[column] + (index + 1) * layers);
}

/** The index of the last step that a run recorded up to a step; -1 where there is none. */
function recordedUpTo(run, step) {
  let found = -1;
  for (const recorded of run.profiles ? run.profiles.steps : []) {
    if (recorded > step) break;
    found += 1;
  }
  return found;
}

const valueOf = (run, field) => (field ? String(run.config[field] ?? "null") : facts.groups[run.group].name);

/** Values of a field in order: numbers by size. */
function valuesOf(field) {
  const found = [...new Set(facts.runs.map((run) => valueOf(run, field)))];
  const numeric = found.every((value) => value !== "" && !Number.isNaN(Number(value)));
  return numeric ? found.sort((a, b) => a - b) : found;
}

/** The color and dash of every value of the color's field. */
function palette() {
  const values = valuesOf(view.color);
  const ordered = values.length > 2 && values.every((value) => value !== "" && !Number.isNaN(Number(value)));
  const many = values.length > COLORS.length * DASHES.length;
  return new Map(
    values.map((value, i) => {
      if (ordered || many) return [value, { color: viridis(i / (values.length - 1)), dash: "solid" }];
      return [value, { color: COLORS[i % COLORS.length], dash: DASHES[Math.floor(i / COLORS.length) % DASHES.length] }];
    }),
  );
}

function visible(run) {
  return !view.hidden.has(valueOf(run, view.color)) && !view.hiddenRuns.has(run.id);
}

/** The runs to draw as one line each: a group, or every run by itself. */
function bundles(runs) {
  if (view.seeds) return runs.map((run) => [run]);
  const byGroup = new Map();
  for (const run of runs) byGroup.set(run.group, [...(byGroup.get(run.group) ?? []), run]);
  return [...byGroup.values()];
}

const named = (runs) => facts.groups[runs[0].group].name + (view.seeds ? `, seed ${runs[0].seed} (${runs[0].id})` : "");
const faint = (runs) => (view.selected && !runs.some((run) => view.selected.has(run.id)) ? 0.12 : 1);
const broken = (values, log) => Array.from(values, (v) => (Number.isFinite(v) && (!log || v > 0) ? v : NaN));

/** One line with its band: what charts need of it. */
function line(runs, styles, xs, estimates) {
  const { color, dash } = styles.get(valueOf(runs[0], view.color));
  return { runs, name: named(runs), color, dash, alpha: faint(runs), width: 1.8, xs, ys: estimates.map((e) => e.point), estimates };
}

const columnsOf = (drawn) =>
  Object.fromEntries(["xs", "ys", "color", "dash", "alpha", "width"].map((name) => [name, drawn.map((one) => one[name])]));

/** The bands between the ends of intervals, as closed paths; on a log axis from `floor` where an interval reaches 0. */
function bands(drawn, floor = -Infinity) {
  const paths = { xs: [], ys: [], color: [] };
  for (const one of drawn.filter(({ alpha }) => alpha === 1)) {
    let stretch = [];
    const close = () => {
      if (stretch.length > 1) {
        const [xs, lows, highs] = [0, 1, 2].map((i) => stretch.map((point) => point[i]));
        paths.xs.push([...xs, ...[...xs].reverse()]);
        paths.ys.push([...lows, ...highs.reverse()]);
        paths.color.push(one.color);
      }
      stretch = [];
    };
    one.estimates.forEach(({ low, high }, i) => {
      if (Number.isFinite(low) && Number.isFinite(high) && high > floor) stretch.push([one.xs[i], Math.max(low, floor), high]);
      else close(); // a single seed has no interval
    });
    close();
  }
  return paths;
}

function intervalText({ point, low, high, seeds }) {
  const range = Number.isFinite(low) ? ` [${shown(low)}, ${shown(high)}]` : "";
  return `${shown(point)}${range}, ${seeds} seed${seeds === 1 ? "" : "s"}`;
}

// ---------------------------------------------------------------- profiles over depth

/** The lines of a panel at the slider's step. */
function profileLines(runs, styles) {
  const step = allSteps[view.at];
  const drawn = [];
  for (const bundle of bundles(runs)) {
    const there = bundle.filter((run) => run.profiles && view.quantity in run.profiles.at && recordedUpTo(run, step) >= 0);
    if (!there.length) continue;
    const rows = there.map((run) => profileAt(run, view.quantity, recordedUpTo(run, step)));
    const depth = there[0].profiles.layers;
    const xs = Array.from({ length: depth }, (_, i) => (view.fraction ? (i + 1) / depth : i + 1));
    const estimates = xs.map((_, i) => estimated(rows.map((row) => row[i]), view.log));
    drawn.push({ ...line(there, styles, xs, estimates), steps: there.map((run) => run.profiles.steps[recordedUpTo(run, step)]) });
  }
  return drawn;
}

/** Theory's lines at initialisation. */
function theoryLines(runs, styles) {
  if (allSteps[view.at] !== 0) return [];
  const drawn = [];
  for (const group of new Set(runs.map((run) => run.group))) {
    const place = facts.groups[group].theory?.[view.quantity];
    if (!place) continue;
    const members = runs.filter((run) => run.group === group);
    const ys = broken(series(place), view.log);
    const xs = ys.map((_, i) => (view.fraction ? (i + 1) / ys.length : i + 1));
    drawn.push({ ...line(members, styles, xs, ys.map((point) => ({ point }))), dash: "dotted", width: 1.2, alpha: 0.9 * faint(members) });
  }
  return drawn;
}

/** What the panels share: the ends of the axes over all steps, so that nothing jumps while they play. */
function profileEnds(runs) {
  const values = [];
  let deepest = 1;
  for (const run of runs) {
    if (!run.profiles || !(view.quantity in run.profiles.at)) continue;
    const { steps, layers, at } = run.profiles;
    deepest = Math.max(deepest, layers);
    for (const v of numbers.subarray(at[view.quantity], at[view.quantity] + steps.length * layers)) values.push(v);
  }
  return { xEnds: view.fraction ? [0, 1.02] : [0.5, deepest + 0.5], yEnds: ends(values, view.log) };
}

const FACETS = 12;

/** Builds the panels of profiles: one, or one a value of the facet's field. */
function buildProfiles() {
  const runs = facts.runs.filter(visible);
  const values = view.facet ? valuesOf(view.facet).slice(0, FACETS) : [""];
  const shared = profileEnds(runs);
  const grid = element("profiles");
  grid.classList.toggle("facets", values.length > 1);
  clear(grid);
  grid.replaceChildren();
  panels = values.map((value) => {
    const box = document.createElement("div");
    if (view.facet) box.append(Object.assign(document.createElement("h4"), { textContent: `${view.facet} = ${worded(value)}` }));
    const target = box.appendChild(document.createElement("div"));
    grid.append(box);
    const members = view.facet ? runs.filter((run) => valueOf(run, view.facet) === value) : runs;
    const panel = { runs: members, drawn: [], theory: [] };
    panel.figure = chart(target, {
      x: view.fraction ? "depth l / L" : "layer",
      y: facts.columns[view.quantity],
      logY: view.log,
      height: values.length > 1 ? 240 : 380,
      ...shared,
      tools: "pan,box_zoom,wheel_zoom,reset,save,tap,box_select",
    });
    whenBrushed(panel.figure, () => panel.drawn);
    panel.bands = marks(panel.figure, "patches", { xs: [], ys: [], color: [] }, BANDS);
    panel.expected = marks(panel.figure, "multi_line", columnsOf([]), LINES);
    panel.lines = marks(panel.figure, "multi_line", columnsOf([]), LINES, (index, point) => profileTold(panel.drawn[index], point));
    panel.lines.selected.properties.indices.change.connect(() => {
      const [index] = panel.lines.selected.indices;
      if (index !== undefined) chooseRun(facts.runs.indexOf(panel.drawn[index].runs[0]));
    });
    return panel;
  });
  element("facet-note").textContent = valuesOf(view.facet).length > FACETS && view.facet ? `The first ${FACETS} of ${valuesOf(view.facet).length} values.` : "";
  drawProfiles();
}

function profileTold(one, point) {
  const place = facts.groups[one.runs[0].group].theory?.[view.quantity];
  const theory = place && allSteps[view.at] === 0 ? `, theory ${shown(series(place)[point])}` : "";
  return `${one.name}: layer ${point + 1}, step ${[...new Set(one.steps)].join(", ")}: ${intervalText(one.estimates[point])}${theory}`;
}

/** Moves the lines to the slider's step. */
function drawProfiles() {
  const styles = palette();
  let earlier = 0;
  for (const panel of panels) {
    panel.drawn = profileLines(panel.runs, styles);
    panel.lines.data = columnsOf(panel.drawn);
    panel.expected.data = columnsOf(theoryLines(panel.runs, styles));
    panel.bands.data = view.seeds ? { xs: [], ys: [], color: [] } : bands(panel.drawn);
    earlier += panel.drawn.filter((one) => one.steps.some((step) => step !== allSteps[view.at])).length;
  }
  element("step-now").textContent = `step ${allSteps[view.at]}`;
  element("step").setAttribute("aria-valuetext", `step ${allSteps[view.at]}`);
  element("earlier").textContent = earlier ? `${earlier} lines are of an earlier step: that is the last one recorded.` : "";
}

// ---------------------------------------------------------------- curves over training

function buildCurves() {
  const longest = Math.max(...facts.runs.map((run) => run.curves?.steps.length ?? 0));
  element("training").hidden = longest < 2; // one step is no curve
  if (!view.curve || longest < 2) return;
  const styles = palette();
  const drawn = [];
  const logY = view.log && !view.curve.endsWith("_error");
  for (const bundle of bundles(facts.runs.filter(visible))) {
    const there = bundle.filter((run) => run.curves && view.curve in run.curves.at);
    if (!there.length) continue;
    const steps = [...new Set(there.flatMap((run) => run.curves.steps))].sort((a, b) => a - b);
    const rows = there.map((run) => new Map(run.curves.steps.map((step, i) => [step, numbers[run.curves.at[view.curve] + i]])));
    const estimates = steps.map((step) => estimated(rows.map((row) => row.get(step) ?? NaN), false));
    const kept = steps.map((step, i) => i).filter((i) => estimates[i].seeds);
    drawn.push({ ...line(there, styles, kept.map((i) => steps[i] + 1), kept.map((i) => estimates[i])), steps: kept.map((i) => steps[i]) });
  }
  const yEnds = ends(drawn.flatMap((one) => one.ys), logY);
  const figure = chart(element("curves"), {
    x: "step + 1",
    y: facts.curves[view.curve],
    logX: true,
    logY,
    xEnds: [0.9, (Math.max(1, ...drawn.flatMap((one) => one.xs)) * 1.1)],
    yEnds,
    height: 300,
    tools: "pan,box_zoom,wheel_zoom,reset,save,box_select,tap",
  });
  const told = (index, point) => `${drawn[index].name}: step ${drawn[index].steps[point]}: ${intervalText(drawn[index].estimates[point])}`;
  if (!view.seeds) marks(figure, "patches", bands(drawn, logY ? yEnds[0] : -Infinity), BANDS);
  const source = marks(figure, "multi_line", columnsOf(drawn), LINES, told);
  source.selected.properties.indices.change.connect(() => {
    const [index] = source.selected.indices;
    if (index !== undefined) chooseRun(facts.runs.indexOf(drawn[index].runs[0]));
  });
  whenBrushed(figure, () => drawn);
  figure.toolbar.active_drag = figure.toolbar.tools.find((tool) => tool instanceof Bokeh.BoxSelectTool);
  curvePanel = { figure, drawn };
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

// ---------------------------------------------------------------- one run in detail

function chooseRun(index) {
  view.run = index;
  element("run").value = String(index);
  buildDetail();
  remember();
}

/** The heat map layer x step of the chosen run, its layers over training, and the distributions of one layer. */
function buildDetail() {
  const run = facts.runs[view.run];
  element("detail-name").textContent = `${facts.groups[run.group].name}, seed ${run.seed}`;
  for (const id of ["heatmap", "layers", "distribution"]) {
    clear(element(id));
    element(id).replaceChildren();
  }
  if (run.profiles && view.quantity in run.profiles.at) {
    element("layer").max = run.profiles.layers;
    view.layer = Math.min(view.layer, run.profiles.layers);
    element("layer").value = view.layer;
    buildHeatmap(run);
    element("layers-box").hidden = run.profiles.steps.length < 2;
    if (run.profiles.steps.length > 1) buildLayers(run, "update_ratio" in run.profiles.at && element("ratio").checked ? "update_ratio" : view.quantity);
  }
  buildDistribution(run);
}

/** Cells are spaced by recorded step, not by time: most are at the beginning. */
function buildHeatmap(run) {
  const { steps, layers } = run.profiles;
  const cells = steps.flatMap((step, i) => Array.from(profileAt(run, view.quantity, i), (value, l) => ({ i, l, step, value })));
  const [low, high] = ends(cells.map((cell) => cell.value), view.log);
  const share = (v) => (view.log ? Math.log(v / low) / Math.log(high / low) : (v - low) / (high - low));
  const color = ({ value }) => (!Number.isFinite(value) ? "#d33" : view.log && value <= 0 ? "#888" : viridis(share(value)));
  const figure = chart(element("heatmap"), {
    x: "recorded step", y: "layer", xEnds: [-0.5, steps.length - 0.5], yEnds: [0.5, layers + 0.5], height: 260, tools: "tap,reset,save",
  });
  const every = Math.ceil(steps.length / 8);
  figure.xaxis.ticker = new Bokeh.FixedTicker({ ticks: steps.map((_, i) => i).filter((i) => i % every === 0) });
  figure.xaxis.major_label_overrides = new Map(steps.map((step, i) => [i, String(step)]));
  const columns = {
    left: cells.map(({ i }) => i - 0.5), right: cells.map(({ i }) => i + 0.5),
    bottom: cells.map(({ l }) => l + 0.5), top: cells.map(({ l }) => l + 1.5), color: cells.map(color),
  };
  const told = (index) => `layer ${cells[index].l + 1}, step ${cells[index].step}: ${shown(cells[index].value)}`;
  const source = marks(figure, "quad", columns, { fill_color: field("color"), line_color: null }, told);
  source.selected.properties.indices.change.connect(() => {
    const [index] = source.selected.indices;
    if (index === undefined) return;
    view.layer = cells[index].l + 1;
    element("layer").value = view.layer;
    moveTo(allSteps.indexOf(cells[index].step));
    buildDistribution(run);
  });
  element("heatmap-scale").textContent = `${facts.columns[view.quantity]}: dark ${shown(low)}, light ${shown(high)}; red: not finite, grey: 0`;
}

/** A line a layer over training: dark at the input, light at the output. */
function buildLayers(run, column) {
  const { steps, layers } = run.profiles;
  const rows = steps.map((_, i) => profileAt(run, column, i));
  const drawn = Array.from({ length: layers }, (_, l) => ({
    xs: steps.map((step) => step + 1), ys: broken(rows.map((row) => row[l]), view.log),
    color: viridis(l / Math.max(1, layers - 1)), dash: "solid", alpha: 1, width: 1.4,
  }));
  const figure = chart(element("layers"), {
    x: "step + 1", y: facts.columns[column], logX: true, logY: view.log, height: 260,
    xEnds: [0.9, (steps.at(-1) + 1) * 1.1], yEnds: ends(drawn.flatMap((one) => one.ys), view.log),
  });
  marks(figure, "multi_line", columnsOf(drawn), LINES, (l, i) => `layer ${l + 1}, step ${steps[i]}: ${shown(rows[i][l])}`);
}

/** The density, or the singular values, of the chosen layer at the last recorded step up to the slider's. */
function buildDistribution(run) {
  const wanted = element("tensor").value;
  const there = facts.distributions.filter((one) => one.run === run.id && one.quantity === wanted && one.layer === view.layer);
  const before = there.filter((one) => one.step <= allSteps[view.at]);
  const one = before.at(-1) ?? there[0];
  const target = element("distribution");
  clear(target);
  target.replaceChildren();
  if (!one) {
    target.textContent = facts.distributions.length ? `No ${wanted} of this layer was recorded.` : "No histograms or spectra were recorded (probe.tier=full records them).";
    return;
  }
  const title = `${wanted}, layer ${one.layer}, step ${one.step}`;
  if (wanted === "spectrum") {
    const ys = Array.from(series(one.values));
    const figure = chart(target, { x: "rank", y: "singular value", logY: true, xEnds: [0, ys.length + 1], yEnds: ends(ys, true), height: 260 });
    const drawn = [{ xs: ys.map((_, i) => i + 1), ys: broken(ys, true), color: COLORS[0], dash: "solid", alpha: 1, width: 1.6 }];
    marks(figure, "multi_line", columnsOf(drawn), LINES, (_, i) => `${title}: ${shown(ys[i])}`);
    return;
  }
  const [edges, density] = [series(one.edges), Array.from(series(one.density))];
  const columns = { left: Array.from(edges.slice(0, -1)), right: Array.from(edges.slice(1)), bottom: density.map(() => 0), top: density };
  const figure = chart(target, { x: wanted, y: "density", xEnds: [edges[0], edges.at(-1)], yEnds: [0, 1.05 * Math.max(...density)], height: 260 });
  marks(figure, "quad", columns, { fill_color: COLORS[0], line_color: null }, (i) => `${title}: ${shown(edges[i])} to ${shown(edges[i + 1])}: ${shown(density[i])}`);
}

// ---------------------------------------------------------------- controls

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

function moveTo(at) {
  view.at = at;
  element("step").value = String(at);
  drawProfiles();
  remember();
}

let playing = null;

/** Plays the steps, ten a second, from the beginning where it is at the end. */
function play() {
  if (playing) {
    clearInterval(playing);
    playing = null;
  } else {
    if (view.at === allSteps.length - 1) moveTo(0);
    playing = setInterval(() => (view.at < allSteps.length - 1 ? moveTo(view.at + 1) : play()), 100);
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

const KEPT = ["quantity", "curve", "color", "facet", "fraction", "log", "seeds", "at", "run", "layer"];

/** What is shown, in the page's address: a link to it shows the same. */
function remember() {
  const kept = new URLSearchParams(KEPT.map((name) => [name, String(view[name])]));
  history.replaceState(null, "", `#${kept}`);
}

function recall() {
  const kept = new URLSearchParams(location.hash.slice(1));
  for (const name of KEPT) {
    if (!kept.has(name)) continue;
    const text = kept.get(name);
    view[name] = typeof view[name] === "boolean" ? text === "true" : typeof view[name] === "number" ? Number(text) : text;
  }
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
  element("step").addEventListener("input", () => moveTo(Number(element("step").value)));
  element("step").addEventListener("change", () => buildDistribution(facts.runs[view.run]));
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

async function start() {
  wireClaims();
  watch();
  [facts, numbers] = await Promise.all([unpackFacts(), unpackNumbers(), loadBokeh()]);
  buildRunsTable();
  const profiled = facts.runs.filter((run) => run.profiles);
  if (!profiled.length) {
    element("explorer").hidden = true;
    document.body.dataset.ready = "true";
    return;
  }
  allSteps = [...new Set(profiled.flatMap((run) => run.profiles.steps))].sort((a, b) => a - b);
  const signals = facts.groups.map((group) => group.signal);
  view.quantity = signals.includes("dx_rms") && "dx_rms" in facts.columns ? "dx_rms" : Object.keys(facts.columns)[0];
  view.curve = Object.keys(facts.curves)[0] ?? "";
  view.color = bestColor();
  view.run = facts.runs.indexOf(profiled[0]);
  recall();
  view.at = Math.min(view.at, allSteps.length - 1);
  wire();
  redraw();
  window.explorer = { view, facts, shown: () => panels.flatMap((panel) => panel.drawn), curves: () => curvePanel?.drawn ?? [] };
  document.body.dataset.ready = "true";
}

start();
