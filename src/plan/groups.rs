//! Groups of fibres: which fibres are solved together, and those of them that are selected.

use super::PlanError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// Groups of consecutive fibres that cover a PSF. They do not depend on the selection of fibres.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    /// First fibre of every group but the first, ascending.
    cuts: Vec<usize>,
    nfibre: usize,
}

impl Groups {
    /// Cuts `nfibre` fibres before every fibre that `is_cut` names.
    pub fn new(nfibre: usize, is_cut: impl Fn(usize) -> bool) -> Self {
        Self { cuts: (1..nfibre).filter(|&fibre| is_cut(fibre)).collect(), nfibre }
    }

    /// Cuts `nfibre` fibres into groups of `size`, of which the last may be short.
    pub fn of_size(nfibre: usize, size: usize) -> Self {
        Self::new(nfibre, |fibre| fibre.is_multiple_of(size))
    }

    /// Builds consecutive groups of the given sizes.
    pub fn of_sizes(sizes: &[usize]) -> Self {
        let ends = sizes.iter().scan(0, |end, size| {
            *end += size;
            Some(*end)
        });
        let mut cuts: Vec<usize> = ends.collect();
        let nfibre = cuts.pop().unwrap_or(0);
        Self { cuts, nfibre }
    }

    /// The first fibre of every group but the first.
    pub fn cuts(&self) -> &[usize] {
        &self.cuts
    }

    /// The fibres of every group.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let starts = [0].into_iter().chain(self.cuts.iter().copied());
        starts.zip(self.cuts.iter().copied().chain([self.nfibre])).map(|(start, end)| start..end)
    }

    /// Returns the size that gives these groups; None for groups of unequal sizes.
    pub fn size(&self) -> Option<usize> {
        let size = self.cuts.first().copied().unwrap_or(self.nfibre);
        (size > 0 && *self == Self::of_size(self.nfibre, size)).then_some(size)
    }
}

/// Sizes in their order, "20x25" or "2x36,30".
impl fmt::Display for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: Vec<usize> = self.ranges().map(|fibres| fibres.len()).collect();
        let equal = sizes.chunk_by(|a, b| a == b).map(|run| match run.len() {
            1 => run[0].to_string(),
            n => format!("{n}x{}", run[0]),
        });
        f.write_str(&equal.collect::<Vec<_>>().join(","))
    }
}

/// A group of which at least one fibre is selected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bundle {
    /// All fibres of the group, rows of the PSF.
    pub fibres: Range<usize>,
    /// The selected ones among them, rows of the PSF.
    pub selected: Range<usize>,
}

impl fmt::Display for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fibres {} to {}", self.selected.start, self.selected.end - 1)
    }
}

/// Returns the groups that hold fibres `specmin..specmin + nspec`.
///
/// # Errors
/// [`PlanError::Specmin`], [`PlanError::Nspec`] and [`PlanError::Zero`] of a selection that is empty or reaches beyond the PSF.
pub fn bundles(groups: &Groups, specmin: usize, nspec: usize) -> Result<Vec<Bundle>, PlanError> {
    let nfibre = groups.nfibre;
    if specmin >= nfibre {
        return Err(PlanError::Specmin { specmin, nfibre });
    }
    if nspec == 0 {
        return Err(PlanError::Zero { what: "nspec" });
    }
    let end = specmin.checked_add(nspec).filter(|&e| e <= nfibre).ok_or(PlanError::Nspec { specmin, nspec, nfibre })?;
    let bundle = |fibres: Range<usize>| {
        let selected = specmin.max(fibres.start)..end.min(fibres.end);
        (selected.start < selected.end).then_some(Bundle { fibres, selected })
    };
    Ok(groups.ranges().filter_map(bundle).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles_are_absolute_and_the_last_may_be_short() {
        let found = bundles(&Groups::of_size(60, 25), 20, 35).unwrap();
        let expected = [(0..25, 20..25), (25..50, 25..50), (50..60, 50..55)];
        assert_eq!(found, expected.map(|(fibres, selected)| Bundle { fibres, selected }));
    }

    #[test]
    fn a_selection_beyond_the_psf_is_refused() {
        let bundles = |specmin, nspec| bundles(&Groups::of_size(25, 25), specmin, nspec);
        assert_eq!(bundles(25, 1), Err(PlanError::Specmin { specmin: 25, nfibre: 25 }));
        assert_eq!(bundles(20, 6), Err(PlanError::Nspec { specmin: 20, nspec: 6, nfibre: 25 }));
        assert_eq!(bundles(1, usize::MAX), Err(PlanError::Nspec { specmin: 1, nspec: usize::MAX, nfibre: 25 }));
        assert_eq!(bundles(0, 0), Err(PlanError::Zero { what: "nspec" }));
    }

    #[test]
    fn sizes_are_written_short_and_an_equal_one_is_known() {
        for (groups, text, size) in [
            (Groups::of_size(500, 25), "20x25", Some(25)),
            (Groups::of_size(60, 25), "2x25,10", Some(25)),
            (Groups::of_size(48, 100), "48", Some(48)),
            (Groups::of_size(3, 1), "3x1", Some(1)),
            (Groups::new(10, |fibre| fibre == 3 || fibre == 7), "3,4,3", None),
        ] {
            assert_eq!((groups.to_string().as_str(), groups.size()), (text, size));
            assert_eq!(Groups::of_sizes(&groups.ranges().map(|fibres| fibres.len()).collect::<Vec<_>>()), groups);
        }
    }
}
