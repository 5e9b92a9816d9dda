// Acts like a reader, then records what it saw.
window.addEventListener("load", () => setTimeout(async () => {
  // Spectra are unpacked beside the script.
  await figures.ready;
  const saw = { painted: {}, readouts: {} };
  const colours = (canvas) => {
    const { width, height } = canvas;
    const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
    const seen = new Set();
    let green = 0;
    for (let i = 0; i < pixels.length; i += 4) {
      seen.add(pixels[i] << 16 | pixels[i + 1] << 8 | pixels[i + 2]);
      green += pixels[i + 1] > pixels[i] + 8 && pixels[i + 1] > pixels[i + 2] + 8;
    }
    return { count: seen.size, green };
  };
  const event = (canvas, kind, fx, fy) => {
    const r = canvas.getBoundingClientRect();
    canvas.dispatchEvent(new PointerEvent(kind, { clientX: r.left + fx * r.width, clientY: r.top + fy * r.height, pointerId: 1, bubbles: true }));
  };
  const canvasOf = (id) => document.querySelector(`#${id} canvas`);
  for (const canvas of document.querySelectorAll("figure canvas")) {
    const id = canvas.closest("figure").id;
    const { count, green } = colours(canvas);
    saw.painted[id] = count;
    if (id === "residual") saw.masked = green;
    event(canvas, "pointermove", 0.5, 0.45);
    saw.readouts[id] = canvas.closest("figure").querySelector(".readout").textContent;
  }
  const flux = canvasOf("flux");
  event(flux, "pointerdown", 0.5, 0.43);
  event(flux, "pointerup", 0.5, 0.43);
  saw.chosen = (document.getElementById("fibre").selectedOptions[0] || { text: "" }).text.split(":")[0];
  saw.address = location.hash;
  const spectrumReadout = () => {
    event(canvasOf("spectrum"), "pointermove", 0.5, 0.45);
    return document.querySelector("#spectrum .readout").textContent;
  };
  const set = (id, index) => {
    const select = document.getElementById(id);
    select.selectedIndex = index;
    select.onchange();
    return spectrumReadout();
  };
  const alone = spectrumReadout();
  saw.smoothed = set("smooth", 3) !== alone;
  saw.beside = set("beside", 4);
  set("smooth", 0);
  set("beside", 0);
  document.getElementById("lines").click();
  HTMLAnchorElement.prototype.click = function () { saw.svg = decodeURIComponent(this.href); };
  document.querySelectorAll("#spectrum .bar button")[1].click();
  saw.drawn = new DOMParser().parseFromString(saw.svg.split(",").slice(1).join(","), "image/svg+xml").documentElement.nodeName;
  saw.svg = { paths: saw.svg.split("<path").length - 1, starts: saw.svg.slice(0, 60), whole: saw.svg.endsWith("</svg>"), bytes: saw.svg.length };
  saw.still = [...document.querySelectorAll("svg.arrows + .bar button, svg.focal + .bar button")].map((button) => {
    const before = saw.svg;
    button.click();
    const text = saw.svg.split(",").slice(1).join(",");
    saw.svg = before;
    const root = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
    return [root.nodeName, root.querySelectorAll("[fill^=rgb], [stroke^=rgb]").length];
  });
  document.getElementById("csv").click();
  await new Promise((done) => setTimeout(done, 50));
  saw.said = document.getElementById("said").textContent;
  const back = (id) => document.querySelector(`#${id} .bar button`).hidden;
  event(flux, "pointerdown", 0.3, 0.4);
  event(flux, "pointermove", 0.6, 0.4);
  event(flux, "pointerup", 0.6, 0.4);
  const during = back("flux") || back("snr-wave") || back("spectrum");
  flux.dispatchEvent(new MouseEvent("dblclick"));
  saw.zoomed = !during && back("flux") && back("snr-wave");
  saw.images = document.images.length;
  saw.broken = [...document.images].filter((i) => !i.naturalWidth).length;
  saw.unnamed = [...document.images].filter((i) => !i.alt).length
    + [...document.querySelectorAll("canvas, svg")].filter((c) => !c.getAttribute("aria-label")).length;
  saw.overflow = document.documentElement.scrollWidth - window.innerWidth;
  const out = document.createElement("pre");
  out.id = "probe";
  out.textContent = JSON.stringify(saw).replaceAll("<", "");
  document.body.append(out);
}, 200));
