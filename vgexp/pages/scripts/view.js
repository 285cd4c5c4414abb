// View: what the explorer shows, in one object, and what its panels draw of it. Every control changes the object and
// draws again.

const view = {
  quantity: "", // a column of the profiles
  curve: "", // a column of the curves
  color: "", // a field, or "" for the groups
  facet: "", // a field, or "" for one panel
  fraction: false, // whether the depth is l / L
  log: true,
  hold: null, // whether the profiles' y axis is the same at all steps: null until the slider moves, or the reader says
  seeds: false, // single runs in place of means with bands
  at: 0, // the index of the step among all that were recorded
  hidden: new Set(), // values of the color's field
  hiddenRuns: new Set(),
  selected: null, // runs that were brushed, or null
  run: 0, // the run in detail, its index
  layer: 1,
};
let facts, numbers, allSteps;
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
