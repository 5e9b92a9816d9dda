//! Which fibres are solved together: groups that no light crosses, or those of a given size and what that neglects.

use super::Options;
use super::options::TOLERANCE;
use crate::base::option_name::{OptionName, Remedy};
use crate::plan::Groups;
use crate::psf::Psf;
use crate::stages::overlap::{BRIGHT_OVER_FAINT, overlaps_across};
use std::fmt;

/// The groups of a PSF's fibres.
#[derive(Clone, Debug, PartialEq)]
pub struct Grouping {
    /// The groups.
    pub groups: Groups,
    /// Largest relative overlap of spots across a cut.
    pub overlap: f64,
    /// The worst cut through overlapping fibres that a given size makes.
    pub forced: Option<ForcedCut>,
}

/// A cut through overlapping fibres. Its message is a sentence with the remedy.
#[derive(Clone, Debug, PartialEq)]
pub struct ForcedCut {
    /// The fibre after the cut, a row of the PSF.
    pub fibre: usize,
    /// Cuts through overlapping fibres in all.
    pub count: usize,
    /// The given size.
    pub size: usize,
    /// Relative overlap of spots across the cut.
    pub overlap: f64,
    /// The largest that the tolerance allows.
    pub allowed: f64,
    /// The groups that fit.
    pub fitting: Groups,
}

/// Returns the largest relative overlap across a cut that keeps to the tolerance.
fn allowed(options: &Options) -> f64 {
    options.tolerance.unwrap_or(TOLERANCE) / BRIGHT_OVER_FAINT
}

/// Returns the groups of the options' size, or those that the PSF asks for.
pub(crate) fn grouping(psf: &Psf, options: &Options) -> Grouping {
    let allowed = allowed(options);
    let largest = |groups: &Groups, across: &[f64]| groups.cuts().iter().map(|&cut| across[cut]).fold(0.0, f64::max);
    let fitting = || {
        let across = overlaps_across(psf, options.psf_tails, |_| true, allowed);
        let groups = Groups::new(psf.nfibre, |cut| across[cut] <= allowed);
        let overlap = largest(&groups, &across);
        (groups, overlap)
    };
    let Some(size) = options.patches.bundlesize else {
        let (groups, overlap) = fitting();
        return Grouping { groups, overlap, forced: None };
    };
    let groups = Groups::of_size(psf.nfibre, size);
    let across = overlaps_across(psf, options.psf_tails, |cut| cut.is_multiple_of(size), allowed);
    let bad = || groups.cuts().iter().copied().filter(|&cut| across[cut] > allowed);
    let worst = bad().max_by(|&a, &b| across[a].total_cmp(&across[b]));
    let forced = worst.map(|fibre| ForcedCut {
        fibre,
        count: bad().count(),
        size,
        overlap: across[fibre],
        allowed,
        fitting: fitting().0,
    });
    Grouping { overlap: largest(&groups, &across), groups, forced }
}

impl ForcedCut {
    /// Returns the fact without the remedy.
    pub fn fact(&self) -> String {
        let Self { fibre, count, size, overlap, allowed, .. } = self;
        let others = if *count > 1 { format!(", and at {} other places", count - 1) } else { String::new() };
        format!(
            "bundles of {size} cut between fibres {} and {fibre}, whose spots overlap by {overlap:.1e}{others}, where \
             {allowed:.1e} keeps to the tolerance",
            fibre - 1
        )
    }
}

impl fmt::Display for ForcedCut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, fitting) = (OptionName::Bundlesize, &self.fitting);
        write!(f, "{}: spectra beside a cut are biased; ", self.fact())?;
        match fitting.size() {
            Some(fits) => write!(f, "{name} {fits} fits, or {}", Remedy::Set(name, "auto")),
            None => write!(f, "{} fits, groups of {fitting}", Remedy::Set(name, "auto")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::PatchOptions;
    use crate::simulate::synthetic::Synthetic;

    fn of(psf: &Psf, bundlesize: Option<usize>) -> Grouping {
        let patches = PatchOptions { bundlesize, ..PatchOptions::default() };
        grouping(psf, &Options { patches, ..Options::default() })
    }

    fn psf(parameters: Synthetic) -> Psf {
        Synthetic { npix_y: Some(400), ..parameters }.build().unwrap()
    }

    /// Groups of 5, 1 and 6 fibres.
    fn unequal() -> Psf {
        let mut psf = psf(Synthetic { nfibre: 12, bundlesize: 12, npix_x: Some(260), ..Synthetic::default() });
        psf.update(|parts| {
            let ncoeff = parts.trace_x.ncoeff;
            (0..5).for_each(|fibre| parts.trace_x.coeff[fibre * ncoeff] -= 25.0);
            (6..12).for_each(|fibre| parts.trace_x.coeff[fibre * ncoeff] += 25.0);
        })
        .unwrap();
        psf
    }

    #[test]
    fn groups_end_where_no_spots_overlap() {
        assert_eq!(of(&psf(Synthetic { nfibre: 60, ..Synthetic::default() }), None).groups.to_string(), "2x25,10");
        let close =
            Synthetic { nfibre: 48, bundlesize: 48, spacing: 4.0, sigma_x: 1.1, half_x: 6, ..Synthetic::default() };
        assert_eq!(of(&psf(close), None).groups.to_string(), "48");
        let apart = Synthetic { nfibre: 7, bundlesize: 1, bundle_gap: 30.0, ..Synthetic::default() };
        assert_eq!(of(&psf(apart), None).groups.to_string(), "7x1");
        let found = of(&unequal(), None);
        assert_eq!((found.groups.to_string().as_str(), found.forced), ("5,1,6", None));
    }

    #[test]
    fn an_overlap_at_one_end_of_the_traces_or_in_any_order_of_the_fibres_counts() {
        let mut tilted = unequal();
        // Fibre 5 comes within 8 pixels of fibre 4 at the upper end of the CCD.
        tilted
            .update(|parts| {
                let ncoeff = parts.trace_x.ncoeff;
                (0..2).for_each(|term| parts.trace_x.coeff[5 * ncoeff + term] -= 12.0);
            })
            .unwrap();
        assert_eq!(of(&tilted, None).groups.to_string(), "2x6");
        let mut turned = unequal();
        turned
            .update(|parts| {
                let ncoeff = parts.trace_x.ncoeff;
                let x: Vec<f64> = parts.trace_x.coeff.clone();
                (0..12).for_each(|f| {
                    parts.trace_x.coeff[f * ncoeff..][..ncoeff].copy_from_slice(&x[(11 - f) * ncoeff..][..ncoeff])
                });
            })
            .unwrap();
        assert_eq!(of(&turned, None).groups.to_string(), "6,1,5");
    }

    #[test]
    fn a_finer_tolerance_allows_less_overlap() {
        let psf = psf(Synthetic { nfibre: 4, bundlesize: 2, bundle_gap: 12.0, ..Synthetic::default() });
        let groups = |tolerance| {
            let options = Options { tolerance: Some(tolerance), ..Options::default() };
            grouping(&psf, &options).groups.to_string()
        };
        assert_eq!((groups(1e-2).as_str(), groups(1e-8).as_str()), ("2x2", "4"));
    }

    #[test]
    fn a_forced_cut_through_overlapping_fibres_names_them_and_the_size_that_fits() {
        let close = psf(Synthetic {
            nfibre: 48,
            bundlesize: 48,
            spacing: 4.0,
            sigma_x: 1.1,
            half_x: 6,
            ..Synthetic::default()
        });
        let found = of(&close, Some(25));
        let forced = found.forced.unwrap();
        assert_eq!((found.groups.to_string().as_str(), forced.fibre, forced.count), ("25,23", 25, 1));
        assert!((0.01..0.2).contains(&forced.overlap), "{}", forced.overlap);
        let sentence = forced.to_string();
        assert!(
            sentence.starts_with("bundles of 25 cut between fibres 24 and 25, whose spots overlap by"),
            "{sentence}"
        );
        assert!(sentence.ends_with("bundlesize 48 fits, or bundlesize auto"), "{sentence}");
        assert_eq!(of(&unequal(), Some(3)).forced.unwrap().count, 2);
        assert_eq!(of(&close, Some(48)).forced, None);
        assert_eq!(of(&close, Some(1000)).forced, None);
        let desi = psf(Synthetic { nfibre: 50, ..Synthetic::default() });
        assert_eq!(of(&desi, Some(25)).forced, None);
        assert_eq!(of(&desi, Some(20)).forced.unwrap().count, 2);
    }
}
