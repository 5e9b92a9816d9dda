//! Schur complements S_f = K_ff - K_fo K_oo^-1 K_of of chosen fibres, o all other fibres of the patch.
//!
//! S_f is the inverse of the fibre's block of K^-1 (BS10 eq. 16), formed without inverting: what is small in S_f is large
//! in K^-1 and would swamp the rest. The unknowns are reordered: others first and wavelength-major (still a band), the fibre
//! last (a border whose rows start at their first coupled column). Factoring the others' part leaves S_f.

use super::cholesky::{Layout, NonPositivePivot, ShapeError, Status, power_of_two_scale};
use super::simd::dispatch;
use super::skyline::{BadPivot, Factor, Skyline, TILE};
use rayon::prelude::*;

/// Which fibre of which patch of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Index of the patch in the batch.
    pub patch: usize,
    /// Index of the fibre in the patch, below nspec.
    pub fibre: usize,
}

/// Computes S_f for each block. `matrices` is a batch of K in `layout`, their n = nspec nbin unknowns ordered
/// wavelength-major, i = bin nspec + fibre. `out` is `[blocks, nbin, nbin]`, exactly symmetric. Returns one status per block:
/// a pivot that is not positive names the patch and its unknown i, and leaves that S_f as it was.
pub fn schur(
    layout: Layout,
    matrices: &[f64],
    nspec: usize,
    blocks: &[Block],
    out: &mut [f64],
) -> Result<Vec<Status>, ShapeError> {
    let batch = layout.batch(matrices.len())?;
    if nspec == 0 || !layout.n().is_multiple_of(nspec) {
        return Err(ShapeError::Fibres { n: layout.n(), nspec });
    }
    for &Block { patch, fibre } in blocks {
        if patch >= batch {
            return Err(ShapeError::Index { what: "patch", found: patch, count: batch });
        }
        if fibre >= nspec {
            return Err(ShapeError::Index { what: "fibre", found: fibre, count: nspec });
        }
    }
    let nbin = layout.n() / nspec;
    let expected = blocks.len() * nbin * nbin;
    if out.len() != expected {
        return Err(ShapeError::Output { found: out.len(), expected });
    }
    let each = |work: &mut Workspace, (&block, out): (&Block, &mut [f64])| {
        let patch = Patch { layout, matrix: &matrices[block.patch * layout.len()..][..layout.len()], nspec, nbin };
        patch.complement(work, block.fibre, out).map_err(|(index, pivot)| NonPositivePivot {
            matrix: block.patch,
            index,
            pivot,
        })
    };
    let work = blocks.par_iter().zip(out.par_chunks_exact_mut(nbin * nbin));
    Ok(work.map_init(Workspace::default, each).collect())
}

/// One thread's reordered matrix, scaled to a diagonal in [1, 4).
#[derive(Default)]
struct Workspace {
    skyline: Skyline,
    first_columns: Vec<usize>,
    /// Row of each unknown of K in the new order.
    place: Vec<usize>,
    /// Scale of each unknown of K.
    scale: Vec<f64>,
}

struct Patch<'a> {
    layout: Layout,
    matrix: &'a [f64],
    nspec: usize,
    nbin: usize,
}

impl Patch<'_> {
    fn complement(&self, work: &mut Workspace, fibre: usize, out: &mut [f64]) -> Result<(), BadPivot> {
        let border = (self.layout.n() - self.nbin).next_multiple_of(TILE);
        self.load(work, fibre, border);
        let Workspace { skyline, place, scale, .. } = work;
        dispatch(Factor { matrix: skyline, leading: border / TILE }).map_err(|(row, pivot)| {
            let index = place.iter().position(|&new| new == row).expect("rows that fill up a strip have pivot 1");
            (index, pivot / (scale[index] * scale[index]))
        })?;
        for i in 0..self.nbin {
            for j in 0..=i {
                let scales = scale[i * self.nspec + fibre] * scale[j * self.nspec + fibre];
                let value = skyline.at(border + i, border + j) / scales;
                out[i * self.nbin + j] = value;
                out[j * self.nbin + i] = value;
            }
        }
        Ok(())
    }

    /// Fills the workspace with K, the fibre's rows starting at `border`.
    fn load(&self, work: &mut Workspace, fibre: usize, border: usize) {
        let Workspace { skyline, first_columns, place, scale } = work;
        place.clear();
        scale.clear();
        first_columns.clear();
        // All of S is wanted, so all of it is under the skyline.
        first_columns.resize((border + self.nbin).next_multiple_of(TILE), border);
        // Others before each unknown: its own place if it is one of them, else that of the next.
        let others_before =
            |i: usize| i / self.nspec * (self.nspec - 1) + i % self.nspec - usize::from(i % self.nspec > fibre);
        for i in 0..self.layout.n() {
            place.push(if i % self.nspec == fibre { border + i / self.nspec } else { others_before(i) });
            scale.push(power_of_two_scale(self.matrix[self.layout.index(i, i)]));
            first_columns[place[i]] = others_before(self.layout.first_nonzero(self.matrix, i));
        }
        skyline.reshape(first_columns);
        for i in 0..self.layout.n() {
            let first = self.layout.first_nonzero(self.matrix, i);
            for (j, value) in (first..).zip(self.layout.row_from(self.matrix, i, first)) {
                let (row, column) = (place[i].max(place[j]), place[i].min(place[j]));
                *skyline.at_mut(row, column) = value * scale[i] * scale[j];
            }
        }
        let others = self.layout.n() - self.nbin;
        for filler in (others..border).chain(border + self.nbin..first_columns.len()) {
            *skyline.at_mut(filler, filler) = 1.0;
        }
    }
}
