// The chooser of spectra, and the start of all figures.
(() => {
  const { data, wave, views, HELP, bytes, floats, colour, make, nearest, short, line, MapView, LineView } = figures;
  const at = (id) => document.getElementById(id);
  const say = (text) => { at("said").textContent = text; };

  /** Returns the spectra of a page: flux, sigma, masks and truth by row. */
  async function unpacked({ fibres, spectra }, nwave) {
    const stream = new Blob([bytes(spectra.packed)]).stream().pipeThrough(new DecompressionStream("deflate"));
    const all = new Uint8Array(await new Response(stream).arrayBuffer());
    const count = fibres.length * nwave;
    let from = count;
    const planes = (size) => {
      const values = new Float64Array(count), start = from;
      for (let i = 0; i < count; i++) {
        let code = 0;
        for (let k = size - 1; k >= 0; k--) code = code * 256 + all[start + k * count + i];
        values[i] = (code & 1 ? -(code + 1) / 2 : code / 2) + (i % nwave ? values[i - 1] : 0);
      }
      from += size * count;
      return values;
    };
    const masks = all.subarray(0, count), steps = planes(2), flux = planes(3), truth = spectra.truth && planes(3);
    const row = (r) => {
      const part = (values) => values.subarray(r * nwave, (r + 1) * nwave);
      const mask = part(masks), sigma = Array.from(part(steps), (k, i) => mask[i] & 16 ? NaN : Math.exp(k / 20));
      const scaled = (values) => Float64Array.from(part(values), (n, i) => n * sigma[i] / 3);
      return { fibre: fibres[r], about: spectra.about[r], mask, sigma, flux: scaled(flux), truth: truth && scaled(truth) };
    };
    return { fibres, row };
  }

  /** Returns means over `size` bins, weighted by ivar, with their errors; masked bins count only alone. */
  function smoothed(s, size) {
    if (size < 2) return s;
    const half = size >> 1, n = s.flux.length;
    const flux = new Float64Array(n).fill(NaN), sigma = new Float64Array(n).fill(NaN), truth = s.truth && new Float64Array(n).fill(NaN);
    for (let i = 0; i < n; i++) {
      let [w, f, t] = [0, 0, 0];
      for (let k = Math.max(0, i - half); k <= Math.min(n - 1, i + half); k++) {
        if (s.mask[k] || !(s.sigma[k] > 0)) continue;
        const weight = s.sigma[k] ** -2;
        w += weight; f += weight * s.flux[k]; if (truth) t += weight * s.truth[k];
      }
      if (w > 0) { flux[i] = f / w; sigma[i] = w ** -0.5; if (truth) truth[i] = t / w; }
    }
    return { ...s, flux, sigma, truth };
  }

  /** One of the spectra, with errors and masks, and others beside it. */
  class SpectrumView extends LineView {
    constructor(figure, spec) {
      super(figure, spec);
      this.masks = null;
      this.frame = null;
      this.other = null;
      this.row = spec.first;
      at("fibre").onchange = () => this.show(at("fibre").selectedIndex);
      at("previous").onclick = () => this.show(this.row - 1);
      at("next").onclick = () => this.show(this.row + 1);
      for (const id of ["beside", "smooth", "lines", "whole"]) at(id).onchange = () => this.show(this.row);
      at("csv").onclick = () => this.copy();
      at("other").onchange = () => this.read(at("other").files[0]);
      window.addEventListener("hashchange", () => this.follow());
      figures.ready = unpacked(data, wave.length).then((frame) => { this.frame = frame; this.follow(); }, () => {
        say("This browser cannot unpack spectra: it lacks DecompressionStream.");
      });
    }
    /** Shows the fibre of the address. */
    follow() {
      const named = /fibre=(-?\d+)/.exec(location.hash);
      const row = named ? data.fibres.indexOf(Number(named[1])) : -1;
      this.show(row < 0 ? this.row : row, row < 0);
    }
    show(row, quiet) {
      const count = data.fibres.length;
      this.row = at("fibre").selectedIndex = (row + count) % count;
      figures.chosen = this.row;
      if (!this.frame) return;
      if (!quiet) history.replaceState(null, "", `#fibre=${data.fibres[this.row]}`);
      const size = Number(at("smooth").value);
      const s = this.shown = smoothed(this.frame.row(this.row), size);
      const { flux, sigma } = s;
      this.flux = flux; this.sigma = sigma; this.masks = s.mask; this.truth = s.truth;
      // The truth lies below: it must not hide the flux.
      this.curves = this.truth ? [{ name: "R·truth", kind: "line", tone: 1, values: this.truth }] : [];
      this.curves.push(
        { name: "1σ", kind: "band", tone: 0, values: flux.map((f, i) => f - sigma[i]), upper: flux.map((f, i) => f + sigma[i]) },
        { name: "flux", kind: "line", tone: 0, values: flux },
      );
      const beside = at("beside").selectedIndex - 1;
      if (beside >= 0) this.curves.push({ name: `fibre ${data.fibres[beside]}`, kind: "line", tone: 2, values: smoothed(this.frame.row(beside), size).flux });
      const r = this.other ? this.other.fibres.indexOf(data.fibres[this.row]) : -1;
      if (r >= 0) {
        const there = smoothed(this.other.row(r), size).flux, own = this.other.wave;
        const values = Float64Array.from(wave, (w) => { const k = nearest(own, w); return Math.abs(own[k] - w) < 2 ? there[k] : NaN; });
        this.curves.push({ name: `${this.other.name}, the same fibre`, kind: "line", tone: 3, values });
      }
      this.canvas.ariaLabel = `Spectrum of fibre ${s.fibre}: ${s.about}. ${HELP}`;
      this.rescale();
      views.filter((v) => v === this || v instanceof MapView).forEach((v) => v.draw());
    }
    /** Reads the spectra of another page of this program. */
    async read(file) {
      this.other = null;
      if (file) {
        try {
          const page = new DOMParser().parseFromString(await file.text(), "text/html");
          const theirs = JSON.parse(page.getElementById("data").textContent), own = floats(theirs.wave);
          this.other = { ...await unpacked(theirs, own.length), wave: own, name: page.title };
          say(this.other.fibres.includes(data.fibres[this.row]) ? "" : `${page.title} does not have this fibre.`);
        } catch { say(`${file.name} is no page about a frame.`); }
      }
      this.show(this.row);
    }
    /** Returns the visible part of the spectrum as CSV. */
    csv() {
      const [left, right] = this.range.x, s = this.shown;
      const rows = [`wavelength,flux,sigma,mask${s.truth ? ",expected" : ""}`];
      wave.forEach((w, i) => {
        if (w < left || w > right) return;
        const fields = [w.toFixed(3), s.flux[i], s.sigma[i]].map((v) => Number.isFinite(Number(v)) ? Number(Number(v).toPrecision(7)) : "");
        rows.push([...fields, s.mask[i], ...(s.truth ? [Number(s.truth[i].toPrecision(6))] : [])].join(","));
      });
      return rows.join("\n") + "\n";
    }
    async copy() {
      if (!this.shown) return;
      const text = this.csv(), lines = text.split("\n").length - 2;
      try {
        await navigator.clipboard.writeText(text);
      } catch {
        const area = make("textarea", { value: text });
        document.body.append(area);
        area.select();
        document.execCommand("copy");
        area.remove();
      }
      say(`${lines} bins of fibre ${this.shown.fibre} are copied.`);
    }
    /** Fits y to the visible bins that are not masked. */
    rescale() {
      if (!this.masks) return;
      const [left, right] = this.range.x;
      const seen = this.flux.filter((_, i) =>
        wave[i] >= left && wave[i] <= right && Number.isFinite(this.sigma[i]) && !(this.masks[i] & 15)).sort();
      const share = (part) => seen[Math.min(seen.length - 1, Math.floor(part * seen.length))];
      const high = () => at("whole").checked ? share(1) : Math.max(1.2 * share(0.9), 1.6 * share(0.5));
      const [low, top] = seen.length ? [Math.min(0, share(0.002)), high()] : [0, 1];
      const pad = 0.08 * (top - low || 1);
      this.full.y = [low - pad, top + 2 * pad];
      this.range.y = [...this.full.y];
    }
    shade(g, b, from, to) {
      if (!this.masks) return;
      g.fillStyle = colour("--mask");
      for (let i = from; i < to; i++) if (this.masks[i]) {
        const half = Math.abs(wave[Math.min(i + 1, wave.length - 1)] - wave[Math.max(i - 1, 0)]) / 4;
        const l = this.toX(wave[i] - half), r = this.toX(wave[i] + half);
        g.fillRect(l, b.top, Math.max(1, r - l), b.height);
      }
      if (at("lines").checked) this.names(g, b);
    }
    /** Marks the lines of the sky; the brightest first; names that would overlap are left out. */
    names(g, b) {
      g.font = "11px system-ui, sans-serif"; g.textAlign = "left"; g.textBaseline = "top";
      const taken = [];
      for (const [w, ion] of data.spectra.lines) {
        const x = this.toX(w);
        if (x < b.left || x > b.left + b.width) continue;
        g.strokeStyle = colour("--line"); g.fillStyle = colour("--soft");
        line(g, x, b.top, x, b.top + b.height);
        const name = `${ion} ${w.toFixed(0)}`.trim(), end = x + 6.5 * name.length + 6;
        if (taken.some(([l, r]) => x < r && end > l)) continue;
        taken.push([x, end]);
        g.fillText(name, x + 2, b.top + 2);
      }
    }
    describe(to) {
      if (!this.masks) return "";
      const i = nearest(wave, to.x), flux = this.flux[i], sigma = this.sigma[i];
      const bits = ["more than half masked", "all masked", "bad 2-D fit", "off the CCD", "no information"].filter((_, k) => this.masks[i] >> k & 1);
      const parts = [`${short(flux)} ± ${short(sigma)} electron/Å`, `S/N ${short(flux / sigma)}`];
      if (this.truth) parts.push(`R·truth ${short(this.truth[i])}`);
      for (const c of this.curves) if (c.tone > 1) parts.push(`${c.name} ${short(c.values[i])}`);
      return `${wave[i].toFixed(1)} Å: ${[...parts, ...bits].join(", ")}`;
    }
  }

  const kinds = { map: MapView, lines: LineView, spectrum: SpectrumView };
  let spectrum = null;
  figures.choose = (row) => {
    if (!spectrum) return;
    spectrum.show(row);
    document.getElementById("spectrum").scrollIntoView({ block: "nearest", behavior: "smooth" });
  };
  for (const dot of document.querySelectorAll("[data-row]")) {
    dot.addEventListener("click", () => figures.choose(Number(dot.dataset.row)));
  }
  for (const spec of data.views) {
    // The axis that counts rows of the frame, if there is one.
    spec.fibres = spec.over === "fibre" ? "x" : spec.over === "wave" && spec.kind === "map" ? "y" : "";
    const view = new kinds[spec.kind](document.getElementById(spec.id), spec);
    if (spec.kind === "spectrum") spectrum = view;
  }
  const redraw = () => views.forEach((v) => v.draw());
  let waiting = 0;
  window.addEventListener("resize", () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(redraw); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  redraw();
})();
