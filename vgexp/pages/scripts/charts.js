// Charts: Bokeh's figures in the page's style, and what all panels share.

const COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666", "#999933"];
const DASHES = ["solid", "dashed", "dotted", "dotdash"];
const VIRIDIS = ["#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];
/** The figures that are shown, by the element that they stand in. */
const standing = new Map();
const element = (id) => document.getElementById(id);
const field = (name) => ({ field: name });

/** A color of viridis, at a share from 0 to 1. */
function viridis(share) {
  const at = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const low = Math.min(Math.floor(at), VIRIDIS.length - 2);
  const parts = [VIRIDIS[low], VIRIDIS[low + 1]].map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  return "rgb(" + parts[0].map((from, i) => Math.round(from + (parts[1][i] - from) * (at - low))).join(",") + ")";
}

/** A number as a person reads it: four digits. */
function shown(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "-∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-3 ? value.toExponential(3).replace(/\.?0+e/, "e") : String(+value.toPrecision(4));
}

/** A value of a field in words: numbers without needless digits. */
const worded = (value) => (value !== "" && !Number.isNaN(Number(value)) ? shown(Number(value)) : value);

/** The 97.5 % quantile of Student's t, by degrees of freedom. */
function studentT(freedom) {
  const exact = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
  if (freedom <= exact.length) return exact[freedom - 1];
  const z = 1.959964;
  return z + (z ** 3 + z) / (4 * freedom) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom ** 2);
}

/** The mean of some numbers with its 95 % interval; of positive ones on a log scale the geometric mean. */
function estimated(values, log) {
  const there = values.filter((v) => Number.isFinite(v) && (!log || v > 0)).map((v) => (log ? Math.log(v) : v));
  if (!there.length) return { point: NaN, low: NaN, high: NaN, seeds: 0 };
  const mean = there.reduce((a, b) => a + b, 0) / there.length;
  const squares = there.reduce((a, b) => a + (b - mean) ** 2, 0);
  const half = there.length > 1 ? studentT(there.length - 1) * Math.sqrt(squares / (there.length - 1) / there.length) : NaN;
  const back = log ? Math.exp : (v) => v;
  return { point: back(mean), low: back(mean - half), high: back(mean + half), seeds: there.length };
}

/** The ends of an axis around some numbers, with a margin; on a log axis of those above 0. */
function ends(values, log) {
  let low = Infinity;
  let high = -Infinity;
  for (const v of values) {
    if (!Number.isFinite(v) || (log && v <= 0)) continue;
    if (v < low) low = v;
    if (v > high) high = v;
  }
  if (low > high) return log ? [0.1, 10] : [0, 1];
  if (log) return low === high ? [low / 2, high * 2] : [low / (high / low) ** 0.05, high * (high / low) ** 0.05];
  const margin = 0.05 * (high - low || Math.abs(high) || 1);
  return [low - margin, high + margin];
}

/** A figure within an element. `ends` fix its axes, which the reader may zoom. */
function chart(target, { x, y, logX = false, logY = false, xEnds, yEnds, height = 300, tools = "pan,box_zoom,wheel_zoom,reset,save" }) {
  const range = ([start, end]) => new Bokeh.Range1d({ start, end });
  const figure = Bokeh.Plotting.figure({
    height,
    sizing_mode: "stretch_width",
    min_width: 200,
    tools,
    toolbar_location: "above",
    x_axis_type: logX ? "log" : "linear",
    y_axis_type: logY ? "log" : "linear",
    x_range: range(xEnds),
    y_range: range(yEnds),
    output_backend: "canvas",
  });
  figure.toolbar.logo = null;
  figure.toolbar.autohide = true;
  figure.xaxis.axis_label = x;
  figure.yaxis.axis_label = y;
  dress(figure);
  clear(target);
  target.replaceChildren();
  standing.set(target, { figure, views: Bokeh.Plotting.show(figure, target) });
  return figure;
}

/** Lets go of the figures within an element. */
function clear(target) {
  for (const [place, { views }] of standing) {
    if (!target.contains(place)) continue;
    standing.delete(place);
    views.then((found) => [found].flat().forEach((view) => (Bokeh.index.delete(view), view.remove())));
  }
}

/** Colors of a figure as the page's are, light or dark. */
function dress(figure) {
  const style = getComputedStyle(document.body);
  const [text, rule] = ["--text", "--rule"].map((name) => style.getPropertyValue(name).trim());
  figure.background_fill_color = null;
  figure.border_fill_color = null;
  figure.outline_line_color = null;
  for (const axis of [figure.xaxis, figure.yaxis]) {
    Object.assign(axis, { axis_label_text_color: text, major_label_text_color: text, axis_line_color: rule });
    Object.assign(axis, { major_tick_line_color: rule, minor_tick_line_color: null, axis_label_text_font_style: "normal" });
    Object.assign(axis, { axis_label_text_font_size: "13px", major_label_text_font_size: "12px" });
  }
  for (const grid of [figure.xgrid, figure.ygrid]) grid.grid_line_color = rule;
}

/** All figures anew in the page's colors, at once: paper does not wait for the next frame. */
function dressAll() {
  standing.forEach(({ figure }) => dress(figure));
  for (const view of Bokeh.index) view.repaint?.(); // others there are no charts
}

for (const media of ["(prefers-color-scheme: dark)", "print"]) matchMedia(media).addEventListener("change", dressAll);

/** What a mark says on hover, by the name of its renderer: a function of the mark's index and of the point's within it. */
const tellers = new Map();
window.told = (vars) => tellers.get(vars.name)(vars.index, vars.segment_index ?? 0);

/** Marks of a figure from columns, which say on hover what `tell` says of them; their source, to change them. */
function marks(figure, kind, columns, style, tell) {
  const source = new Bokeh.ColumnDataSource({ data: columns });
  const [first, ...others] = kind === "quad" ? ["left", "right", "bottom", "top"] : ["xs", "ys"];
  const place = Object.fromEntries([first, ...others].map((name) => [name, { field: name }]));
  const glyph = { ...place, source, ...style };
  const renderer = figure[kind](glyph);
  renderer.nonselection_glyph = null;
  renderer.selection_glyph = null;
  if (tell) {
    renderer.name = `marks ${tellers.size}`;
    tellers.set(renderer.name, tell);
    const formatters = { [`@${first}`]: new Bokeh.CustomJSHover({ code: "return window.told(special_vars)" }) };
    const tooltips = [["", `@${first}{custom}`]];
    figure.add_tools(new Bokeh.HoverTool({ renderers: [renderer], line_policy: "nearest", tooltips, formatters }));
  }
  return source;
}

const LINES = { line_color: field("color"), line_dash: field("dash"), line_width: field("width"), line_alpha: field("alpha") };
const BANDS = { fill_color: field("color"), fill_alpha: 0.15, line_color: null };
