// What the page carries, unpacked: the facts (JSON), the numbers (float32), the pictures (SVG), the charts' library.

/** The decompressed bytes of a script element that holds gzip in base64. */
async function inflated(id) {
  const packed = Uint8Array.from(atob(document.getElementById(id).textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const unpackedText = async (id) => new TextDecoder().decode(await inflated(id));
const unpackFacts = async () => JSON.parse(await unpackedText("facts"));

/** Puts the pictures where their captions are: as images, for a document of many thousand lines would draw slowly. */
async function showPictures() {
  for (const [name, picture] of Object.entries(JSON.parse(await unpackedText("pictures")))) {
    const image = Object.assign(new Image(), { alt: name, src: URL.createObjectURL(new Blob([picture], { type: "image/svg+xml" })) });
    element(`figure-${name}`).prepend(image);
  }
}

/** The numbers: of each the upper three bytes are there, apart by significance; the lowest is 0. */
async function unpackNumbers() {
  const planes = await inflated("numbers");
  const count = planes.length / 3;
  const bytes = new Uint8Array(4 * count);
  for (let plane = 0; plane < 3; plane++) {
    for (let i = 0; i < count; i++) bytes[4 * i + plane + 1] = planes[plane * count + i];
  }
  return new Float32Array(bytes.buffer);
}

async function loadBokeh() {
  for (const id of ["bokeh", "bokeh-api"]) {
    const script = document.createElement("script");
    script.textContent = await unpackedText(id);
    document.head.append(script);
  }
}
