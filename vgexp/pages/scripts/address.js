// Address: what is shown, in its query; a place, in its hash, which is the reader's own; fields, beside it in the history.

const among = (names) => (text) => names.includes(text) ? text : undefined;
const flag = (text) => (among(["true", "false"])(text) ? text === "true" : undefined);
const whole = (from, to) => (text) => Number.isInteger(Number(text)) && from <= Number(text) && Number(text) < to ? Number(text) : undefined;

/** What the address's query keeps: how each is read from there, nothing where it is none of this page's. */
const KEPT = {
  quantity: (text) => among(Object.keys(facts.columns))(text),
  curve: (text) => among(Object.keys(facts.curves))(text),
  color: (text) => among(["", ...facts.fields])(text),
  facet: (text) => among(["", ...facts.fields])(text),
  fraction: flag,
  log: flag,
  hold: flag,
  seeds: flag,
  at: (text) => whole(0, allSteps.length)(text),
  hidden: (text) => among(valuesOf(view.color))(text),
  hiddenRuns: (text) => among(facts.runs.map((run) => run.id))(text),
  run: (text) => whole(0, facts.runs.length)(text),
  layer: whole(1, Infinity),
};

/** The fields below the explorer, by section and name. */
function fields() {
  const name = (field) => field.id || field.ariaLabel || field.closest("label").textContent.trim();
  const found = document.querySelectorAll(":is(#claims, #runs) :is(input, select)");
  return new Map([...found].map((field) => [`${field.closest("section").id} ${name(field)}`, field]));
}

const content = (field) => (field.type === "checkbox" ? field.checked : field.value);

/** What is shown, in the page's address: a link to it shows the same. What fields hold, and which claims are open, is
 * nothing to send: that comes back where this page is loaded again. */
function remember() {
  const address = new URL(location);
  const opened = [...document.querySelectorAll("#claims-list [open]")].map((claim) => claim.id);
  const state = { fields: [...fields()].map(([name, field]) => [name, content(field)]), opened };
  for (const name of allSteps ? Object.keys(KEPT) : []) {
    address.searchParams.delete(name);
    for (const value of view[name] instanceof Set ? view[name] : [view[name]]) address.searchParams.append(name, String(value));
  }
  history.replaceState(state, "", address);
}

function recall() {
  const kept = new URLSearchParams(location.search);
  for (const [name, read] of Object.entries(KEPT)) {
    const found = kept.getAll(name).map(read).filter((value) => value !== undefined);
    if (view[name] instanceof Set) view[name] = new Set(found);
    else if (found.length) view[name] = found[0];
  }
}

/** Fields and claims as they were left, or, on a page that was not there before, the place that its address names. */
function recallFields(kept) {
  for (const [name, value] of kept?.fields ?? []) {
    const field = fields().get(name); // anew each time: a column that is shown or not makes the table's filters anew
    if (!field || content(field) === value) continue;
    field[field.type === "checkbox" ? "checked" : "value"] = value;
    for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, { bubbles: true }));
  }
  for (const id of kept?.opened ?? []) element(id)?.setAttribute("open", "");
  if (!kept) showPlace();
  remember();
  for (const id of ["claims", "runs"]) {
    for (const kind of ["change", "toggle"]) element(id)?.addEventListener(kind, remember, true); // no toggle bubbles
  }
  addEventListener("hashchange", () => (showPlace(), remember()));
}

/** The place that the hash names: charts above it have moved it since the browser went there; a claim may be closed, and
 * not among those that are shown. */
function showPlace() {
  const place = document.querySelector(":target");
  if (place?.matches(".claim")) {
    place.open = true;
    if (place.hidden) showVerdict(place.dataset.verdict);
  }
  place?.scrollIntoView();
}
