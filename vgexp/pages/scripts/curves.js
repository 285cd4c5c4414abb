// Curves over training.

let curvePanel;

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
