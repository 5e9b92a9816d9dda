//! Spectra of one bundle, and of consecutive bundles joined, in electron per bin.

mod patch;

pub(super) use patch::PatchSpectra;

use super::Stripe;
use super::bundle_places::{BundlePlaces, is_number};
use crate::backend::FibreRow;
use crate::base::real_array::RealArray;
use crate::base::recycled;
use crate::plan::Bundle;
use rayon::prelude::*;
use std::ops::Range;

/// Usable fraction of a bin's PSF below which the bin has no information. Judged by coverage, not by flux weight: a very
/// bright star has little weight.
pub(crate) const MIN_COVERAGE: f64 = 1e-4;

/// Returns whether a bin has information, of whose PSF this fraction is masked.
fn is_usable(masked: f64) -> bool {
    1.0 - masked >= MIN_COVERAGE
}

/// Judges all bins of a fibre: whether any of their PSF is usable, by its masked fraction, and whether they have a result. Flux,
/// ivar and x must be numbers, and the bin not `lost`.
pub(crate) fn judge(
    [flux, ivar, x]: [&[f64]; 3],
    pixmask_fraction: &[f64],
    lost: &[bool],
    [covered, solved]: [&mut [bool]; 2],
) {
    covered.iter_mut().zip(pixmask_fraction).for_each(|(covered, masked)| *covered = is_usable(*masked));
    let values = flux.iter().zip(ivar).zip(x).zip(lost);
    for (solved, (((flux, ivar), x), lost)) in solved.iter_mut().zip(values) {
        *solved = !lost & is_number(*flux) & is_number(*ivar) & is_number(*x);
    }
}

/// Returns parts one after another, copied by all threads.
fn concatenated<T: Copy + Default + Send + Sync>(mut parts: Vec<Vec<T>>) -> Vec<T> {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let mut all = vec![T::default(); parts.iter().map(Vec::len).sum()];
    let mut rest = all.as_mut_slice();
    let mut pairs = Vec::with_capacity(parts.len());
    for part in &parts {
        let (own, after) = rest.split_at_mut(part.len());
        pairs.push((own, part));
        rest = after;
    }
    pairs.into_par_iter().for_each(|(to, from)| to.copy_from_slice(from));
    all
}

/// Spectra of the selected fibres of consecutive bundles. Flux is in electron per bin: units of files are the assembly's.
#[derive(Clone, Debug, PartialEq)]
pub struct BundleSpectra {
    bundles: Vec<Bundle>,
    nwave: usize,
    ndiag: usize,
    /// Deconvolved flux, electron per bin, `[nspec, nwave]`.
    pub(crate) x: Vec<f64>,
    /// Decorrelated flux, electron per bin, `[nspec, nwave]`.
    pub(crate) flux: Vec<f64>,
    /// Its inverse variance, `[nspec, nwave]`.
    pub(crate) ivar: Vec<f64>,
    /// Columns of R, `[nspec, ndiag, nwave]`: stored diagonal d of column j is `R[j - ndiag/2 + d, j]`. None until the first
    /// results come; in f32 as long as all of them are.
    resolution: Option<RealArray>,
    /// chi2pix, `[nspec, nwave]`.
    pub(crate) chi2pix: Vec<f64>,
    /// Fraction of the PSF on masked or absent pixels, `[nspec, nwave]`.
    pub(crate) pixmask_fraction: Vec<f64>,
    /// Fraction of the PSF off the CCD, `[nspec, nwave]`.
    pub(crate) off_ccd: Vec<f64>,
    /// Bins whose patch has no solution, `[nspec, nwave]`.
    pub(crate) lost: Vec<bool>,
    /// Bins whose column of R is that of their own patch, `[nspec, nwave]`.
    pub(crate) has_column: Vec<bool>,
    /// The light of each bundle, if a model image is wanted.
    pub(crate) stripes: Vec<Stripe>,
}

/// Takes the first `n` from a slice.
fn first<'a, T>(of: &mut &'a mut [T], n: usize) -> &'a mut [T] {
    let (first, rest) = std::mem::take(of).split_at_mut(n);
    *of = rest;
    first
}

/// Joins the columns of R of consecutive bundles: in f32 if all of them are.
fn joined_resolution(all: &mut [BundleSpectra]) -> RealArray {
    let parts: Vec<RealArray> = all.iter_mut().map(BundleSpectra::take_resolution).collect();
    if parts.iter().all(RealArray::is_f32) {
        let in_f32 = |part| if let RealArray::F32(values) = part { values } else { Vec::new() };
        return concatenated(parts.into_iter().map(in_f32).collect()).into();
    }
    concatenated(parts.into_iter().map(RealArray::into_f64).collect()).into()
}

impl BundleSpectra {
    /// Begins the spectra of consecutive bundles. Planes are allocated with the first results.
    pub(super) fn new(bundles: &[Bundle], nwave: usize, ndiag: usize) -> Self {
        let bins = bundles.iter().map(|bundle| bundle.selected.len()).sum::<usize>() * nwave;
        Self {
            bundles: bundles.to_vec(),
            nwave,
            ndiag,
            x: Vec::new(),
            flux: Vec::new(),
            ivar: Vec::new(),
            resolution: None,
            chi2pix: Vec::new(),
            pixmask_fraction: Vec::new(),
            off_ccd: Vec::new(),
            lost: recycled::zeros(bins),
            has_column: recycled::zeros(bins),
            stripes: Vec::new(),
        }
    }

    /// Allocates the planes if there are none: zeros, or numbers that mean nothing where the caller fills all but x.
    pub(super) fn allocate(&mut self, is_filled: bool) {
        let bins = self.lost.len();
        if self.flux.len() == bins {
            return;
        }
        self.x = recycled::zeros(bins);
        let planes = [&mut self.flux, &mut self.ivar, &mut self.chi2pix, &mut self.pixmask_fraction, &mut self.off_ccd];
        for plane in planes {
            *plane = if is_filled { recycled::any(bins) } else { recycled::zeros(bins) };
        }
    }

    /// Returns the whole, with the light of each bundle; bundles without results have zeros.
    pub(super) fn completed(mut self, stripes: Vec<Stripe>) -> Self {
        self.allocate(false);
        Self { stripes, ..self }
    }

    /// Returns the bins of bundle `k` of these.
    fn bins(&self, k: usize) -> Range<usize> {
        let before: usize = self.bundles[..k].iter().map(|bundle| bundle.selected.len()).sum();
        before * self.nwave..(before + self.bundles[k].selected.len()) * self.nwave
    }

    /// Returns the spectra of bundle `k` alone, without light.
    pub(super) fn of(&mut self, k: usize) -> Self {
        self.allocate(false);
        let (bins, ndiag) = (self.bins(k), self.ndiag);
        let cut = |values: &[f64]| values[bins.clone()].to_vec();
        Self {
            bundles: vec![self.bundles[k].clone()],
            nwave: self.nwave,
            ndiag,
            x: cut(&self.x),
            flux: cut(&self.flux),
            ivar: cut(&self.ivar),
            resolution: self.resolution.as_ref().map(|all| all.part(bins.start * ndiag..bins.end * ndiag).to_array()),
            chi2pix: cut(&self.chi2pix),
            pixmask_fraction: cut(&self.pixmask_fraction),
            off_ccd: cut(&self.off_ccd),
            lost: self.lost[bins.clone()].to_vec(),
            has_column: self.has_column[bins.clone()].to_vec(),
            stripes: Vec::new(),
        }
    }

    /// Takes the spectra of bundle `k`.
    pub(super) fn put(&mut self, k: usize, part: &Self) {
        self.allocate(false);
        let (bins, ndiag) = (self.bins(k), self.ndiag);
        let pairs = [
            (&mut self.x, &part.x),
            (&mut self.flux, &part.flux),
            (&mut self.ivar, &part.ivar),
            (&mut self.chi2pix, &part.chi2pix),
            (&mut self.pixmask_fraction, &part.pixmask_fraction),
            (&mut self.off_ccd, &part.off_ccd),
        ];
        pairs.into_iter().for_each(|(to, from)| to[bins.clone()].copy_from_slice(from));
        self.lost[bins.clone()].copy_from_slice(&part.lost);
        self.has_column[bins.clone()].copy_from_slice(&part.has_column);
        if let Some(part) = &part.resolution {
            let columns = bins.start * ndiag..bins.end * ndiag;
            self.resolution_for(part.is_f32()).part_mut(columns).copy_from(part.all());
        }
    }

    /// The first of its bundles.
    pub(super) fn bundle(&self) -> &Bundle {
        &self.bundles[0]
    }

    /// Number of fibres, bins and diagonals of R.
    pub(crate) fn shape(&self) -> [usize; 3] {
        [self.bundles.iter().map(|b| b.selected.len()).sum(), self.nwave, self.ndiag]
    }

    /// Joins consecutive bundles.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn joined(all: impl IntoIterator<Item = Self>) -> Self {
        let mut all: Vec<Self> = all.into_iter().collect();
        let (nwave, ndiag) = (all[0].nwave, all[0].ndiag);
        let mut field = |of: fn(&mut Self) -> &mut Vec<f64>| -> Vec<f64> {
            concatenated(all.iter_mut().map(|one| std::mem::take(of(one))).collect())
        };
        let [x, flux, ivar] = [field(|s| &mut s.x), field(|s| &mut s.flux), field(|s| &mut s.ivar)];
        let [chi2pix, pixmask_fraction] = [field(|s| &mut s.chi2pix), field(|s| &mut s.pixmask_fraction)];
        let off_ccd = field(|s| &mut s.off_ccd);
        let resolution = Some(joined_resolution(&mut all));
        let lost = concatenated(all.iter_mut().map(|s| std::mem::take(&mut s.lost)).collect());
        let has_column = concatenated(all.iter_mut().map(|s| std::mem::take(&mut s.has_column)).collect());
        let (mut bundles, mut stripes) = (Vec::new(), Vec::new());
        for one in all {
            bundles.extend(one.bundles);
            stripes.extend(one.stripes);
        }
        Self {
            bundles,
            nwave,
            ndiag,
            x,
            flux,
            ivar,
            resolution,
            chi2pix,
            pixmask_fraction,
            off_ccd,
            lost,
            has_column,
            stripes,
        }
    }

    /// Returns the numbers of all fields in order, to be sent: x, flux, ivar, chi2pix, pixmask_fraction, off_ccd, lost,
    /// resolution, pixels of the stripes.
    pub(crate) fn numbers(&self) -> Vec<f64> {
        let lost: Vec<f64> = self.lost.iter().map(|&lost| f64::from(u8::from(lost))).collect();
        let fields = [&self.x, &self.flux, &self.ivar, &self.chi2pix, &self.pixmask_fraction, &self.off_ccd, &lost];
        let stripes = self.stripes.iter().map(|stripe| &stripe.pixels[..]);
        // Where no patch has a solution there is none.
        let zeros = || vec![0.0; self.shape().into_iter().product()].into();
        let resolution = self.resolution.as_ref().map_or_else(zeros, RealArray::to_f64);
        fields.into_iter().map(Vec::as_slice).chain([&resolution[..]]).chain(stripes).flatten().copied().collect()
    }

    /// Builds the spectra of bundles from their numbers, with stripes of `(x0, nx)` and `ny` rows; None if they do not belong
    /// together.
    pub(crate) fn from_numbers(
        bundles: Vec<Bundle>,
        [nwave, ndiag, ny]: [usize; 3],
        stripes: &[(usize, usize)],
        numbers: &[f64],
    ) -> Option<Self> {
        let mut rest = numbers;
        let mut take = |n: usize| -> Option<Vec<f64>> {
            let (first, others) = rest.split_at_checked(n)?;
            rest = others;
            Some(first.to_vec())
        };
        let bins = bundles.iter().map(|b| b.selected.len()).sum::<usize>() * nwave;
        let [x, flux, ivar] = [take(bins)?, take(bins)?, take(bins)?];
        let [chi2pix, pixmask_fraction, off_ccd, lost] = [take(bins)?, take(bins)?, take(bins)?, take(bins)?];
        let resolution = Some(take(bins * ndiag)?.into());
        let stripe = |&(x0, nx): &(usize, usize)| Some(Stripe { x0, nx, pixels: take(ny * nx)? });
        let stripes = stripes.iter().map(stripe).collect::<Option<Vec<_>>>()?;
        let (lost, has_column) = (lost.into_iter().map(|lost| lost != 0.0).collect(), vec![true; bins]);
        let all = Self {
            bundles,
            nwave,
            ndiag,
            x,
            flux,
            ivar,
            resolution,
            chi2pix,
            pixmask_fraction,
            off_ccd,
            lost,
            has_column,
            stripes,
        };
        rest.is_empty().then_some(all)
    }

    /// The bundles.
    pub(crate) fn bundles(&self) -> &[Bundle] {
        &self.bundles
    }

    /// Takes the spectra of fibres of some bundles on the padded grid, `padding` bins of which come before the first.
    pub(super) fn add_all_rows(&mut self, of_bundles: &[(usize, Vec<FibreRow>)], padding: usize) {
        let rows = || of_bundles.iter().flat_map(|(_, rows)| rows);
        if rows().next().is_none() {
            return;
        }
        let in_f32 = rows().all(FibreRow::is_f32);
        let selected = |(k, rows): &(usize, Vec<FibreRow>)| {
            let Bundle { fibres, selected } = &self.bundles[*k];
            rows.iter().filter(|row| selected.contains(&(fibres.start + row.fibre))).count()
        };
        let fills_all = in_f32 && of_bundles.iter().map(selected).sum::<usize>() == self.shape()[0];
        self.allocate(fills_all);
        if fills_all {
            let len = self.shape().into_iter().product();
            self.resolution.get_or_insert_with(|| recycled::any::<f32>(len).into());
        }
        let mut places: Vec<Option<BundlePlaces>> = self.places(in_f32).into_iter().map(Some).collect();
        let mut place = |k: usize| places[k].take().expect("rows of a bundle come at once");
        let with_places: Vec<_> = of_bundles.iter().map(|(k, rows)| (place(*k), rows)).collect();
        with_places.into_par_iter().for_each(|(place, rows)| place.add_rows(rows, padding));
    }

    /// Takes the columns of R, zeros if no result has come.
    pub(crate) fn take_resolution(&mut self) -> RealArray {
        self.resolution_for(true);
        self.resolution.take().expect("it was made")
    }

    /// Returns the columns of R for results in f32 or others. They become f64 with the first that are.
    fn resolution_for(&mut self, in_f32: bool) -> &mut RealArray {
        let len = self.shape().into_iter().product();
        let zeros = || if in_f32 { recycled::zeros::<f32>(len).into() } else { recycled::zeros::<f64>(len).into() };
        let all = self.resolution.get_or_insert_with(zeros);
        if !in_f32 {
            all.make_f64();
        }
        all
    }

    /// Returns the places of each bundle's results, in f32 or others.
    pub(super) fn places(&mut self, in_f32: bool) -> Vec<BundlePlaces<'_>> {
        let (nwave, ndiag) = (self.nwave, self.ndiag);
        self.allocate(false);
        self.resolution_for(in_f32);
        let mut spectra = [&mut self.x, &mut self.flux, &mut self.ivar].map(|of| &mut of[..]);
        let mut goodness = [&mut self.chi2pix, &mut self.pixmask_fraction, &mut self.off_ccd].map(|of| &mut of[..]);
        let mut resolution = self.resolution.as_mut().expect("it was made").all_mut();
        let mut has_column = &mut self.has_column[..];
        let of_bundle = |bundle: &Bundle| {
            let bins = bundle.selected.len() * nwave;
            BundlePlaces {
                bundle: bundle.clone(),
                nwave,
                ndiag,
                spectra: spectra.each_mut().map(|of| first(of, bins)),
                goodness: goodness.each_mut().map(|of| first(of, bins)),
                resolution: resolution.take_first(bins * ndiag),
                has_column: first(&mut has_column, bins),
            }
        };
        self.bundles.iter().map(of_bundle).collect()
    }

    /// Whether a bin has no information: nothing of its PSF is usable, or there is no result for it.
    pub(crate) fn without_information(&self, at: usize) -> bool {
        !self.is_covered(at) || self.without_result(at)
    }

    /// Whether any of a bin's PSF is usable.
    pub(crate) fn is_covered(&self, at: usize) -> bool {
        is_usable(self.pixmask_fraction[at])
    }

    /// Whether a bin's patch has no solution, or gave numbers that a file cannot hold: infinite where rounding left none.
    pub(crate) fn without_result(&self, at: usize) -> bool {
        let values = [self.flux[at], self.ivar[at], self.x[at]];
        self.lost[at] || !values.into_iter().all(is_number)
    }
}
