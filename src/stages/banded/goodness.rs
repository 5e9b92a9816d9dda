//! Model image and goodness of fit of a whole bundle, in blocks of bins whose pixels and spots stay in cache.
//!
//! A block's fibres are taken one after another. Pixels that no later fibre reaches are complete, and fibres whose
//! pixels are all complete are judged. So a spot is evaluated once, and kept for two or three fibres only.

use super::window::{Pixels, Window};
use crate::geometry::Ccd;
use crate::stages::aligned::AlignedSpots;
use crate::stages::goodness::Goodness;
use crate::stages::simd::{Kernel, Octet, Simd, dispatch};
use crate::stages::spots::SpotSource;
use rayon::prelude::*;
use std::collections::VecDeque;
use std::ops::Range;

/// Bins of a block, a multiple of eight: of 128 spots took a twentieth longer, of 512, too.
const BLOCK: usize = 256;

/// Goodness of the fibres `wanted` at `bins` for the deconvolved flux x, `[fibre][n]`: `[wanted, bins]`.
///
/// The same numbers as [`crate::stages::goodness`], the model being that of all fibres; `half` is the distance in bins at
/// which spots overlap.
pub fn banded_goodness(
    spots: &SpotSource,
    ccd: &Ccd,
    x: &[Vec<f64>],
    psferr: f64,
    half: usize,
    wanted: Range<usize>,
    bins: Range<usize>,
) -> Vec<Goodness> {
    let mut out = vec![Goodness::default(); wanted.len() * bins.len()];
    if out.is_empty() {
        return out;
    }
    // Blocks begin at multiples of eight, whatever the first bin.
    let first = bins.start / 8 * 8;
    let mut blocks: Vec<(Range<usize>, Vec<&mut [Goodness]>)> =
        (first..bins.end).step_by(BLOCK).map(|b| (b.max(bins.start)..(b + BLOCK).min(bins.end), vec![])).collect();
    for mut row in out.chunks_exact_mut(bins.len()) {
        for (bins, parts) in &mut blocks {
            let (part, rest) = row.split_at_mut(bins.len());
            parts.push(part);
            row = rest;
        }
    }
    blocks.into_par_iter().for_each(|(bins, parts)| {
        let reach = half.next_multiple_of(8);
        let around = (bins.start / 8 * 8).saturating_sub(reach)..(bins.end + reach).min(spots.nbin());
        let mut block = Block::new(spots, ccd, around, psferr);
        block.judge(x, &wanted, bins, parts);
    });
    out
}

/// Adds the model A x of the fibres `wanted` at `bins` to `image`, `[ny, columns]`. The columns hold all of their light;
/// `x` is `[wanted, bins]`.
pub fn add_banded_model(
    spots: &SpotSource,
    ccd: &Ccd,
    x: &[f64],
    wanted: Range<usize>,
    bins: Range<usize>,
    columns: &Range<usize>,
    image: &mut [f64],
) {
    let first = bins.start / 8 * 8;
    let of_block = |start: usize| {
        let around = start..(start + BLOCK).min(bins.end);
        let window = Window::of(spots, around.clone(), ccd);
        let mut model = vec![Octet::default(); window.len()];
        let mut stamps = AlignedSpots::default();
        for (k, fibre) in wanted.clone().enumerate() {
            spots.evaluate_unscaled(fibre, around.clone(), &mut stamps);
            let flux = |bin: usize| bin.checked_sub(bins.start).map_or(0.0, |b| x[k * bins.len() + b]);
            let flux: Vec<f64> = around.clone().map(flux).collect();
            dispatch(Add { stamps: &stamps, flux: &flux, window: &window, model: &mut model });
        }
        (window, model)
    };
    let starts: Vec<usize> = (first..bins.end).step_by(BLOCK).collect();
    let strips: Vec<(Window, Vec<Octet>)> = starts.into_par_iter().map(of_block).collect();
    for (window, model) in strips {
        for (octet, model) in window.octets.clone().zip(model.chunks_exact(window.ny().max(1))) {
            for (y, model) in window.rows.clone().zip(model) {
                if !(0..ccd.ny() as i64).contains(&y) {
                    continue;
                }
                let row = &mut image[y as usize * columns.len()..(y as usize + 1) * columns.len()];
                for (x, value) in (8 * octet..).zip(model.0) {
                    let Some(x) = usize::try_from(x).ok().filter(|x| columns.contains(x)) else { continue };
                    row[x - columns.start] += value;
                }
            }
        }
    }
}

/// Some bins of all fibres of a bundle and the pixels under them.
struct Block<'a, 'b> {
    spots: &'a SpotSource<'b>,
    ccd: &'a Ccd<'a>,
    around: Range<usize>,
    psferr: f64,
    planes: Planes,
    /// Octets left of this one are complete.
    complete: i64,
}

/// Pixels of a window, `[octets, ny]`; model and what follows are zero off the CCD.
struct Planes {
    window: Window,
    pixels: Pixels,
    model: Vec<Octet>,
    /// Chi^2 of the pixels used, else 0.
    chi2: Vec<Octet>,
    /// 1 where a pixel is used.
    used: Vec<Octet>,
    /// 1 where ivar is 0.
    masked: Vec<Octet>,
}

impl Planes {
    fn new(window: Window, ccd: &Ccd) -> Self {
        let zeros = || vec![Octet::default(); window.len()];
        Self { pixels: Pixels::of(&window, ccd), model: zeros(), chi2: zeros(), used: zeros(), masked: zeros(), window }
    }
}

impl<'a, 'b> Block<'a, 'b> {
    fn new(spots: &'a SpotSource<'b>, ccd: &'a Ccd<'a>, around: Range<usize>, psferr: f64) -> Self {
        let planes = Planes::new(Window::of(spots, around.clone(), ccd), ccd);
        let complete = planes.window.octets.start;
        Self { spots, ccd, around, psferr, planes, complete }
    }

    fn judge(&mut self, x: &[Vec<f64>], wanted: &Range<usize>, bins: Range<usize>, mut out: Vec<&mut [Goodness]>) {
        let reaches: Vec<Range<i64>> = (0..self.spots.nfibre()).map(|f| self.reach(f)).collect();
        let mut waiting: VecDeque<(usize, AlignedSpots)> = VecDeque::new();
        let mut spare: Vec<AlignedSpots> = Vec::new();
        for fibre in 0..self.spots.nfibre() {
            let mut stamps = spare.pop().unwrap_or_default();
            self.spots.evaluate_unscaled(fibre, self.around.clone(), &mut stamps);
            let Planes { window, model, .. } = &mut self.planes;
            dispatch(Add { stamps: &stamps, flux: &x[fibre][self.around.clone()], window, model });
            waiting.push_back((fibre, stamps));
            let next = reaches[fibre + 1..].iter().map(|r| r.start).min();
            self.complete_to(next.unwrap_or(self.planes.window.octets.end));
            while waiting.front().is_some_and(|(f, _)| reaches[*f].end <= self.complete) {
                let (f, stamps) = waiting.pop_front().expect("there is one in front");
                if let Some(out) = f.checked_sub(wanted.start).and_then(|k| out.get_mut(k)) {
                    self.judge_fibre(f, &stamps, bins.clone(), out);
                }
                spare.push(stamps);
            }
        }
    }

    /// Octets of the window under a fibre.
    fn reach(&self, fibre: usize) -> Range<i64> {
        let window = &self.planes.window.octets;
        let octets = self.spots.shape().octets() as i64;
        let of_bin = |bin| self.spots.corner(fibre, bin).1.div_euclid(8);
        let (low, high) = self.around.clone().map(of_bin).fold((i64::MAX, i64::MIN), |(l, h), x| (l.min(x), h.max(x)));
        low.clamp(window.start, window.end)..high.saturating_add(octets).clamp(window.start, window.end)
    }

    /// Forms chi^2 of the columns left of `octet`, whose model is complete.
    fn complete_to(&mut self, octet: i64) {
        let window = &self.planes.window;
        let columns = (self.complete - window.octets.start) as usize..(octet - window.octets.start).max(0) as usize;
        if columns.is_empty() {
            return;
        }
        self.complete = octet;
        let part = columns.start * window.ny()..columns.end * window.ny();
        dispatch(PixelChi2 { planes: &mut self.planes, part, psferr: self.psferr });
    }

    fn judge_fibre(&self, fibre: usize, stamps: &AlignedSpots, bins: Range<usize>, out: &mut [Goodness]) {
        let mut sums = vec![[0.0; 3]; bins.len()];
        dispatch(Sums { stamps, first: bins.start - self.around.start, planes: &self.planes, out: &mut sums });
        for ((bin, out), [chi2, used, masked]) in bins.zip(out).zip(sums) {
            let k = bin - self.around.start;
            // A spot that covers nothing is absent as a whole.
            let whole = stamps.scale[k] > 0.0 && self.is_on_ccd(fibre, bin);
            let off = if whole { 0.0 } else { (1.0 - self.part_on_ccd(stamps, k)).clamp(0.0, 1.0) };
            *out = Goodness {
                chi2pix: if used > 0.0 { chi2 / used } else { 0.0 },
                pixmask_fraction: (masked + off).clamp(0.0, 1.0),
                off_ccd: off,
            };
        }
    }

    fn is_on_ccd(&self, fibre: usize, bin: usize) -> bool {
        let (y, x) = self.spots.corner(fibre, bin);
        let (ny, nx) = (self.spots.shape().ny() as i64, self.spots.shape().nx() as i64);
        y >= 0 && x >= 0 && y + ny <= self.ccd.ny() as i64 && x + nx <= self.ccd.nx() as i64
    }

    /// The sum of a spot's pixels on the CCD.
    fn part_on_ccd(&self, stamps: &AlignedSpots, k: usize) -> f64 {
        let mut sum = 0.0;
        let (rows, columns) = (0..self.ccd.ny() as i64, 0..self.ccd.nx() as i64);
        for (x, octets) in (8 * stamps.octet[k]..).step_by(8).zip(stamps.columns(k)) {
            for (_, octet) in (stamps.y[k]..).zip(octets).filter(|(y, _)| rows.contains(y)) {
                sum += (x..).zip(octet.0).filter(|(x, _)| columns.contains(x)).map(|(_, value)| value).sum::<f64>();
            }
        }
        stamps.scale[k] * sum
    }
}

/// Adds spots times flux to a model.
struct Add<'a> {
    stamps: &'a AlignedSpots,
    flux: &'a [f64],
    window: &'a Window,
    model: &'a mut [Octet],
}

impl Kernel for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { stamps, flux, window, model } = self;
        for (k, &flux) in flux.iter().enumerate() {
            let Some(at) = window.at(stamps.y[k], stamps.octet[k], stamps.ny, stamps.octets) else { continue };
            let flux = simd.splat(flux * stamps.scale[k]);
            for (octet, spot) in stamps.columns(k).enumerate() {
                let model = &mut model[at + octet * window.ny()..][..stamps.ny];
                for (m, s) in model.iter_mut().zip(spot) {
                    simd.store(simd.mul_add(flux, simd.load(s), simd.load(m)), m);
                }
            }
        }
    }
}

/// Chi^2 of pixels as in [`crate::stages::goodness::pixel_chi2`], which are used, and which are masked.
struct PixelChi2<'a> {
    planes: &'a mut Planes,
    /// The octets whose model is complete.
    part: Range<usize>,
    psferr: f64,
}

impl Kernel for PixelChi2<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { planes: Planes { pixels, model, chi2, used, masked, .. }, part, psferr } = self;
        let Pixels { image, ivar } = pixels;
        let (one, psferr) = (simd.splat(1.0), simd.splat(psferr));
        for at in part {
            let (p, w, m) = (simd.widen(&image[at]), simd.widen(&ivar[at]), simd.load(&model[at]));
            let (rest, sigma) = (simd.neg_mul_add(one, m, p), simd.mul(psferr, m));
            let variance = simd.add(simd.div(one, w), simd.mul(sigma, sigma));
            let value = simd.div(simd.mul(rest, rest), variance);
            simd.store(simd.where_positive(w, simd.where_positive(m, value)), &mut chi2[at]);
            simd.store(simd.where_positive(w, simd.where_positive(m, one)), &mut used[at]);
            let off_ccd = simd.where_positive(simd.neg_mul_add(one, w, simd.splat(0.0)), one);
            let without = simd.neg_mul_add(one, simd.where_positive(w, one), one);
            simd.store(simd.neg_mul_add(one, off_ccd, without), &mut masked[at]);
        }
    }
}

/// Sums of spots with chi^2, the used and the masked pixels.
struct Sums<'a> {
    stamps: &'a AlignedSpots,
    /// The first of them.
    first: usize,
    planes: &'a Planes,
    out: &'a mut [[f64; 3]],
}

impl Kernel for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { stamps, first, planes, out } = self;
        let (window, ny) = (&planes.window, stamps.ny);
        for (k, out) in (first..).zip(out) {
            let Some(at) = window.at(stamps.y[k], stamps.octet[k], ny, stamps.octets) else { continue };
            let mut sums = [simd.splat(0.0); 3];
            for (octet, spot) in stamps.columns(k).enumerate() {
                let part = at + octet * window.ny()..at + octet * window.ny() + ny;
                let (chi2, used, masked) =
                    (&planes.chi2[part.clone()], &planes.used[part.clone()], &planes.masked[part]);
                for (((s, c), u), m) in spot.iter().zip(chi2).zip(used).zip(masked) {
                    let s = simd.load(s);
                    sums[0] = simd.mul_add(s, simd.load(c), sums[0]);
                    sums[1] = simd.mul_add(s, simd.load(u), sums[1]);
                    sums[2] = simd.mul_add(s, simd.load(m), sums[2]);
                }
            }
            let scale = stamps.scale[k];
            *out = [scale * simd.sum(sums[0]), scale * simd.sum(sums[1]), scale * simd.sum(sums[2])];
        }
    }
}
