// Tables: runs, built from the facts; claims, which stand on the page. Both are sorted and filtered here.

/** Whether a cell passes a filter: `>0.5`, `<=3`, `=7`, else a part of its text. */
function passes(cell, filter) {
  const [, sign, number] = filter.match(/^\s*([<>]=?|=)\s*(.+)$/) ?? [];
  if (!sign) return String(cell).toLowerCase().includes(filter.trim().toLowerCase());
  const [value, limit] = [Number(cell), Number(number)];
  if (Number.isNaN(limit)) return String(cell) === number.trim();
  if (cell === "" || Number.isNaN(value)) return false;
  return (sign.includes("=") && value === limit) || (sign[0] === "<" && value < limit) || (sign[0] === ">" && value > limit);
}

/** Numbers by size, words by letter, nothing last. */
function compared(a, b) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const [x, y] = [Number(a), Number(b)];
  if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y;
  return String(a).localeCompare(String(b));
}

const ROWS = 200;

/** A table with a filter a column and headers that sort. `columns` are {name, text, cell(row), node(row)}. */
function table(target, columns, rows) {
  const state = { by: null, down: false, filters: new Map(), off: new Set(columns.filter((c) => c.off).map((c) => c.name)), all: false };
  const body = document.createElement("tbody");
  const head = document.createElement("thead");
  const note = document.createElement("p");
  note.className = "muted";
  note.setAttribute("role", "status");
  const on = () => columns.filter((column) => !state.off.has(column.name));
  const draw = () => {
    let found = rows.filter((row) => on().every((c) => !state.filters.get(c.name) || passes(c.cell(row), state.filters.get(c.name))));
    if (state.by) found = [...found].sort((a, b) => compared(state.by.cell(a), state.by.cell(b)) * (state.down ? -1 : 1));
    const there = state.all ? found : found.slice(0, ROWS);
    body.replaceChildren(
      ...there.map((row) => {
        const line = document.createElement("tr");
        for (const column of on()) {
          const cell = line.insertCell();
          cell.append(column.node ? column.node(row) : column.text?.(row) ?? String(column.cell(row)));
        }
        return line;
      }),
    );
    note.replaceChildren(`${there.length} of ${rows.length} rows`);
    if (there.length < found.length) {
      const more = Object.assign(document.createElement("button"), { type: "button", textContent: `show all ${found.length}` });
      more.addEventListener("click", () => ((state.all = true), draw()));
      note.append(" ", more);
    }
  };
  const header = () => {
    const names = document.createElement("tr");
    const filters = document.createElement("tr");
    for (const column of on()) {
      const cell = names.appendChild(document.createElement("th"));
      cell.scope = "col";
      const button = cell.appendChild(Object.assign(document.createElement("button"), { type: "button", textContent: column.name }));
      cell.setAttribute("aria-sort", state.by === column ? (state.down ? "descending" : "ascending") : "none");
      button.addEventListener("click", () => {
        state.down = state.by === column && !state.down;
        state.by = column;
        for (const other of names.cells) other.setAttribute("aria-sort", "none");
        cell.setAttribute("aria-sort", state.down ? "descending" : "ascending");
        draw();
      });
      const input = filters.insertCell().appendChild(document.createElement("input"));
      Object.assign(input, { placeholder: "filter", value: state.filters.get(column.name) ?? "" });
      input.setAttribute("aria-label", `filter ${column.name}`);
      input.addEventListener("input", () => (state.filters.set(column.name, input.value), draw()));
    }
    head.replaceChildren(names, filters);
  };
  const chooser = document.createElement("details");
  chooser.append(Object.assign(document.createElement("summary"), { textContent: "columns" }));
  for (const column of columns) {
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: !state.off.has(column.name) });
    box.addEventListener("change", () => (state.off[box.checked ? "delete" : "add"](column.name), header(), draw()));
    label.append(box, ` ${column.name}`);
    chooser.append(label);
  }
  const grid = document.createElement("table");
  grid.append(head, body);
  const wide = document.createElement("div");
  wide.className = "wide";
  wide.append(grid);
  header();
  draw();
  target.replaceChildren(chooser, note, wide);
}

/** Every run: what sets it apart, how it ended, and the command that computes it. */
function buildRunsTable() {
  const number = (name, value, off) => ({ name, off, cell: (run) => value(run) ?? "", text: (run) => (value(run) === null || value(run) === undefined ? "" : shown(value(run))) });
  const finals = Object.keys(facts.runs[0]?.final ?? {}).filter((name) => facts.runs.some((run) => run.final[name] !== null));
  const verdict = (run) => (run.diverged === null ? facts.groups[run.group].verdict : "diverged");
  const columns = [
    { name: "run", cell: (run) => run.id, node: (run) => code(run.id), off: true },
    ...facts.fields.map((name) => ({ name, cell: (run) => run.config[name] ?? "" })),
    { name: "seed", cell: (run) => run.seed },
    { name: "status", cell: (run) => run.status },
    { name: "gradient", cell: verdict },
    number("factor a layer", (run) => (run.diverged === null ? facts.groups[run.group].factor : null)),
    ...finals.map((name) => number(name.replace("final_", "").replace("_", " "), (run) => run.final[name], !/train_loss|valid_error|test_error/.test(name))),
    number("diverged at", (run) => run.diverged, !facts.runs.some((run) => run.diverged !== null)),
    number("seconds", (run) => run.seconds),
    { name: "show", cell: () => "", node: showButton },
    { name: "command", cell: (run) => run.command, node: (run) => copyButton(run.command) },
  ];
  table(element("runs-table"), columns, facts.runs);
}

const code = (text) => Object.assign(document.createElement("code"), { textContent: text });

/** Hides a run in all panels, or shows it again. */
function showButton(run) {
  const button = Object.assign(document.createElement("button"), { type: "button" });
  const say = () => {
    button.textContent = view.hiddenRuns.has(run.id) ? "show" : "hide";
    button.setAttribute("aria-label", `${button.textContent} ${facts.groups[run.group].name}, seed ${run.seed}`);
  };
  say();
  button.addEventListener("click", () => {
    if (!view.hiddenRuns.delete(run.id)) view.hiddenRuns.add(run.id);
    say();
    redraw();
  });
  return button;
}

function copyButton(command) {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: "copy", title: command });
  button.addEventListener("click", async () => {
    await copied(command);
    button.textContent = "copied";
  });
  return command ? button : "";
}

/** Copies text, also on a page that was opened from disk. */
async function copied(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = document.body.appendChild(Object.assign(document.createElement("textarea"), { value: text }));
  area.select();
  document.execCommand("copy");
  area.remove();
}

/** The claims: which verdicts, which words, in which order. */
function wireClaims() {
  const list = element("claims-list");
  if (!list) return;
  const claims = [...list.children];
  const order = { refuted: 0, undecided: 1, holds: 2, "not measured": 3 };
  const draw = () => {
    const words = element("claims-search").value.toLowerCase();
    const verdicts = new Set([...document.querySelectorAll("#claims-verdicts input:checked")].map((box) => box.value));
    const sorted = element("claims-order").value === "verdict" ? [...claims].sort((a, b) => order[a.dataset.verdict] - order[b.dataset.verdict]) : claims;
    list.replaceChildren(...sorted);
    let there = 0;
    for (const claim of claims) {
      claim.hidden = !verdicts.has(claim.dataset.verdict) || !claim.textContent.toLowerCase().includes(words);
      there += !claim.hidden;
    }
    element("claims-count").textContent = `${there} of ${claims.length} claims`;
  };
  for (const id of ["claims-search", "claims-order", "claims-verdicts"]) element(id).addEventListener("input", draw);
  draw();
}

/** Shows the claims of a verdict too, whatever was searched for. */
function showVerdict(verdict) {
  const box = document.querySelector(`#claims-verdicts input[value="${verdict}"]`);
  element("claims-search").value = "";
  box.checked = true;
  box.dispatchEvent(new Event("input", { bubbles: true }));
}
