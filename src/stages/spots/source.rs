//! Spots evaluated where and when they are wanted: those of a bundle take more memory traffic than arithmetic.

use super::SpotModel;
use super::block::{Block, LANES};
use super::fibre_images::FibreImages;
use crate::geometry::{Positions, SpotShape};
use crate::psf::{Psf, SpotImages};
use crate::stages::aligned::AlignedSpots;
use crate::stages::series::SeriesTable;
use crate::stages::simd::{Kernel, Octet, Simd, dispatch};
use crate::stages::traces::{shape_series, split};
use std::fmt;
use std::ops::Range;

/// The spots of some fibres of a PSF on a wavelength grid.
pub struct SpotSource<'a> {
    shape: SpotShape,
    kind: Kind<'a>,
    nfibre: usize,
    nbin: usize,
    pixel_x: Vec<i32>,
    pixel_y: Vec<i32>,
}

/// Where spots come from.
enum Kind<'a> {
    /// Evaluated from the PSF's series: trace x and y, then the shape's parameters.
    Series { table: SeriesTable<'a>, first: usize, model: SpotModel },
    /// Made elsewhere, `[nfibre, nbin, ny, nx]`.
    Given(Vec<f64>),
}

impl fmt::Debug for SpotSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpotSource").field("shape", &self.shape).field("nfibre", &self.nfibre).finish_non_exhaustive()
    }
}

impl<'a> SpotSource<'a> {
    /// The spots of `fibres` (rows of the PSF) at `wave`, Angstrom; with the PSF's tails where wanted and present.
    pub fn new(psf: &'a Psf, fibres: Range<usize>, wave: &[f64], with_tails: bool) -> Self {
        let mut series = vec![&psf.trace_x, &psf.trace_y];
        series.extend(shape_series(psf, with_tails));
        let table = SeriesTable::new(&series, wave);
        let pixels = |series: usize| {
            let mut row = vec![0.0; wave.len()];
            let mut out = Vec::with_capacity(fibres.len() * wave.len());
            for fibre in fibres.clone() {
                table.row(series, fibre, &mut row);
                out.extend(row.iter().map(|&t| split(t).0));
            }
            out
        };
        let (pixel_x, pixel_y) = (pixels(0), pixels(1));
        let (nfibre, nbin) = (fibres.len(), table.nbin());
        let model = SpotModel::new(psf, with_tails);
        let shape = *model.shape();
        let kind = Kind::Series { table, first: fibres.start, model };
        Self { shape, kind, nfibre, nbin, pixel_x, pixel_y }
    }

    /// Wraps spots made elsewhere, `[nfibre, nbin, ny, nx]` around `pixel`, the nearest pixels x and y, `[nfibre, nbin]`.
    pub fn given(shape: SpotShape, [nfibre, nbin]: [usize; 2], pixel: [&[i32]; 2], spots: Vec<f64>) -> Self {
        assert_eq!(spots.len(), nfibre * nbin * shape.size(), "one spot per fibre and bin");
        let [pixel_x, pixel_y] = pixel.map(<[i32]>::to_vec);
        Self { shape, kind: Kind::Given(spots), nfibre, nbin, pixel_x, pixel_y }
    }

    /// Size and orders of the spots.
    pub fn shape(&self) -> &SpotShape {
        &self.shape
    }

    /// Number of fibres.
    pub fn nfibre(&self) -> usize {
        self.nfibre
    }

    /// Number of bins.
    pub fn nbin(&self) -> usize {
        self.nbin
    }

    /// Where the spots lie.
    pub fn positions(&self) -> Positions<'_> {
        let (nfibre, nbin) = (self.nfibre(), self.nbin());
        Positions { nfibre, nbin, pixel_x: &self.pixel_x, pixel_y: &self.pixel_y, spot: self.shape }
    }

    /// First CCD row and column of the spot of one fibre, counted from the source's first, at one bin.
    pub(crate) fn corner(&self, fibre: usize, bin: usize) -> (i64, i64) {
        let at = fibre * self.nbin() + bin;
        (i64::from(self.pixel_y[at]) - self.shape.half_y as i64, i64::from(self.pixel_x[at]) - self.shape.half_x as i64)
    }

    /// Evaluates the spots of one fibre at `bins`, normalised, as [`Self::evaluate_unscaled`].
    pub(crate) fn evaluate(&self, fibre: usize, bins: Range<usize>, out: &mut AlignedSpots) {
        self.evaluate_unscaled(fibre, bins, out);
        let size = out.size();
        for (stamp, scale) in out.stamps.chunks_exact_mut(size).zip(&mut out.scale) {
            bytemuck::cast_slice_mut(stamp).iter_mut().for_each(|pixel: &mut f64| *pixel *= *scale);
            *scale = if *scale > 0.0 { 1.0 } else { 0.0 };
        }
    }

    /// Evaluates the spots of one fibre at `bins`, which start at a multiple of eight. So the bits of a spot do not
    /// depend on the other bins of the call. Their sums are not yet 1: that takes [`AlignedSpots::scale`].
    pub(crate) fn evaluate_unscaled(&self, fibre: usize, bins: Range<usize>, out: &mut AlignedSpots) {
        debug_assert!(bins.start.is_multiple_of(LANES) && bins.end <= self.nbin());
        out.reset(&self.shape, bins.len());
        for bin in bins.clone() {
            let (y, x) = self.corner(fibre, bin);
            out.y.push(y);
            out.octet.push(x.div_euclid(8));
            out.column.push(x);
        }
        match &self.kind {
            Kind::Series { table, first, model } if model.is_hermite() => {
                self.evaluate_series(table, first + fibre, fibre, bins, out)
            }
            Kind::Series { table, first, model } => match model.grid() {
                Some(images) => self.evaluate_grid(images, (table, first + fibre), fibre, bins, out),
                None => {
                    let spots = model_spots(model, table, first + fibre, bins.clone());
                    self.align(&spots, fibre, bins.start, bins, out);
                }
            },
            Kind::Given(spots) => {
                let of_fibre = &spots[fibre * self.nbin * self.shape.size()..];
                self.align(of_fibre, fibre, 0, bins, out)
            }
        }
    }

    /// Evaluates the series at `bins`; `row` is the fibre's row of the PSF.
    fn evaluate_series(
        &self,
        table: &SeriesTable,
        row: usize,
        fibre: usize,
        bins: Range<usize>,
        out: &mut AlignedSpots,
    ) {
        let mut block = Block::new(&self.shape);
        let coefficients = table.of_fibre(row);
        for first in bins.clone().step_by(LANES) {
            let used = (bins.end - first).min(LANES);
            for lane in 0..LANES {
                let (_, x) = self.corner(fibre, (first + lane).min(self.nbin - 1));
                block.shift[lane] = x.rem_euclid(8) as usize;
            }
            dispatch(Parameters { table, coefficients: &coefficients, first, block: &mut block });
            let size = block.size();
            let at = first - bins.start;
            block.evaluate(&mut out.stamps[at * size..(at + used) * size], &mut out.scale[at..at + used]);
        }
    }

    /// Evaluates spots of images on a grid at `bins`; `row` is the fibre's row of the PSF.
    fn evaluate_grid(
        &self,
        images: &SpotImages,
        (table, row): (&SeriesTable, usize),
        fibre: usize,
        bins: Range<usize>,
        out: &mut AlignedSpots,
    ) {
        let rows = rows_of(table, row, bins.clone());
        let [x, y, position, wave] = &rows[..] else { unreachable!("traces, slit position and wavelength") };
        let mut of_fibre = FibreImages::new(images, position.first().copied().unwrap_or_default(), &mut out.room);
        let size = self.shape.octets() * self.shape.ny();
        let stamps = out.stamps.chunks_exact_mut(size).zip(&mut out.scale);
        for ((k, bin), (stamp, scale)) in bins.enumerate().zip(stamps) {
            let shift = self.corner(fibre, bin).1.rem_euclid(8) as usize;
            let offset = (split(x[k]).1, split(y[k]).1);
            *scale = of_fibre.spot(&self.shape, shift, offset, [position[k], wave[k]], stamp);
        }
    }

    /// Copies spots of a fibre, those of bins `first ..`, to the lanes of their columns.
    fn align(&self, spots: &[f64], fibre: usize, first: usize, bins: Range<usize>, out: &mut AlignedSpots) {
        let (nx, ny, size) = (self.shape.nx(), out.ny, out.size());
        out.stamps.fill(Octet::default());
        for ((stamp, scale), bin) in out.stamps.chunks_exact_mut(size).zip(&mut out.scale).zip(bins) {
            let shift = self.corner(fibre, bin).1.rem_euclid(8) as usize;
            let spot = &spots[(bin - first) * self.shape.size()..][..self.shape.size()];
            *scale = f64::from(u8::from(spot.iter().any(|pixel| *pixel > 0.0)));
            for (row, line) in spot.chunks_exact(nx).enumerate() {
                for (column, pixel) in (shift..).zip(line) {
                    stamp[column / 8 * ny + row].0[column % 8] = *pixel;
                }
            }
        }
    }
}

/// Evaluates the series of a row of the PSF at `bins`, `[series, bins]`.
fn rows_of(table: &SeriesTable, row: usize, bins: Range<usize>) -> Vec<Vec<f64>> {
    let mut rows = vec![vec![0.0; bins.len()]; table.nseries()];
    rows.iter_mut().enumerate().for_each(|(series, out)| table.part_of_row(series, row, bins.start, out));
    rows
}

/// Evaluates the spots of one fibre, a row of the PSF, at `bins`: `[bins, ny, nx]`.
fn model_spots(model: &SpotModel, table: &SeriesTable, row: usize, bins: Range<usize>) -> Vec<f64> {
    let rows = rows_of(table, row, bins.clone());
    let offsets = [0, 1].map(|axis| rows[axis].iter().map(|&position| split(position).1).collect::<Vec<_>>());
    let params: Vec<&[f64]> = rows[2..].iter().map(Vec::as_slice).collect();
    let mut spots = vec![0.0; bins.len() * model.shape().size()];
    model.of_fibre([&offsets[0], &offsets[1]], &params, &mut spots);
    spots
}

/// Fills a block with the parameters of bins `first ..`.
struct Parameters<'a, 'b> {
    table: &'a SeriesTable<'b>,
    /// The fibre's.
    coefficients: &'a [f64],
    first: usize,
    block: &'a mut Block,
}

impl Kernel for Parameters<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { table, coefficients, first, block } = self;
        table.all_at(simd, coefficients, first / LANES, &mut block.series);
        for position in block.series[..2].iter_mut().flat_map(|axis| &mut axis.0) {
            *position = split(*position).1;
        }
    }
}

impl AlignedSpots {
    /// Makes room for `n` spots, of which none has a place yet.
    fn reset(&mut self, shape: &SpotShape, n: usize) {
        (self.octets, self.ny, self.nx) = (shape.octets(), shape.ny(), shape.nx());
        self.y.clear();
        self.octet.clear();
        self.column.clear();
        // What was there before is overwritten.
        self.stamps.resize(n * self.size(), Octet::default());
        self.scale.resize(n, 0.0);
    }
}
