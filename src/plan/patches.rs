//! Bundles of fibres cut into patches: which unknowns are solved together, from which pixels.

use crate::base::option_name::{OptionName, Remedy};
use crate::geometry::{Patch, Positions};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A division into patches that cannot be.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum PlanError {
    /// A count that must be at least 1.
    #[error("{what} is 0: give at least 1")]
    Zero {
        /// The option's name.
        what: &'static str,
    },
    /// A count beyond any use.
    #[error("{what} is {value}: give at most {MAX_COUNT}")]
    TooLarge {
        /// The option's name.
        what: &'static str,
        /// Its value.
        value: usize,
    },
    /// Patches that would take years.
    #[error(
        "patches of {fibres} fibres by {bins} bins, padding included, have {} unknowns, more than {MAX_UNKNOWNS}: {}",
        fibres * bins, Remedy::any_of(SMALLER)
    )]
    TooManyUnknowns {
        /// Fibres per patch with padding.
        fibres: usize,
        /// Bins per patch with padding.
        bins: usize,
    },
    /// A fraction outside 0 to 1.
    #[error("{what} is {value}: give a fraction from 0 to {most}")]
    Fraction {
        /// The option's name.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The largest value taken.
        most: f64,
    },
    /// No fibre is selected.
    #[error("specmin {specmin} is beyond the PSF's {nfibre} fibres: give a value below {nfibre}")]
    Specmin {
        /// First fibre requested.
        specmin: usize,
        /// Fibres of the PSF.
        nfibre: usize,
    },
    /// More fibres are selected than there are.
    #[error("specmin {specmin} plus nspec {nspec} is beyond the PSF's {nfibre} fibres: give nspec at most {}", nfibre - specmin)]
    Nspec {
        /// First fibre requested.
        specmin: usize,
        /// Number of fibres requested.
        nspec: usize,
        /// Fibres of the PSF.
        nfibre: usize,
    },
}

/// Largest bundle, patch length and padding: beyond it a number was mistyped.
const MAX_COUNT: usize = 10_000;

/// Most unknowns of a patch: the time of one grows with the cube of its bins.
const MAX_UNKNOWNS: usize = 20_000;

const SMALLER: &[Remedy] = &[Remedy::Raise(OptionName::Nsubbundles), Remedy::Lower(OptionName::Nwavestep)];

/// Fibres that a patch extracts by default, about.
const FIBRES_OF_A_PATCH: usize = 5;

/// How fibres are grouped and groups cut into patches; the defaults are the survey's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatchOptions {
    /// Fibres per bundle; None cuts where no spots overlap across the cut.
    pub bundlesize: Option<usize>,
    /// Sub-bundles per bundle, see [`PatchOptions::patch_fibres`]; None for sub-bundles of about five fibres, or one
    /// where a job finds its fibres crowded.
    pub nsubbundles: Option<usize>,
    /// Wavelength bins a patch extracts.
    pub nwavestep: usize,
    /// Bins of padding at each end of a patch.
    pub wavepad: usize,
    /// Further padding, as a fraction of `wavepad`.
    pub wavepad_frac: f64,
    /// How much of the padding bins' pixel rows are used, as a fraction.
    pub pixpad_frac: f64,
    /// The weight of full information; unknowns with a small fraction of it get a prior.
    pub weight_scale: WeightScale,
}

/// The weight that stands for full information on an unknown of a patch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WeightScale {
    /// The largest flux weight of its patch, as in the peers.
    #[default]
    Patch,
    /// The largest weight of a spot of its group, as in the banded solver.
    Group,
}

impl Default for PatchOptions {
    fn default() -> Self {
        Self {
            bundlesize: None,
            nsubbundles: None,
            nwavestep: 50,
            wavepad: 10,
            wavepad_frac: 0.2,
            pixpad_frac: 0.8,
            weight_scale: WeightScale::Patch,
        }
    }
}

impl PatchOptions {
    /// Checks that the options describe a division.
    ///
    /// # Errors
    /// [`PlanError`] of counts of 0, counts and fractions out of range, and patches that are too long.
    pub fn check(&self) -> Result<(), PlanError> {
        let given = [("bundlesize", self.bundlesize), ("nsubbundles", self.nsubbundles)];
        let given = given.into_iter().filter_map(|(what, n)| Some((what, n?)));
        let counts: Vec<(&'static str, usize)> = given.chain([("nwavestep", self.nwavestep)]).collect();
        if let Some((what, _)) = counts.iter().find(|(_, n)| *n == 0) {
            return Err(PlanError::Zero { what });
        }
        for (what, value) in counts.into_iter().chain([("wavepad", self.wavepad)]) {
            if value > MAX_COUNT {
                return Err(PlanError::TooLarge { what, value });
            }
        }
        for (what, value, most) in [("wavepad-frac", self.wavepad_frac, 10.0), ("pixpad-frac", self.pixpad_frac, 1.0)] {
            if !(0.0..=most).contains(&value) {
                return Err(PlanError::Fraction { what, value, most });
            }
        }
        self.check_patches(1)
    }

    /// Checks that the patches of a group of `nfibre` fibres can be solved.
    ///
    /// # Errors
    /// [`PlanError::TooManyUnknowns`].
    pub fn check_patches(&self, nfibre: usize) -> Result<(), PlanError> {
        // A patch has a fibre of padding to each side.
        let (fibres, bins) = ((self.patch_fibres(nfibre) + 2).min(nfibre.max(1)), self.patch_bins());
        if fibres * bins > MAX_UNKNOWNS { Err(PlanError::TooManyUnknowns { fibres, bins }) } else { Ok(()) }
    }

    /// Returns how many fibres a patch of a group of `nfibre` extracts; the last patch takes what is left. The groups of a
    /// given size have the patches of a whole one.
    pub fn patch_fibres(&self, nfibre: usize) -> usize {
        match (self.nsubbundles, self.bundlesize) {
            (Some(parts), size) => size.unwrap_or(nfibre).div_ceil(parts).min(nfibre),
            (None, _) => nfibre.div_ceil(((nfibre + FIBRES_OF_A_PATCH / 2) / FIBRES_OF_A_PATCH).max(1)),
        }
    }

    /// Bins of padding at each end of a patch, the fraction included.
    pub fn padding(&self) -> usize {
        self.wavepad + (self.wavepad as f64 * self.wavepad_frac) as usize
    }

    /// Bins of a patch with its padding.
    pub fn patch_bins(&self) -> usize {
        self.nwavestep + 2 * self.padding()
    }
}

/// The patches of one bundle that extract any of `wanted` (fibres counted from the bundle's first).
///
/// `spots` are those of the whole bundle on the grid padded by `options.padding()` bins before and
/// `padding + nwavestep` after. `nwave` is the grid's length without padding; `ccd` is (ny, nx).
pub fn patches(
    options: &PatchOptions,
    spots: &Positions,
    wanted: &Range<usize>,
    nwave: usize,
    ccd: (usize, usize),
) -> Vec<Patch> {
    let (pad, nfibre) = (options.padding(), spots.nfibre);
    let step = options.patch_fibres(nfibre);
    let mut out = Vec::new();
    for first in (0..nfibre).step_by(step) {
        let core = first..(first + step).min(nfibre);
        if core.end <= wanted.start || core.start >= wanted.end {
            continue;
        }
        let fibres = core.start.saturating_sub(1)..(core.end + 1).min(nfibre);
        for start in (0..nwave).step_by(options.nwavestep) {
            let keep = options.nwavestep.min(nwave - start);
            let mut patch = Patch {
                core: core.start - fibres.start..core.end - fibres.start,
                fibres: fibres.clone(),
                bin0: start,
                nbin: options.patch_bins(),
                core_bins: pad..pad + keep,
                rows: 0..0,
                columns: 0..0,
            };
            (patch.rows, patch.columns) = pixels(options, spots, &patch, ccd);
            out.push(patch);
        }
    }
    out
}

/// The pixel rectangle of a patch, clipped to the CCD. It has all columns of its spots, and the rows of the core
/// bins' spots, extended by `pixpad_frac` towards those of the padding. Fixed before the last patch is cut short.
fn pixels(
    options: &PatchOptions,
    spots: &Positions,
    patch: &Patch,
    ccd: (usize, usize),
) -> (Range<usize>, Range<usize>) {
    let pad = options.padding();
    let extent = |pixel: &[i32], bins: Range<usize>, half: usize| -> (i64, i64) {
        let rows = patch.fibres.clone().map(|f| &pixel[f * spots.nbin..][bins.clone()]);
        let (low, high) = rows.flatten().fold((i64::MAX, i64::MIN), |(l, h), &p| (l.min(p.into()), h.max(p.into())));
        (low - half as i64, high + half as i64 + 1)
    };
    let all = patch.bin0..patch.bin0 + patch.nbin;
    let core = patch.bin0 + pad..patch.bin0 + pad + options.nwavestep;
    let (x0, x1) = extent(spots.pixel_x, all.clone(), spots.spot.half_x);
    let (pad0, pad1) = extent(spots.pixel_y, all, spots.spot.half_y);
    let (core0, core1) = extent(spots.pixel_y, core, spots.spot.half_y);
    let below = ((core0 - pad0) as f64 * (1.0 - options.pixpad_frac)) as i64;
    let above = ((core1 - pad0) as f64 + (pad1 - core1) as f64 * options.pixpad_frac) as i64;
    let clip = |low: i64, high: i64, size: usize| {
        let low = low.clamp(0, size as i64) as usize;
        low..(high.clamp(0, size as i64) as usize).max(low)
    };
    (clip(pad0 + below, pad0 + above, ccd.0), clip(x0, x1, ccd.1))
}

/// Returns the half bandwidth of K in patches of `nspec` fibres and `nbin` bins, unknowns ordered bin by bin.
///
/// It is the largest distance of two unknowns whose spots overlap, anywhere in the bundle. So it depends neither on the
/// selection nor on the batch.
pub fn half_bandwidth(spots: &Positions, nspec: usize, nbin: usize) -> usize {
    let of_fibre = |f: usize| {
        let partners = f.saturating_sub(nspec - 1)..(f + nspec).min(spots.nfibre);
        partners.filter_map(|g| spots.reach(f, g, nbin).map(|d| (d * nspec + f).saturating_sub(g))).max().unwrap_or(0)
    };
    let widest = (0..spots.nfibre).into_par_iter().map(of_fibre).max().unwrap_or(0);
    widest.min((nspec * nbin).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::SpotShape;

    const SPOT: SpotShape = SpotShape { half_x: 8, half_y: 5, degree_x: 0, degree_y: 0, tails: false };

    /// Straight traces: fibres 7 columns apart, 1.4 rows per bin from `y0` on.
    fn positions(nfibre: usize, nbin: usize, y0: i32) -> (Vec<i32>, Vec<i32>) {
        let x = |k: usize| 20 + 7 * (k / nbin) as i32;
        let y = |k: usize| y0 + (1.4 * (k % nbin) as f64) as i32;
        ((0..nfibre * nbin).map(x).collect(), (0..nfibre * nbin).map(y).collect())
    }

    fn plan(options: &PatchOptions, nfibre: usize, wanted: Range<usize>, nwave: usize, y0: i32) -> Vec<Patch> {
        let nbin = nwave + 2 * options.padding() + options.nwavestep;
        let (pixel_x, pixel_y) = positions(nfibre, nbin, y0);
        let spots = Positions { nfibre, nbin, pixel_x: &pixel_x, pixel_y: &pixel_y, spot: SPOT };
        patches(options, &spots, &wanted, nwave, (1000, 300))
    }

    #[test]
    fn every_wanted_bin_is_in_exactly_one_core() {
        for (nfibre, nsubbundles, nwavestep, nwave) in [
            (25, 5, 50, 130),
            (23, 5, 50, 50),
            (4, 1, 7, 20),
            (25, 25, 64, 1),
            (1, 5, 50, 60),
            (7, 4, 50, 60),
            (3, 9, 50, 60),
        ] {
            let options = PatchOptions { nsubbundles: Some(nsubbundles), nwavestep, ..PatchOptions::default() };
            options.check().unwrap();
            options.check_patches(nfibre).unwrap();
            let mut seen = vec![0; nfibre * nwave];
            for patch in plan(&options, nfibre, 0..nfibre, nwave, 100) {
                assert!(patch.fibres.end <= nfibre && patch.core.end <= patch.nspec());
                for f in patch.core.clone() {
                    for b in patch.core_bins.clone() {
                        seen[(patch.fibres.start + f) * nwave + patch.bin0 + b - options.padding()] += 1;
                    }
                }
            }
            assert!(seen.iter().all(|&n| n == 1), "{nfibre} fibres by {nwavestep} bins");
        }
    }

    #[test]
    fn a_selection_does_not_change_its_patches() {
        let options = PatchOptions::default();
        let all = plan(&options, 25, 0..25, 130, 100);
        let some = plan(&options, 25, 7..8, 130, 100);
        assert_eq!(some.len(), 3);
        assert!(some.iter().all(|p| all.contains(p)));
    }

    #[test]
    fn pixels_off_the_ccd_are_cut_away_and_nothing_else() {
        let options = PatchOptions::default();
        let inside = &plan(&options, 25, 0..5, 50, 100)[0];
        assert!(inside.rows.start > 0 && inside.rows.end < 1000);
        let below = &plan(&options, 25, 0..5, 50, 100 - 170)[0];
        assert_eq!(below.rows, 0..inside.rows.end - 170);
        let outside = &plan(&options, 25, 0..5, 50, 3000)[0];
        assert_eq!(outside.npix(), 0);
    }

    #[test]
    fn half_bandwidth_is_the_distance_of_the_farthest_overlap() {
        let (pixel_x, pixel_y) = positions(25, 100, 0);
        let spots = Positions { nfibre: 25, nbin: 100, pixel_x: &pixel_x, pixel_y: &pixel_y, spot: SPOT };
        // Spots 11 rows high at 1.4 rows per bin meet 7 bins apart; 17 columns wide at 7 per fibre, 2 fibres apart.
        assert_eq!(half_bandwidth(&spots, 7, 74), 7 * 7 + 2);
        assert_eq!(half_bandwidth(&spots, 1, 74), 7);
        assert_eq!(half_bandwidth(&spots, 7, 3), 7 * 2 + 2);
    }

    #[test]
    fn options_that_describe_no_division_are_refused() {
        let zero = PatchOptions { nwavestep: 0, ..PatchOptions::default() };
        assert_eq!(zero.check(), Err(PlanError::Zero { what: "nwavestep" }));
        let long = PatchOptions { nwavestep: usize::MAX, ..PatchOptions::default() };
        assert_eq!(long.check(), Err(PlanError::TooLarge { what: "nwavestep", value: usize::MAX }));
        let heavy = PatchOptions { nsubbundles: Some(1), ..PatchOptions::default() };
        heavy.check().unwrap();
        assert_eq!(heavy.check_patches(600), Err(PlanError::TooManyUnknowns { fibres: 600, bins: 74 }));
        PatchOptions::default().check_patches(600).unwrap();
        let fraction = PatchOptions { pixpad_frac: f64::NAN, ..PatchOptions::default() };
        assert!(matches!(fraction.check(), Err(PlanError::Fraction { what: "pixpad-frac", .. })));
    }

    #[test]
    fn patches_of_a_group_have_about_five_fibres_or_those_of_the_given_division() {
        let fibres = |bundlesize, nsubbundles, group: usize| {
            PatchOptions { bundlesize, nsubbundles, ..PatchOptions::default() }.patch_fibres(group)
        };
        for (group, expected) in [(1, 1), (2, 2), (7, 7), (8, 4), (10, 5), (20, 5), (25, 5), (36, 6), (48, 5), (600, 5)]
        {
            assert_eq!(fibres(None, None, group), expected, "{group}");
        }
        assert_eq!(
            [fibres(Some(25), Some(5), 25), fibres(Some(25), Some(5), 10), fibres(Some(25), Some(1), 10)],
            [5, 5, 10]
        );
        assert_eq!([fibres(Some(25), Some(4), 25), fibres(None, Some(5), 48), fibres(Some(4), Some(5), 4)], [7, 10, 1]);
    }
}
