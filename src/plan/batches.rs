//! Batches: patches of equal shape that go through the stages together, as many as memory allows.

use crate::geometry::Patch;
use std::ops::Range;

/// Patches of one shape. What a patch gives never depends on the batch it is in.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The patches.
    pub patches: Vec<Patch>,
    /// Fibres per patch with padding.
    pub nspec: usize,
    /// The fibres each extracts, counted from its first.
    pub core: Range<usize>,
    /// Bins per patch with padding.
    pub nbin: usize,
    /// Half bandwidth of K, unknowns ordered bin by bin.
    pub half_bandwidth: usize,
}

impl Batch {
    /// Number of patches.
    pub fn len(&self) -> usize {
        self.patches.len()
    }

    /// Whether it holds no patch.
    pub fn is_empty(&self) -> bool {
        self.patches.is_empty()
    }

    /// Unknowns per patch.
    pub fn n(&self) -> usize {
        self.nspec * self.nbin
    }

    /// Elements of K per patch, in band storage.
    pub fn band_len(&self) -> usize {
        self.n() * (self.half_bandwidth + 1)
    }
}

/// Groups `patches` by shape and cuts the groups into batches of at most `most` patches.
///
/// `half_bandwidth` gives that of patches of so many fibres.
pub fn batches(
    patches: Vec<Patch>,
    half_bandwidth: impl Fn(usize) -> usize,
    most: impl Fn(&Batch) -> usize,
) -> Vec<Batch> {
    let mut groups: Vec<Batch> = Vec::new();
    for patch in patches {
        let same = |b: &&mut Batch| b.nspec == patch.nspec() && b.core == patch.core && b.nbin == patch.nbin;
        match groups.iter_mut().find(same) {
            Some(group) => group.patches.push(patch),
            None => groups.push(Batch {
                nspec: patch.nspec(),
                core: patch.core.clone(),
                nbin: patch.nbin,
                half_bandwidth: half_bandwidth(patch.nspec()),
                patches: vec![patch],
            }),
        }
    }
    let cut = |group: Batch| {
        let most = most(&group).max(1);
        let chunks: Vec<Batch> =
            group.patches.chunks(most).map(|c| Batch { patches: c.to_vec(), ..group.clone() }).collect();
        chunks
    };
    groups.into_iter().flat_map(cut).collect()
}
