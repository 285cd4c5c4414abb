// Detail: one run's heat map, its layers over training, and the distributions of a layer.

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
  const some = (numbers) => numbers.filter((_, i) => i % Math.ceil(numbers.length / 8) === 0);
  figure.xaxis.ticker = new Bokeh.FixedTicker({ ticks: some([...steps.keys()]) });
  figure.yaxis.ticker = new Bokeh.FixedTicker({ ticks: some([...Array(layers).keys()].map((l) => l + 1)) });
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
    rest();
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
    target.textContent = unseen(run, wanted);
    return;
  }
  const title = `${wanted}, layer ${one.layer}, step ${one.step}`;
  if (!series(one.density ?? one.singular_values).some(Number.isFinite)) {
    target.textContent = `${title}: not finite, or all equal.`;
    return;
  }
  if (wanted === "spectrum") {
    const ys = Array.from(series(one.singular_values));
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

/** Why there is no distribution to draw. */
function unseen(run, wanted) {
  if (run.left_out) return "This run's histograms and spectra are left out: the page carries no more of them.";
  const recorded = facts.distributions.length || facts.runs.some((one) => one.left_out);
  return recorded ? `No ${wanted} of this layer was recorded.` : "No histograms or spectra were recorded (probe.tier=full records them).";
}
