// Makes the figures interactive: axes, zoom, values under the pointer, a chooser of spectra. Without it they are static.
"use strict";
const figures = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const floats = (text) => new Float32Array(bytes(text).buffer);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const clamp = (v, low, high) => Math.min(high, Math.max(low, v));
  const span = (range) => range[1] - range[0];
  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
  const wave = floats(data.wave);
  const views = [];
  const HELP = "Drag to zoom; keys: + and - zoom, arrows move, 0 resets.";
  document.documentElement.classList.add("scripted");

  /** Returns about `count` round values of a range, and their decimals. */
  function ticks([low, high], count) {
    const rough = (high - low) / Math.max(1, count);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
    const values = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) values.push(k * step);
    return { values, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
  }

  /** Formats a number with few digits. */
  function short(value) {
    if (!Number.isFinite(value)) return "none";
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
    return value.toFixed(size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3);
  }

  /** Returns the index of the value nearest to `at`; `values` ascend. */
  function nearest(values, at) {
    let [low, high] = [0, values.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (values[middle] < at) low = middle; else high = middle;
    }
    return Math.abs(values[low] - at) <= Math.abs(values[high] - at) ? low : high;
  }

  /** Draws one straight line. */
  function line(g, x0, y0, x1, y1) {
    g.beginPath();
    g.moveTo(x0, y0);
    g.lineTo(x1, y1);
    g.stroke();
  }

  /** Returns the button that saves a picture as SVG. */
  const saving = (name, svg) => make("button", {
    type: "button", textContent: "SVG", title: "Save this picture",
    onclick: () => make("a", { download: `${name}.svg`, href: "data:image/svg+xml;charset=utf-8," + encodeURIComponent(svg()) }).click(),
  });

  /** Lets a picture that is SVG already be saved, too, with the colours that the page gives it. */
  for (const picture of document.querySelectorAll("svg.arrows, svg.focal")) {
    const svg = () => {
      const copy = picture.cloneNode(true), from = picture.querySelectorAll("*");
      copy.querySelectorAll("*").forEach((part, k) => {
        const style = getComputedStyle(from[k]);
        for (const key of ["fill", "stroke", "stroke-width"]) part.setAttribute(key, style.getPropertyValue(key));
      });
      return new XMLSerializer().serializeToString(copy);
    };
    const bar = make("div", { className: "bar" });
    bar.append(make("span"), saving(picture.classList[0], svg));
    picture.after(bar);
  }

  /** As much of a canvas as the figures use, that writes SVG. */
  class SvgContext {
    constructor(width, height) {
      Object.assign(this, { width, height, parts: [], path: "", state: {}, stack: [], open: 0, clips: 0 });
      for (const key of ["strokeStyle", "fillStyle", "lineWidth", "font", "textAlign", "textBaseline", "lineJoin"]) this[key] = "";
    }
    static number(v) { return String(Math.round(v * 100) / 100); }
    add(text) { this.parts.push(text); }
    save() { this.stack.push(this.open); this.open = 0; }
    restore() { this.add("</g>".repeat(this.open)); this.open = this.stack.pop(); }
    group(attributes) { this.add(`<g ${attributes}>`); this.open++; }
    translate(x, y) { this.group(`transform="translate(${SvgContext.number(x)},${SvgContext.number(y)})"`); }
    rotate(angle) { this.group(`transform="rotate(${SvgContext.number(angle * 180 / Math.PI)})"`); }
    clip() {
      const id = `clip${this.clips++}`;
      this.add(`<clipPath id="${id}"><path d="${this.path}"/></clipPath>`);
      this.group(`clip-path="url(#${id})"`);
    }
    setLineDash(dash) { this.dash = dash.join(" "); }
    beginPath() { this.path = ""; }
    to(letter, x, y) { this.path += letter + SvgContext.number(x) + "," + SvgContext.number(y); }
    moveTo(x, y) { this.to("M", x, y); }
    lineTo(x, y) { this.to("L", x, y); }
    rect(x, y, w, h) { this.moveTo(x, y); this.lineTo(x + w, y); this.lineTo(x + w, y + h); this.lineTo(x, y + h); this.path += "Z"; }
    arc(x, y, r) { this.moveTo(x - r, y); this.path += `a${r},${r} 0 1 0 ${2 * r},0a${r},${r} 0 1 0 ${-2 * r},0`; }
    stroke() { this.add(`<path d="${this.path}" fill="none" stroke="${this.strokeStyle}" stroke-width="${this.lineWidth || 1}"/>`); }
    fill() { this.add(`<path d="${this.path}" fill="${this.fillStyle}"/>`); }
    strokeRect(x, y, w, h) { this.beginPath(); this.rect(x, y, w, h); this.stroke(); }
    fillRect(x, y, w, h) { this.beginPath(); this.rect(x, y, w, h); this.fill(); }
    fillText(text, x, y) {
      const anchor = { center: "middle", right: "end" }[this.textAlign] || "start";
      const shift = { top: ".8em", middle: ".35em" }[this.textBaseline] || "0";
      const words = String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;");
      this.add(`<text x="${SvgContext.number(x)}" y="${SvgContext.number(y)}" dy="${shift}" text-anchor="${anchor}" fill="${this.fillStyle}" font-family="sans-serif" font-size="12">${words}</text>`);
    }
    /** Only the part of an image that is shown. */
    drawImage(image, sx, sy, sw, sh, x, y, w, h) {
      const c = make("canvas", { width: Math.max(1, Math.round(sw)), height: Math.max(1, Math.round(sh)) });
      c.getContext("2d").drawImage(image, sx, sy, sw, sh, 0, 0, c.width, c.height);
      const [a, b, d, e] = [x, y, w, h].map(SvgContext.number);
      this.add(`<image x="${a}" y="${b}" width="${d}" height="${e}" preserveAspectRatio="none" href="${c.toDataURL()}"/>`);
    }
    text() {
      const { width, height } = this;
      return `<svg xmlns="${["http:", "", "www.w3.org", "2000", "svg"].join("/")}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`
        + `<rect width="100%" height="100%" fill="${colour("--card")}"/>${this.parts.join("")}</svg>`;
    }
  }

  /** Axes, zoom and pointer of a figure. Subclasses paint its content. */
  class View {
    constructor(figure, spec) {
      this.spec = spec;
      this.full = { x: [...spec.x], y: [...spec.y] };
      this.range = { x: [...spec.x], y: [...spec.y] };
      this.canvas = make("canvas", { tabIndex: 0, role: "img", ariaLabel: `${spec.alt} ${HELP}` });
      const hint = spec.id === "flux" ? "drag to zoom, double-click for the whole range" : "";
      this.readout = make("output", { className: "readout", textContent: hint });
      this.back = make("button", { type: "button", textContent: "Whole range", onclick: () => this.zoom(this.full) });
      const bar = make("div", { className: "bar" });
      bar.append(this.readout, this.back, saving(spec.id, () => this.svg()));
      const plot = figure.querySelector(".plot");
      plot.append(this.canvas);
      plot.after(bar);
      figure.classList.add("live");
      this.listen();
      views.push(this);
    }
    height(width) { return this.spec.height || clamp(width * 0.42, 190, 300); }
    /** Returns the inner part of the canvas, in CSS pixels. */
    box() {
      return { left: 58, top: 8, width: Math.max(20, this.canvas.clientWidth - 70), height: this.canvas.clientHeight - 50 };
    }
    toX(value) { const b = this.box(); return b.left + (value - this.range.x[0]) / span(this.range.x) * b.width; }
    toY(value) { const b = this.box(); return b.top + (this.range.y[1] - value) / span(this.range.y) * b.height; }
    /** Returns the pixel and the coordinates of an event. */
    at(event) {
      const b = this.box(), r = this.canvas.getBoundingClientRect(), { x, y } = this.range;
      const px = event.clientX - r.left, py = event.clientY - r.top;
      const fx = clamp((px - b.left) / b.width, 0, 1), fy = clamp((py - b.top) / b.height, 0, 1);
      return { px, py, x: x[0] + fx * span(x), y: y[1] - fy * span(y) };
    }
    listen() {
      const on = (kind, handler) => this.canvas.addEventListener(kind, handler);
      on("pointerdown", (e) => { this.from = this.at(e); if (e.isTrusted) this.canvas.setPointerCapture(e.pointerId); });
      on("pointermove", (e) => {
        this.now = this.at(e);
        this.readout.textContent = this.describe(this.now);
        this.draw();
      });
      on("pointerleave", () => { this.now = null; this.draw(); });
      on("pointercancel", () => { this.from = this.now = null; this.draw(); });
      on("pointerup", (e) => {
        const a = this.from, b = this.at(e);
        this.from = null;
        if (!a) return;
        const wide = Math.abs(a.px - b.px) > 6, high = Math.abs(a.py - b.py) > 6;
        if (!wide && !high) { this.click(b); return; }
        const order = (p, q) => [Math.min(p, q), Math.max(p, q)];
        // A drag along one axis zooms that axis only.
        this.zoom({ x: wide ? order(a.x, b.x) : this.range.x, y: high ? order(a.y, b.y) : this.range.y });
      });
      on("dblclick", () => this.zoom(this.full));
      on("keydown", (e) => {
        const { x, y } = this.range;
        const scale = (r, f) => { const m = (r[0] + r[1]) / 2, h = span(r) / 2 * f; return [m - h, m + h]; };
        const move = (r, f) => r.map((v) => v + f * span(r));
        const to = {
          "+": { x: scale(x, 0.6), y }, "-": { x: scale(x, 1.6), y }, "0": this.full,
          ArrowLeft: { x: move(x, -0.2), y }, ArrowRight: { x: move(x, 0.2), y },
          ArrowUp: { x, y: move(y, 0.2) }, ArrowDown: { x, y: move(y, -0.2) },
        }[e.key];
        if (to) { e.preventDefault(); this.zoom(to); }
      });
    }
    click() {}
    /** Returns the picture as SVG: what the canvas shows, without the pointer. */
    svg() {
      const width = this.canvas.clientWidth, height = this.canvas.clientHeight, b = this.box(), now = this.now;
      const g = new SvgContext(width, height);
      this.now = null;
      g.save();
      g.beginPath(); g.rect(b.left, b.top, b.width, b.height); g.clip();
      this.paint(g, b);
      g.restore();
      this.axes(g, b);
      this.now = now;
      return g.text();
    }
    /** Shows a part of the range. All figures over wavelength follow. */
    zoom(to) {
      const inside = (r, full, least) => {
        const size = clamp(span(r), least, span(full));
        const low = clamp(r[0], full[0], full[1] - size);
        return [low, low + size];
      };
      const part = (axis) => inside(to[axis], this.full[axis], span(this.full[axis]) / 2000);
      this.range = { x: part("x"), y: part("y") };
      if (this.spec.over === "wave") {
        for (const v of views.filter((v) => v.spec.over === "wave")) {
          v.range.x = inside(this.range.x, v.full.x, 0);
          v.rescale();
          v.draw();
        }
      }
      this.draw();
    }
    rescale() {}
    draw() {
      const c = this.canvas, ratio = Math.min(3, window.devicePixelRatio || 1);
      const width = c.parentElement.clientWidth, height = Math.round(this.height(width));
      c.style.height = height + "px";
      c.width = Math.round(width * ratio);
      c.height = Math.round(height * ratio);
      const g = c.getContext("2d"), b = this.box();
      g.scale(ratio, ratio);
      g.save();
      g.beginPath(); g.rect(b.left, b.top, b.width, b.height); g.clip();
      this.paint(g, b);
      g.restore();
      this.axes(g, b);
      if (this.from && this.now) {
        g.strokeStyle = colour("--tone1");
        g.strokeRect(this.from.px, this.from.py, this.now.px - this.from.px, this.now.py - this.from.py);
      }
      const { range, full } = this;
      this.back.hidden = ["x", "y"].every((k) => range[k].every((v, i) => Math.abs(v - full[k][i]) <= 1e-9 * span(full[k])));
    }
    axes(g, b) {
      const bottom = b.top + b.height;
      g.strokeStyle = colour("--line"); g.fillStyle = colour("--soft"); g.lineWidth = 1;
      g.strokeRect(b.left + .5, b.top + .5, b.width - 1, b.height - 1);
      g.font = "12px system-ui, sans-serif";
      const x = ticks(this.range.x, b.width / 85), y = ticks(this.range.y, b.height / 42);
      g.textAlign = "center"; g.textBaseline = "top";
      for (const v of x.values) {
        const at = this.toX(v);
        line(g, at, bottom, at, bottom + 4);
        g.fillText(this.label("x", v, x.digits), at, bottom + 7);
      }
      g.fillText(this.spec.labels[0], b.left + b.width / 2, bottom + 25);
      g.textAlign = "right"; g.textBaseline = "middle";
      for (const v of y.values) {
        const at = this.toY(v);
        line(g, b.left - 4, at, b.left, at);
        g.fillText(this.label("y", v, y.digits), b.left - 7, at);
      }
      g.save(); g.translate(9, b.top + b.height / 2); g.rotate(-Math.PI / 2);
      g.textAlign = "center"; g.fillText(this.spec.labels[1], 0, 0); g.restore();
    }
    /** Returns the label of a tick: a number, or a fibre in place of a row of the frame. */
    label(axis, value, digits) {
      if (axis !== this.spec.fibres) return value.toFixed(digits);
      return Number.isInteger(value) ? String(data.fibres[value] ?? "") : "";
    }
  }

  /** A heat map. */
  class MapView extends View {
    constructor(figure, spec) {
      super(figure, spec);
      this.image = figure.querySelector("img");
      const palette = bytes(spec.palette);
      this.level = new Map();
      for (let k = 0; k < 256; k++) this.level.set(palette[3 * k] << 16 | palette[3 * k + 1] << 8 | palette[3 * k + 2], k);
    }
    paint(g, b) {
      const { full: f, range: r, image } = this, w = image.naturalWidth, h = image.naturalHeight;
      if (!image.complete || !w) {
        image.addEventListener("load", () => this.draw(), { once: true });
        return;
      }
      const sx = w / span(f.x), sy = h / span(f.y), width = span(r.x) * sx, height = span(r.y) * sy;
      // Enlarged pixels keep their edges; reduced ones are averaged.
      g.imageSmoothingEnabled = width > b.width || height > b.height;
      g.imageSmoothingQuality = "high";
      g.drawImage(image, (r.x[0] - f.x[0]) * sx, (f.y[1] - r.y[1]) * sy, width, height, b.left, b.top, b.width, b.height);
      if (this.spec.fibres === "y" && figures.chosen >= 0) {
        const y = this.toY(figures.chosen);
        g.fillStyle = "rgba(255,255,255,.9)";
        g.fillRect(b.left, y - 2, 9, 4);
        g.fillRect(b.left + b.width - 9, y - 2, 9, 4);
      }
      if (this.now) {
        g.strokeStyle = "rgba(255,255,255,.65)";
        line(g, this.now.px, b.top, this.now.px, b.top + b.height);
        line(g, b.left, this.now.py, b.left + b.width, this.now.py);
      }
    }
    /** Returns the level at a place, by its colour. */
    read(at) {
      const w = this.image.naturalWidth, h = this.image.naturalHeight, f = this.full;
      if (!w) return 0;
      if (!this.pixels) {
        const g = make("canvas", { width: w, height: h }).getContext("2d", { willReadFrequently: true });
        g.drawImage(this.image, 0, 0);
        this.pixels = g.getImageData(0, 0, w, h).data;
      }
      const column = Math.min(w - 1, Math.floor((at.x - f.x[0]) / span(f.x) * w));
      const row = Math.min(h - 1, Math.floor((f.y[1] - at.y) / span(f.y) * h));
      const i = 4 * (row * w + column), p = this.pixels;
      return this.level.get(p[i] << 16 | p[i + 1] << 8 | p[i + 2]) || 0;
    }
    /** Returns the value of a level. */
    value(level) {
      const { low, high, soft, levels } = this.spec;
      const stretch = (v) => soft > 0 ? Math.asinh(v / soft) : v;
      const stretched = stretch(low) + (stretch(high) - stretch(low)) * (level - 1) / (levels - 1);
      return soft > 0 ? soft * Math.sinh(stretched) : stretched;
    }
    describe(at) {
      const level = this.read(at), s = this.spec;
      const where = s.over === "wave"
        ? `${wave[nearest(wave, at.x)].toFixed(1)} Å, fibre ${data.fibres[clamp(Math.round(at.y), 0, data.fibres.length - 1)]}`
        : `${s.labels[0]} ${Math.round(at.x)}, ${s.labels[1]} ${Math.round(at.y)}`;
      if (level === 0) return `${where}: no value`;
      if (level > s.levels) return `${where}: masked`;
      const end = level === 1 ? "≤ " : level === s.levels ? "≥ " : "";
      return `${where}: ${end}${short(this.value(level))} ${s.unit}`;
    }
    click(at) { if (this.spec.over === "wave") figures.choose(Math.round(at.y)); }
    height(width) { return this.spec.aspect ? clamp((width - 70) * this.spec.aspect, 260, 720) + 50 : this.spec.height; }
  }

  /** Curves over one axis. */
  class LineView extends View {
    constructor(figure, spec) {
      super(figure, spec);
      this.xs = spec.over === "wave" ? wave : floats(spec.xs);
      this.curves = spec.curves.map((c) => ({ ...c, values: floats(c.values), upper: c.upper && floats(c.upper) }));
    }
    paint(g, b) {
      g.strokeStyle = colour("--grid");
      for (const v of ticks(this.range.y, b.height / 42).values) line(g, b.left, this.toY(v), b.left + b.width, this.toY(v));
      let [from, to] = [0, this.xs.length];
      while (from < to && this.xs[from] < this.range.x[0]) from++;
      while (to > from && this.xs[to - 1] > this.range.x[1]) to--;
      [from, to] = [Math.max(0, from - 1), Math.min(this.xs.length, to + 1)];
      this.shade(g, b, from, to);
      for (const c of this.curves) {
        g.strokeStyle = g.fillStyle = colour("--tone" + c.tone);
        g.lineWidth = 1.4;
        g.lineJoin = "round";
        g.beginPath();
        this[c.kind](g, c, from, to);
      }
      if (this.now && !this.from) {
        const x = this.toX(this.xs[nearest(this.xs, this.now.x)]);
        g.strokeStyle = colour("--soft"); g.setLineDash([3, 3]);
        line(g, x, b.top, x, b.top + b.height);
        g.setLineDash([]);
      }
    }
    line(g, c, from, to) {
      for (let i = from, pen = false; i < to; i++) {
        const known = Number.isFinite(c.values[i]);
        if (known) g[pen ? "lineTo" : "moveTo"](this.toX(this.xs[i]), this.toY(c.values[i]));
        pen = known;
      }
      g.stroke();
    }
    points(g, c, from, to) {
      const size = to - from > 200 ? 2 : 3;
      for (let i = from; i < to; i++) if (Number.isFinite(c.values[i])) {
        const x = this.toX(this.xs[i]), y = this.toY(c.values[i]);
        g.moveTo(x + size, y);
        g.arc(x, y, size, 0, 7);
      }
      g.fill();
    }
    band(g, c, from, to) {
      g.fillStyle = colour("--band");
      for (let i = from; i < to; i++) {
        let end = i;
        while (end < to && Number.isFinite(c.values[end]) && Number.isFinite(c.upper[end])) end++;
        if (end === i) continue;
        g.moveTo(this.toX(this.xs[i]), this.toY(c.values[i]));
        for (let k = i; k < end; k++) g.lineTo(this.toX(this.xs[k]), this.toY(c.upper[k]));
        for (let k = end - 1; k >= i; k--) g.lineTo(this.toX(this.xs[k]), this.toY(c.values[k]));
        i = end;
      }
      g.fill();
    }
    bars(g, c, from, to) {
      g.fillStyle = colour("--band");
      const half = (this.xs[1] - this.xs[0]) / 2, zero = this.toY(0);
      for (let i = from; i < to; i++) {
        const l = this.toX(this.xs[i] - half), r = this.toX(this.xs[i] + half), top = this.toY(c.values[i]);
        g.fillRect(l, top, r - l - 1, zero - top);
      }
    }
    shade() {}
    describe(at) {
      const i = nearest(this.xs, at.x), { over, labels, fibres } = this.spec;
      const x = fibres === "x" ? data.fibres[this.xs[i]] : short(this.xs[i]);
      const where = over === "wave" ? `${this.xs[i].toFixed(1)} Å` : `${labels[0]} ${x}`;
      const curves = this.curves.map((c) => `${c.name} ${short(c.values[i])}` + (c.upper ? ` to ${short(c.upper[i])}` : ""));
      return `${where}: ${curves.join(", ")}`;
    }
    click(at) { if (this.spec.over === "fibre") figures.choose(Math.round(at.x)); }
  }

  /** Shows the spectrum of a row of the frame; spectrum.js does. */
  const choose = () => {};
  return { data, wave, views, HELP, bytes, floats, colour, clamp, make, nearest, short, line, MapView, LineView, choose, chosen: -1 };
})();
