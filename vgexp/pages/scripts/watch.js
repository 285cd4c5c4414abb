// While the page is served: how far the sweep is, and the page anew when there is more to see.

const EVERY = 3000;

async function watch() {
  if (!location.protocol.startsWith("http")) return;
  const line = element("progress");
  line.hidden = false;
  let stamp = null;
  const look = async () => {
    try {
      const state = await (await fetch("/state")).json();
      const { done, running, failed, missing } = state.runs;
      const all = done + running + failed + missing;
      const parts = [`${done} of ${all} runs done`, running && `${running} running`, failed && `${failed} failed`, missing && `${missing} to come`];
      line.replaceChildren(Object.assign(document.createElement("progress"), { max: all || 1, value: done }), ` ${parts.filter(Boolean).join(", ")}`);
      line.querySelector("progress").setAttribute("aria-label", "runs done");
      if (stamp !== null && state.stamp !== stamp && !playing) location.reload(); // the address keeps what is shown
      stamp ??= state.stamp;
    } catch {
      line.textContent = "vgexp view has ended: this is the page as it was.";
    }
  };
  await look();
  setInterval(look, EVERY);
}
