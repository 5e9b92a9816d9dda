// Makes the page's pictures live: axes, zoom, values under the pointer, a chooser of spectra. Without it they stay still.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const floats = (text) => new Float32Array(bytes(text).buffer);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const wave = floats(data.wave);
  const views = [];
  document.documentElement.classList.add("scripted");

  /** Round values between two numbers, about `count` of them. */
  function ticks(low, high, count) {
    const rough = (high - low) / Math.max(1, count);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
    const out = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) out.push(k * step);
    return { values: out, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
  }

  /** A number in as many digits as one reads. */
  function short(value) {
    if (!Number.isFinite(value)) return "none";
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
    return value.toFixed(size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3);
  }

  /** Index of the bin nearest to a wavelength. */
  function binAt(at) {
    let [low, high] = [0, wave.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (wave[middle] < at) low = middle; else high = middle;
    }
    return Math.abs(wave[low] - at) <= Math.abs(wave[high] - at) ? low : high;
  }

  /** Axes, zoom and pointer of one picture; what is in it is its kind's to paint. */
  class View {
    constructor(figure, spec) {
      this.figure = figure;
      this.spec = spec;
      this.full = { x: [...spec.x], y: [...spec.y] };
      this.range = { x: [...spec.x], y: [...spec.y] };
      this.canvas = document.createElement("canvas");
      this.canvas.tabIndex = 0;
      this.canvas.setAttribute("role", "img");
      this.canvas.setAttribute("aria-label", spec.alt + " Drag to zoom; keys: + and - zoom, arrows move, 0 resets.");
      figure.querySelector(".plot").append(this.canvas);
      const bar = document.createElement("div");
      bar.className = "bar";
      this.readout = document.createElement("output");
      this.readout.className = "readout";
      this.readout.textContent = this.rest();
      this.back = document.createElement("button");
      this.back.type = "button";
      this.back.textContent = "Whole range";
      this.back.hidden = true;
      this.back.onclick = () => this.zoom(this.full);
      bar.append(this.readout, this.back);
      figure.querySelector(".plot").after(bar);
      figure.classList.add("live");
      this.listen();
      views.push(this);
    }
    /** The first picture tells how to use them all. */
    rest() { return this.spec.id === "flux" ? "drag to zoom, double-click for the whole range" : ""; }
    height(width) { return this.spec.height || Math.max(190, Math.min(300, width * 0.42)); }
    /** The inner part, in CSS pixels. */
    box() {
      const width = this.canvas.clientWidth;
      return { left: 58, top: 8, width: Math.max(20, width - 70), height: this.canvas.clientHeight - 50 };
    }
    toX(value) { const b = this.box(), [l, h] = this.range.x; return b.left + (value - l) / (h - l) * b.width; }
    toY(value) { const b = this.box(), [l, h] = this.range.y; return b.top + (h - value) / (h - l) * b.height; }
    at(event) {
      const b = this.box(), r = this.canvas.getBoundingClientRect();
      const px = event.clientX - r.left, py = event.clientY - r.top;
      const share = (v) => Math.min(1, Math.max(0, v));
      const fx = share((px - b.left) / b.width), fy = share((py - b.top) / b.height);
      const { x, y } = this.range;
      return { px, py, x: x[0] + fx * (x[1] - x[0]), y: y[1] - fy * (y[1] - y[0]) };
    }
    listen() {
      const c = this.canvas;
      c.addEventListener("pointerdown", (e) => { this.from = this.at(e); if (e.isTrusted) c.setPointerCapture(e.pointerId); });
      c.addEventListener("pointermove", (e) => {
        this.now = this.at(e);
        this.readout.textContent = this.tell(this.now);
        this.draw();
      });
      c.addEventListener("pointerleave", () => { this.now = null; this.draw(); });
      c.addEventListener("pointercancel", () => { this.from = this.now = null; this.draw(); });
      c.addEventListener("pointerup", (e) => {
        const a = this.from, b = this.at(e);
        this.from = null;
        if (!a) return;
        const wide = Math.abs(a.px - b.px) > 6, high = Math.abs(a.py - b.py) > 6;
        if (!wide && !high) { this.click(b); return; }
        const order = (p, q) => [Math.min(p, q), Math.max(p, q)];
        // A drag along one axis zooms that axis only.
        this.zoom({ x: wide ? order(a.x, b.x) : this.range.x, y: high ? order(a.y, b.y) : this.range.y });
      });
      c.addEventListener("dblclick", () => this.zoom(this.full));
      c.addEventListener("keydown", (e) => {
        const about = (r, f) => { const m = (r[0] + r[1]) / 2, h = (r[1] - r[0]) / 2 * f; return [m - h, m + h]; };
        const move = (r, f) => r.map((v) => v + f * (r[1] - r[0]));
        const { x, y } = this.range;
        const to = {
          "+": { x: about(x, 0.6), y }, "-": { x: about(x, 1.6), y }, "0": this.full,
          ArrowLeft: { x: move(x, -0.2), y }, ArrowRight: { x: move(x, 0.2), y },
          ArrowUp: { x, y: move(y, 0.2) }, ArrowDown: { x, y: move(y, -0.2) },
        }[e.key];
        if (to) { e.preventDefault(); this.zoom(to); }
      });
    }
    click() {}
    /** Shows a part; all pictures over wavelength go along. */
    zoom(to) {
      const inside = (r, full, least) => {
        const size = Math.min(full[1] - full[0], Math.max(least, r[1] - r[0]));
        const low = Math.min(Math.max(r[0], full[0]), full[1] - size);
        return [low, low + size];
      };
      const least = (full) => (full[1] - full[0]) / 2000;
      this.range = { x: inside(to.x, this.full.x, least(this.full.x)), y: inside(to.y, this.full.y, least(this.full.y)) };
      if (this.spec.over === "wave") {
        for (const v of views) if (v.spec.over === "wave") { v.range.x = inside(this.range.x, v.full.x, 0); v.rescale(); v.draw(); }
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
      const zoomed = ["x", "y"].some((k) => this.range[k].some((v, i) => Math.abs(v - this.full[k][i]) > 1e-9 * (this.full[k][1] - this.full[k][0])));
      this.back.hidden = !zoomed;
    }
    axes(g, b) {
      g.strokeStyle = colour("--line"); g.fillStyle = colour("--soft"); g.lineWidth = 1;
      g.strokeRect(b.left + .5, b.top + .5, b.width - 1, b.height - 1);
      g.font = "12px system-ui, sans-serif";
      const x = ticks(...this.range.x, b.width / 85), y = ticks(...this.range.y, b.height / 42);
      g.textAlign = "center"; g.textBaseline = "top";
      for (const v of x.values) {
        const at = this.toX(v);
        g.beginPath(); g.moveTo(at, b.top + b.height); g.lineTo(at, b.top + b.height + 4); g.stroke();
        g.fillText(this.label("x", v, x.digits), at, b.top + b.height + 7);
      }
      g.fillText(this.spec.labels[0], b.left + b.width / 2, b.top + b.height + 25);
      g.textAlign = "right"; g.textBaseline = "middle";
      for (const v of y.values) {
        const at = this.toY(v);
        g.beginPath(); g.moveTo(b.left - 4, at); g.lineTo(b.left, at); g.stroke();
        g.fillText(this.label("y", v, y.digits), b.left - 7, at);
      }
      g.save(); g.translate(9, b.top + b.height / 2); g.rotate(-Math.PI / 2);
      g.textAlign = "center"; g.fillText(this.spec.labels[1], 0, 0); g.restore();
    }
    label(axis, value, digits) {
      const of = this.spec.names && this.spec.names[axis];
      if (!of) return value.toFixed(digits);
      return Number.isInteger(value) && of[value] !== undefined ? String(of[value]) : "";
    }
  }

  /** A picture of numbers. */
  class MapView extends View {
    constructor(figure, spec) {
      super(figure, spec);
      this.image = figure.querySelector("img");
      this.levels = null;
      const palette = bytes(spec.palette);
      this.level = new Map();
      for (let k = 0; k < 256; k++) this.level.set(palette[3 * k] << 16 | palette[3 * k + 1] << 8 | palette[3 * k + 2], k);
    }
    /** The share of the image that is seen: x, y from its upper left corner, width, height. */
    part() {
      const f = this.full, r = this.range, w = this.image.naturalWidth, h = this.image.naturalHeight;
      const sx = w / (f.x[1] - f.x[0]), sy = h / (f.y[1] - f.y[0]);
      return [(r.x[0] - f.x[0]) * sx, (f.y[1] - r.y[1]) * sy, (r.x[1] - r.x[0]) * sx, (r.y[1] - r.y[0]) * sy];
    }
    paint(g, b) {
      if (!this.image.complete || !this.image.naturalWidth) {
        this.image.addEventListener("load", () => this.draw(), { once: true });
        return;
      }
      const part = this.part();
      // Seen larger than it is a pixel keeps its edges; seen smaller its neighbours are averaged.
      g.imageSmoothingEnabled = part[2] > b.width || part[3] > b.height;
      g.imageSmoothingQuality = "high";
      g.drawImage(this.image, ...part, b.left, b.top, b.width, b.height);
      if (this.now) {
        g.strokeStyle = "rgba(255,255,255,.65)";
        g.beginPath(); g.moveTo(this.now.px, b.top); g.lineTo(this.now.px, b.top + b.height);
        g.moveTo(b.left, this.now.py); g.lineTo(b.left + b.width, this.now.py); g.stroke();
      }
    }
    read(at) {
      const w = this.image.naturalWidth, h = this.image.naturalHeight, f = this.full;
      if (!w) return 0;
      if (!this.levels) {
        const hidden = document.createElement("canvas");
        hidden.width = w; hidden.height = h;
        const g = hidden.getContext("2d", { willReadFrequently: true });
        g.drawImage(this.image, 0, 0);
        this.levels = g.getImageData(0, 0, w, h).data;
      }
      const column = Math.min(w - 1, Math.floor((at.x - f.x[0]) / (f.x[1] - f.x[0]) * w));
      const row = Math.min(h - 1, Math.floor((f.y[1] - at.y) / (f.y[1] - f.y[0]) * h));
      const i = 4 * (row * w + column), p = this.levels;
      return this.level.get(p[i] << 16 | p[i + 1] << 8 | p[i + 2]) || 0;
    }
    number(level) {
      const { low, high, soft, levels } = this.spec;
      const stretch = (v) => soft > 0 ? Math.asinh(v / soft) : v;
      const place = stretch(low) + (stretch(high) - stretch(low)) * (level - 1) / (levels - 1);
      return soft > 0 ? soft * Math.sinh(place) : place;
    }
    tell(at) {
      const level = this.read(at), s = this.spec;
      const where = s.over === "wave"
        ? `${wave[binAt(at.x)].toFixed(1)} Å, fibre ${data.fibres[Math.max(0, Math.min(data.fibres.length - 1, Math.round(at.y)))]}`
        : `${s.labels[0]} ${Math.round(at.x)}, ${s.labels[1]} ${Math.round(at.y)}`;
      if (level === 0) return `${where}: no number`;
      if (level > s.levels) return `${where}: masked`;
      const end = level === 1 ? "≤ " : level === s.levels ? "≥ " : "";
      return `${where}: ${end}${short(this.number(level))} ${s.unit}`;
    }
    click(at) { if (this.spec.over === "wave") choose(Math.round(at.y)); }
    height(width) { return this.spec.aspect ? Math.max(260, Math.min(720, (width - 70) * this.spec.aspect)) + 50 : this.spec.height; }
  }

  /** Curves over one axis. */
  class LineView extends View {
    constructor(figure, spec) {
      super(figure, spec);
      this.xs = spec.over === "wave" ? wave : floats(spec.xs);
      this.curves = spec.curves.map((c) => ({ ...c, values: floats(c.values), upper: c.upper && floats(c.upper) }));
    }
    path(g, values, from, to) {
      let pen = false;
      for (let i = from; i < to; i++) {
        if (!Number.isFinite(values[i])) { pen = false; continue; }
        const x = this.toX(this.xs[i]), y = this.toY(values[i]);
        if (pen) g.lineTo(x, y); else g.moveTo(x, y);
        pen = true;
      }
    }
    paint(g, b) {
      g.strokeStyle = colour("--grid");
      for (const v of ticks(...this.range.y, b.height / 42).values) {
        g.beginPath(); g.moveTo(b.left, this.toY(v)); g.lineTo(b.left + b.width, this.toY(v)); g.stroke();
      }
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
        if (c.kind === "band") {
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
        } else if (c.kind === "points") {
          const size = to - from > 200 ? 2 : 3;
          for (let i = from; i < to; i++) if (Number.isFinite(c.values[i])) {
            g.moveTo(this.toX(this.xs[i]) + size, this.toY(c.values[i]));
            g.arc(this.toX(this.xs[i]), this.toY(c.values[i]), size, 0, 7);
          }
          g.fill();
        } else if (c.kind === "bars") {
          g.fillStyle = colour("--band");
          const step = this.xs[1] - this.xs[0], zero = this.toY(0);
          for (let i = from; i < to; i++) {
            const l = this.toX(this.xs[i] - step / 2), r = this.toX(this.xs[i] + step / 2);
            g.fillRect(l, this.toY(c.values[i]), r - l - 1, zero - this.toY(c.values[i]));
          }
        } else {
          this.path(g, c.values, from, to);
          g.stroke();
        }
      }
      if (this.now && !this.from) {
        const i = this.nearest(this.now.x);
        g.strokeStyle = colour("--soft"); g.setLineDash([3, 3]);
        g.beginPath(); g.moveTo(this.toX(this.xs[i]), b.top); g.lineTo(this.toX(this.xs[i]), b.top + b.height); g.stroke();
        g.setLineDash([]);
      }
    }
    shade() {}
    nearest(x) {
      if (this.xs === wave) return binAt(x);
      let best = 0;
      for (let i = 1; i < this.xs.length; i++) if (Math.abs(this.xs[i] - x) < Math.abs(this.xs[best] - x)) best = i;
      return best;
    }
    tell(at) {
      const i = this.nearest(at.x), of = this.spec.names && this.spec.names.x;
      const where = this.spec.over === "wave" ? `${this.xs[i].toFixed(1)} Å` : `${this.spec.labels[0]} ${of ? of[this.xs[i]] : short(this.xs[i])}`;
      const curves = this.curves.map((c) => c.upper ? `${c.name} ${short(c.values[i])} to ${short(c.upper[i])}` : `${c.name} ${short(c.values[i])}`);
      return `${where}: ${curves.join(", ")}`;
    }
    click(at) { if (this.spec.over === "fibre") choose(Math.round(at.x)); }
  }

  /** One spectrum of those that the page holds, with errors and masks. */
  class SpectrumView extends LineView {
    constructor(figure, spec) {
      super(figure, spec);
      this.select = document.getElementById("fibre");
      this.whole = document.getElementById("whole");
      this.select.onchange = () => this.show(this.select.selectedIndex);
      this.whole.onchange = () => { this.rescale(); this.draw(); };
      document.getElementById("previous").onclick = () => this.show(this.index - 1);
      document.getElementById("next").onclick = () => this.show(this.index + 1);
      this.show(spec.first);
    }
    show(index) {
      const count = data.spectra.length;
      this.index = (index + count) % count;
      const s = data.spectra[this.index];
      const flux = floats(s.flux), sigma = floats(s.sigma);
      this.masks = bytes(s.mask);
      // The truth lies below: it is there to be found behind the flux, not to hide it.
      this.curves = s.truth ? [{ name: "R·truth", kind: "line", tone: 1, values: floats(s.truth) }] : [];
      this.truth = s.truth ? this.curves[0].values : null;
      this.flux = flux;
      this.curves.push(
        { name: "1σ", kind: "band", tone: 0, values: flux.map((f, i) => f - sigma[i]), upper: flux.map((f, i) => f + sigma[i]) },
        { name: "flux", kind: "line", tone: 0, values: flux },
      );
      this.sigma = sigma;
      this.select.selectedIndex = this.index;
      const text = `Spectrum of fibre ${s.fibre}: ${s.about}. `;
      this.canvas.setAttribute("aria-label", text + "Drag to zoom; keys: + and - zoom, arrows move, 0 resets.");
      this.rescale();
      this.draw();
    }
    rescale() {
      if (!this.masks) return;
      const flux = this.flux, seen = [];
      for (let i = 0; i < wave.length; i++) {
        if (wave[i] >= this.range.x[0] && wave[i] <= this.range.x[1] && Number.isFinite(this.sigma[i]) && !(this.masks[i] & 15)) seen.push(flux[i]);
      }
      seen.sort((a, b) => a - b);
      const at = (share) => seen[Math.min(seen.length - 1, Math.floor(share * seen.length))];
      let [low, high] = seen.length ? [Math.min(0, at(0.002)), this.whole.checked ? at(1) : Math.max(1.2 * at(0.9), 1.6 * at(0.5))] : [0, 1];
      const pad = 0.08 * (high - low || 1);
      this.full.y = [low - pad, high + 2 * pad];
      this.range.y = [...this.full.y];
    }
    shade(g, b, from, to) {
      g.fillStyle = colour("--mask");
      for (let i = from; i < to; i++) if (this.masks[i]) {
        const half = 0.5 * Math.abs(wave[Math.min(i + 1, wave.length - 1)] - wave[Math.max(i - 1, 0)]) / 2;
        const l = this.toX(wave[i] - half), r = this.toX(wave[i] + half);
        g.fillRect(l, b.top, Math.max(1, r - l), b.height);
      }
    }
    tell(at) {
      const i = binAt(at.x), flux = this.flux[i];
      const bits = ["more than half masked", "all masked", "bad 2-D fit", "off the CCD", "no information"].filter((_, k) => this.masks[i] & [1, 2, 4, 8, 16][k]);
      return `${wave[i].toFixed(1)} Å: ${short(flux)} ± ${short(this.sigma[i])} electron/Å, S/N ${short(flux / this.sigma[i])}`
        + (this.truth ? `, R·truth ${short(this.truth[i])}` : "") + (bits.length ? `, ${bits.join(", ")}` : "");
    }
  }

  let spectrum = null;
  /** Shows the spectrum of a row of the frame, or of the nearest that the page holds. */
  function choose(row) {
    if (!spectrum) return;
    const away = data.spectra.map((s) => Math.abs(s.row - row));
    spectrum.show(away.indexOf(Math.min(...away)));
  }

  for (const spec of data.views) {
    const figure = document.getElementById(spec.id);
    const kind = { map: MapView, lines: LineView, spectrum: SpectrumView }[spec.kind];
    spec.names = { fibre: { x: data.fibres }, wave: spec.kind === "map" ? { y: data.fibres } : null }[spec.over] || null;
    const view = new kind(figure, spec);
    if (spec.kind === "spectrum") spectrum = view;
  }
  const redraw = () => views.forEach((v) => v.draw());
  let waiting = 0;
  window.addEventListener("resize", () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(redraw); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  redraw();
})();
