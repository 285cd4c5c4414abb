// Profiles over depth: one panel, or one a value of a field, at the slider's step.

let panels;

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

/** What the panels share: the ends of their axes. The y axis is held over all steps, so that movement is seen, or fits
 * the step that is shown. */
function profileEnds(runs) {
  const values = allSteps[view.at] === 0 ? theoryLines(runs, palette()).flatMap((one) => one.ys) : [];
  let deepest = 1;
  for (const run of runs) {
    if (!run.profiles || !(view.quantity in run.profiles.at)) continue;
    const { steps, layers, at } = run.profiles;
    deepest = Math.max(deepest, layers);
    const last = recordedUpTo(run, allSteps[view.at]);
    const [from, to] = view.hold ? [0, steps.length] : [Math.max(last, 0), last + 1];
    for (const v of numbers.subarray(at[view.quantity] + from * layers, at[view.quantity] + to * layers)) values.push(v);
  }
  return { xEnds: view.fraction ? [0, 1.02] : [0.5, deepest + 0.5], yEnds: ends(values, view.log) };
}

/** Moves the y axes of the panels to their ends, but for those that the reader has moved. */
function frameProfiles() {
  const { yEnds } = profileEnds(facts.runs.filter(visible));
  const [start, end] = yEnds;
  for (const panel of panels) {
    const range = panel.figure.y_range;
    if (range.start === panel.yEnds[0] && range.end === panel.yEnds[1]) range.setv({ start, end });
    range.setv({ reset_start: start, reset_end: end });
    panel.yEnds = yEnds;
  }
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
    const panel = { runs: members, drawn: [], yEnds: shared.yEnds };
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
  if (!view.hold) frameProfiles();
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
