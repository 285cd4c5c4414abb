// While the page is served: how far the sweep is, and the page anew when there is more to see.

const EVERY = 3000;

async function watch() {
  if (!location.protocol.startsWith("http")) return;
  const line = element("progress");
  line.hidden = false;
  let stamp = null;
  const look = async () => {
    const answer = await fetch("/state").catch(() => null);
    const state = answer?.ok && (await answer.json().catch(() => null));
    if (!answer) line.textContent = "vgexp view has ended: this is the page as it was.";
    else if (!state) line.textContent = "How far the sweep is could not be read just now.";
    else show(state);
  };
  const show = (state) => {
    const { done, running, failed, missing } = state.runs;
    const all = done + running + failed + missing;
    const newer = stamp !== null && state.stamp !== stamp;
    const busy = playing || (document.hasFocus() && document.activeElement?.matches("input, select"));
    const waits = newer && busy && "there is more to see, once no field is in use and nothing plays";
    const parts = [`${done} of ${all} runs done`, running && `${running} running`, failed && `${failed} failed`, missing && `${missing} to come`, waits];
    line.replaceChildren(Object.assign(document.createElement("progress"), { max: all || 1, value: done }), ` ${parts.filter(Boolean).join(", ")}`);
    line.querySelector("progress").setAttribute("aria-label", "runs done");
    if (newer && !busy) location.reload(); // the address and the history keep what is shown
    stamp ??= state.stamp;
  };
  await look();
  setInterval(look, EVERY);
}
