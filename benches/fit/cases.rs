//! The cases: true PSFs, arcs with their defects, starts, lists, and the bounds of the figures.

use super::disc;
use spextral::fit::BundleFit;
use spextral::fits::{Line, Preproc, read_psf};
use spextral::psf::{LegendreSeries, Psf, PsfParts};
use spextral::simulate::synthetic::Synthetic;
use spextral::simulate::{Light, Simulation, simulate};
use spextral::stages::traces::{legendre, unit};

/// Fibres of the bundle.
const FIBRES: usize = 25;
/// Lines, and the electrons of their median.
const LINES: usize = 88;
pub const ELECTRONS: f64 = 13_000.0;
/// A line that lists may lack, and one that they have wrong.
const MISSING: usize = 40;
/// A line of 20 000 electron, of which a blend of 3 % is above the noise.
const BLENDED: usize = 53;
const LAST: usize = LINES - 1;

/// Bounds of |chi2/ndf - 1|, x and y in pixels, widths in %. `peak`: of the peak difference of half and of 99 % of the images, %.
pub struct Bounds {
    pub chi2: f64,
    pub peak: [f64; 2],
    pub at: [f64; 2],
    pub widths: f64,
}

const USUAL: Bounds = Bounds { chi2: 0.03, peak: [0.3, 1.0], at: [0.004, 0.004], widths: 0.06 };

/// The case whose errors along y are those of the noise alone.
pub const EXACT: &str = "the list is exact (`--line-error 0`)";

/// A case.
pub struct Case {
    pub name: &'static str,
    /// Displacement of the start, pixels, and the factor of its widths.
    pub start: ([f64; 2], f64),
    /// Departure of the start's traces, coefficient by coefficient, pixels: those of another night.
    pub bent: f64,
    /// Electrons of the median line.
    pub electrons: f64,
    pub change: fn(&mut Simulation),
    /// A line that the lamp has beside those of the list: its neighbour, brightness relative to that, and distance, pixels.
    pub unlisted: Option<(usize, f64, f64)>,
    /// Changes the list.
    pub list: fn(&mut Vec<Line>),
    pub line_error: f64,
    /// Displacements of the exposures, pixels.
    pub exposures: &'static [[f64; 2]],
    /// Whether a fibre has no light.
    pub dead: bool,
    /// Whether spots are a fibre's disc, which no Gauss-Hermite function of the fit's degree is.
    pub disc: bool,
    /// Changes a pixel of the frame: column, row, value and weight.
    pub spoil: fn(&Truth, [usize; 2], &mut f32, &mut f32),
    /// Fibres of the start whose traces are exchanged.
    pub crossed: bool,
    /// Fibres that the defect hits, which are not compared.
    pub harmed: &'static [usize],
    pub bounds: Bounds,
    /// Whether the remarks are right.
    pub found: fn(&Truth, &BundleFit) -> bool,
}

const CLEAN: Case = Case {
    name: "clean",
    start: ([0.3, -0.3], 1.05),
    bent: 0.0,
    electrons: ELECTRONS,
    change: |_| (),
    unlisted: None,
    list: |_| (),
    line_error: 0.01,
    exposures: &[[0.0; 2]],
    dead: false,
    disc: false,
    spoil: |_, _, _, _| (),
    crossed: false,
    harmed: &[],
    bounds: USUAL,
    found: |_, bundle| bundle.found.is_empty(),
};

/// Fibres that defects hit: the last one under a masked amplifier, one along a bad column, one with a cosmic ray on a spot.
const MASKED: usize = 12;
const BESIDE: usize = 8;
const HIT: usize = 17;
/// Fibres that cross in the start.
const CROSSED: [usize; 2] = [7, 8];

fn defects(request: &mut Simulation) {
    (request.cosmics, request.unmasked_cosmics, request.bad_columns) = (12.0, 0.2, Some(1));
}

fn few_defects(request: &mut Simulation) {
    (request.cosmics, request.unmasked_cosmics, request.bad_columns) = (2.0, 0.2, Some(1));
}

/// Whether a line is found within half a pixel of a place beside another.
fn near(truth: &Truth, bundle: &BundleFit, line: usize, pixels: f64) -> bool {
    let wave = truth.lines[line].wave + pixels * truth.pixel;
    bundle.found.iter().any(|line| (line.wave - wave).abs() < 0.5 * truth.pixel)
}

pub const CASES: &[Case] = &[
    CLEAN,
    Case {
        name: "75 times as bright",
        electrons: 75.0 * ELECTRONS,
        bounds: Bounds { chi2: 0.2, peak: [0.2, 0.6], at: [0.001, 0.001], widths: 0.05 },
        ..CLEAN
    },
    Case {
        name: "1 000 000 electron in every line",
        change: |request| {
            if let Light::Arc { lines, electrons } = &mut request.light {
                lines.iter_mut().for_each(|line| line.weight = None);
                *electrons = 1e6;
            }
        },
        bounds: Bounds { chi2: 0.2, peak: [0.2, 0.6], at: [0.001, 0.001], widths: 0.05 },
        ..CLEAN
    },
    Case { name: "unmasked cosmic rays, a bad column", change: defects, ..CLEAN },
    Case {
        name: "250 cosmic rays, a fifth of them unmasked, 0.3 % bad pixels, a bad column",
        change: few_defects,
        spoil: |_, [x, y], _, weight| {
            if normal(7 * x + 5003 * y).abs() > 2.97 {
                *weight = 0.0;
            }
        },
        ..CLEAN
    },
    Case { name: "start 3 pixels off", start: ([3.0, -3.0], 1.05), change: defects, ..CLEAN },
    Case { name: "start -3 and 9 pixels off, widths +15 %", start: ([-3.0, 9.0], 1.15), change: defects, ..CLEAN },
    Case {
        name: "start of another night: 0.03 pixels in all coefficients",
        start: ([0.03, 0.17], 0.98),
        bent: 0.03,
        ..CLEAN
    },
    Case { name: "a fibre without light", dead: true, found: |_, bundle| bundle.dead.contains(&7), ..CLEAN },
    Case {
        name: "an unlisted blend of 30 %, 2 pixels away",
        unlisted: Some((BLENDED, 0.3, 2.0)),
        found: |truth, bundle| near(truth, bundle, BLENDED, 2.0),
        ..CLEAN
    },
    Case {
        name: "an unlisted blend of 3 %, 2 pixels away",
        unlisted: Some((BLENDED, 0.03, 2.0)),
        found: |truth, bundle| near(truth, bundle, BLENDED, 2.0),
        ..CLEAN
    },
    Case {
        name: "the list lacks a line",
        list: |lines| {
            lines.remove(MISSING);
        },
        found: |truth, bundle| near(truth, bundle, MISSING, 0.0),
        ..CLEAN
    },
    Case {
        name: "an unlisted line beside the last one, 9 times as bright, 6 pixels away",
        unlisted: Some((LAST, 9.0, 6.0)),
        found: |truth, bundle| near(truth, bundle, LAST, 6.0),
        ..CLEAN
    },
    Case {
        name: "a line of the list is 0.1 Angstrom off",
        list: |lines| lines[MISSING].wave += 0.1,
        found: |_, bundle| bundle.lost.len() == 1,
        ..CLEAN
    },
    Case { name: "pixels above 30 000 electron saturated", change: |r| r.saturation = Some(3e4), ..CLEAN },
    Case {
        name: "1/30 as bright",
        electrons: ELECTRONS / 30.0,
        bounds: Bounds { chi2: 0.05, peak: [1.5, 7.0], at: [0.02, 0.02], widths: 0.25 },
        ..CLEAN
    },
    Case {
        name: "list errors of 0.005 Angstrom",
        list: |lines| lines.iter_mut().enumerate().for_each(|(k, line)| line.wave += 0.007 * (3.7 * k as f64).sin()),
        bounds: Bounds { at: [0.004, 0.008], peak: [0.4, 2.5], ..USUAL },
        ..CLEAN
    },
    Case {
        name: "20 lines",
        list: |lines| *lines = (0..20).map(|k| lines[k * (LINES - 1) / 19].clone()).collect(),
        bounds: Bounds { at: [0.012, 0.012], peak: [0.7, 3.0], widths: 0.15, ..USUAL },
        found: |_, _| true,
        ..CLEAN
    },
    Case { name: EXACT, line_error: 0.0, ..CLEAN },
    Case {
        name: "spots are a fibre's disc with coma, outside the family of the fit",
        disc: true,
        bounds: Bounds { peak: [0.6, 1.1], widths: 0.5, ..USUAL },
        ..CLEAN
    },
    Case {
        name: "a masked amplifier: half of the bundle, half of the rows",
        spoil: |truth, [x, y], _, weight| {
            if (x as f64) < truth.at(MASKED, MISSING)[0] && y > truth.psf.npix_y / 2 {
                *weight = 0.0;
            }
        },
        // Beside the amplifier's border spots are cut.
        harmed: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, MASKED, MASKED + 1],
        ..CLEAN
    },
    Case {
        name: "a bad column one pixel beside a fibre",
        spoil: |truth, [x, _], _, weight| {
            if x == truth.at(BESIDE, MISSING)[0] as usize + 1 {
                *weight = 0.0;
            }
        },
        harmed: &[BESIDE],
        ..CLEAN
    },
    Case {
        name: "a cosmic ray on a spot, not masked",
        spoil: |truth, [x, y], value, _| {
            let [left, bottom] = truth.at(HIT, MISSING).map(|at| at as usize);
            if x.wrapping_sub(left) < 2 && y.wrapping_sub(bottom) < 4 {
                *value += 30_000.0;
            }
        },
        ..CLEAN
    },
    Case { name: "traces that cross in the start", crossed: true, harmed: &CROSSED, ..CLEAN },
    Case {
        name: "4 exposures, the list is exact",
        line_error: 0.0,
        exposures: &[[0.0; 2]; 4],
        bounds: Bounds { at: [0.0025, 0.0025], ..USUAL },
        ..CLEAN
    },
    Case {
        name: "4 exposures, one of them 0.2 pixels off",
        exposures: &[[0.0, 0.0], [0.2, -0.2], [0.0, 0.0], [0.0, 0.0]],
        bounds: Bounds { at: [0.002, 0.002], ..USUAL },
        found: |_, bundle| (bundle.shifts[1][0] - bundle.shifts[0][0] - 0.2).abs() < 0.005,
        ..CLEAN
    },
];

/// A true PSF of one bundle and its lamp.
pub struct Truth {
    pub name: String,
    pub psf: Psf,
    pub lines: Vec<Line>,
    /// Angstrom per pixel.
    pub pixel: f64,
}

impl Truth {
    /// Makes a PSF of its own geometry.
    pub fn made() -> Self {
        let synthetic = Synthetic {
            nfibre: 300,
            legendre_degree: 3,
            spacing: 7.9,
            bundle_gap: 18.0,
            sigma_x: 1.05,
            sigma_y: 1.15,
            npix_y: Some(3000),
            seed: 20,
            ..Synthetic::default()
        };
        let name = "A synthetic PSF: pitch 7.9 pixels, LEGDEG 3, 3000 rows";
        Self::cut(name.into(), synthetic.build().expect("parameters of a PSF"), 50)
    }

    /// Reads one bundle of a file, with GH-0-0 = 1.
    pub fn read(path: &str, first: usize) -> Self {
        let psf = read_psf(path).expect("a PSF file");
        let camera = psf.camera.clone().unwrap_or_default();
        let name = format!("Fibres {first} to {} of a real camera, {camera}, GH-0-0 set to 1", first + FIBRES - 1);
        Self::cut(name, psf, first)
    }

    /// Takes one bundle, with the columns of it alone.
    fn cut(name: String, psf: Psf, first: usize) -> Self {
        let mut parts = psf.into_parts();
        let cut = |series: &mut LegendreSeries| {
            let n = series.ncoeff;
            series.coeff = series.coeff[first * n..(first + FIBRES) * n].to_vec();
        };
        let PsfParts { trace_x, trace_y, sigma_x, sigma_y, gh, .. } = &mut parts;
        [trace_x, trace_y, sigma_x, sigma_y].into_iter().chain(gh).for_each(cut);
        let n = parts.gh[0].ncoeff;
        parts.gh[0].coeff.iter_mut().enumerate().for_each(|(k, c)| *c = f64::from(u8::from(k % n == 0)));
        let ends = [0, FIBRES - 1].map(|fibre| parts.trace_x.of(fibre)[0]);
        let left = (ends[0].min(ends[1]) - 60.0).floor();
        let n = parts.trace_x.ncoeff;
        parts.trace_x.coeff.iter_mut().step_by(n).for_each(|c| *c -= left);
        (parts.nfibre, parts.fibermin, parts.tails) = (FIBRES, 0, None);
        parts.npix_x = (ends[0].max(ends[1]) - left + 60.0) as usize;
        Self::new(name, Psf::new(parts).expect("a part of a PSF"))
    }

    fn new(name: String, psf: Psf) -> Self {
        let pixel = (psf.wave_max - psf.wave_min) / psf.npix_y as f64;
        let beside = 40.0 * pixel;
        let step = (psf.wave_max - psf.wave_min - 2.0 * beside) / LINES as f64;
        let uneven = |k: usize| k as f64 + 0.5 + 0.35 * (2.1 * k as f64).sin();
        let line = |k: usize| Line {
            wave: psf.wave_min + beside + step * uneven(k),
            ion: String::new(),
            // Log-normal brightness, the same in all cases: quartiles a factor of 3.4 from the median.
            weight: Some((1.8 * normal(k)).exp().clamp(0.04, 75.0)),
        };
        let lines = (0..LINES).map(line).collect();
        Self { name, psf, lines, pixel }
    }

    /// Wavelengths at which PSFs are compared.
    pub fn waves(&self, lines: &[Line]) -> Vec<f64> {
        let ends = [lines[0].wave, lines[lines.len() - 1].wave];
        (0..40).map(|k| ends[0] + (ends[1] - ends[0]) * f64::from(k) / 39.0).collect()
    }

    /// Position of a line on a fibre, pixels.
    pub fn at(&self, fibre: usize, line: usize) -> [f64; 2] {
        let wave = self.lines[line].wave;
        [&self.psf.trace_x, &self.psf.trace_y].map(|series| legendre(series.of(fibre), unit(series.domain, wave)) + 0.5)
    }

    /// The list of a case.
    pub fn listed(&self, case: &Case) -> Vec<Line> {
        let mut lines = self.lines.clone();
        (case.list)(&mut lines);
        lines
    }

    /// The true PSF of a case.
    pub fn of(&self, case: &Case) -> Psf {
        if case.disc { disc::with_discs(&self.psf) } else { self.psf.clone() }
    }

    /// The start of a case.
    pub fn start(&self, case: &Case) -> Psf {
        let mut start = moved(&self.of(case), case.start.0, case.start.1);
        let bend = |p: &mut PsfParts| {
            let traces = p.trace_x.coeff.iter_mut().chain(&mut p.trace_y.coeff);
            traces.enumerate().for_each(|(k, c)| *c += case.bent * normal(k));
            if case.crossed {
                let n = p.trace_x.ncoeff;
                let (a, b) = p.trace_x.coeff.split_at_mut(CROSSED[1] * n);
                a[CROSSED[0] * n..][..n].swap_with_slice(&mut b[..n]);
            }
        };
        start.update(bend).expect("a small change");
        start
    }

    /// The frame with the pixels that a case changes.
    fn spoiled(&self, frame: Preproc, case: &Case) -> Preproc {
        let nx = self.psf.npix_x;
        let [mut image, mut ivar] = frame.ccd.into_planes();
        for (i, (value, weight)) in image.iter_mut().zip(&mut ivar).enumerate() {
            (case.spoil)(self, [i % nx, i / nx], value, weight);
        }
        Preproc::new([self.psf.npix_y, nx], image, ivar, None, 0).expect("planes of one frame")
    }

    /// The arcs of a case.
    pub fn frames(&self, case: &Case) -> Vec<Preproc> {
        let mut lines = self.lines.clone();
        if case.name == "20 lines" {
            (case.list)(&mut lines);
        }
        if let Some((which, bright, pixels)) = case.unlisted {
            let near = &lines[which];
            let weight = near.weight.map(|weight| bright * weight);
            lines.insert(which + 1, Line { wave: near.wave + pixels * self.pixel, weight, ..near.clone() });
        }
        let of_exposure = |(k, shift): (usize, &[f64; 2])| {
            let mut request = Simulation {
                light: Light::Arc { lines: lines.clone(), electrons: case.electrons },
                // Seeds whose targets, and so fibres without light, are the wanted ones.
                seed: seed(case.dead, k),
                cosmics: 0.0,
                bad_columns: Some(0),
                dead_patches: Some(0),
                ..Simulation::default()
            };
            (case.change)(&mut request);
            let simulated = simulate(&moved(&self.of(case), *shift, 1.0), &request).expect("a frame of the PSF");
            let frame = self.spoiled(simulated.preproc.masked_by(u32::MAX).expect("a mask of the frame"), case);
            let noise = vec![request.readnoise as f32; frame.ccd.image().len()];
            let half = self.psf.npix_y / 2;
            let amplifier = |i: usize| {
                let (x, y) = (i % self.psf.npix_x, i / self.psf.npix_x);
                [1.0, 1.04, 0.97, 1.02][2 * usize::from(y >= half) + usize::from(x >= self.psf.npix_x / 2)]
            };
            let noise = noise.iter().enumerate().map(|(i, noise)| noise * amplifier(i)).collect();
            Preproc { readnoise: Some(noise), ..frame }
        };
        case.exposures.iter().enumerate().map(of_exposure).collect()
    }
}

/// Returns a seed of the simulation in which no fibre is broken, or fibre 7 alone.
fn seed(dead: bool, which: usize) -> u64 {
    let broken = |seed: u64| -> Vec<usize> {
        let all = spextral::simulate::broken_fibres(seed, FIBRES);
        all.collect()
    };
    let wanted: &[usize] = if dead { &[7] } else { &[] };
    (0..).filter(|seed| broken(*seed) == wanted).nth(which).expect("seeds do not end")
}

/// Returns numbers of a normal distribution, from a fixed sequence without a pattern.
pub fn normal(k: usize) -> f64 {
    let uniform = |s: f64| (s * (k as f64 + 1.0)).fract();
    let (a, b) = (uniform(0.754_877_666), uniform(0.569_840_291));
    (-2.0 * (1.0 - a).ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

/// Returns a PSF with traces displaced and widths scaled.
pub fn moved(psf: &Psf, [dx, dy]: [f64; 2], width: f64) -> Psf {
    let mut moved = psf.clone();
    let change = |p: &mut PsfParts| {
        for (trace, d) in [(&mut p.trace_x, dx), (&mut p.trace_y, dy)] {
            trace.coeff.iter_mut().step_by(trace.ncoeff).for_each(|c| *c += d);
        }
        [&mut p.sigma_x, &mut p.sigma_y].into_iter().flat_map(|s| &mut s.coeff).for_each(|c| *c *= width);
    };
    moved.update(change).expect("a small change");
    moved
}
