//! Fibres next to those that are eliminated, and what elimination has added to their blocks.

use super::chunks::transpose_block;
use crate::stages::simd::Octet;
use std::sync::Arc;

/// Terms that eliminated fibres add to one fibre's K and y, in all chunks.
#[derive(Clone)]
pub(super) struct Term {
    /// A_aa, `[row, B + 1]`: element d of row i is A_aa[i + d, i].
    pub(super) band: Vec<Octet>,
    /// Their part of y_a.
    pub(super) reduced: Vec<Octet>,
}

/// Terms that eliminated fibres add to those next to them. None is zero. Fronts share terms that they have in common.
#[derive(Clone)]
pub(super) struct Front {
    pub(super) fibres: Vec<usize>,
    pub(super) own: Vec<Option<Arc<Term>>>,
    /// A_ab for a > b, at a (a - 1) / 2 + b: `[row, 2 fill + 1]`, element d of row i is A_ab[i, i + d - fill].
    pub(super) cross: Vec<Option<Arc<Vec<Octet>>>>,
}

impl Front {
    /// No fibre is eliminated.
    pub(super) fn new(fibres: impl Iterator<Item = usize>) -> Self {
        let mut front = Self { fibres: vec![], own: vec![], cross: vec![] };
        fibres.for_each(|fibre| front.push(fibre));
        front
    }

    pub(super) fn push(&mut self, fibre: usize) {
        self.cross.extend(self.fibres.iter().map(|_| None));
        self.fibres.push(fibre);
        self.own.push(None);
    }

    /// Returns the front with one more fibre, which no fibre eliminated overlaps.
    pub(super) fn with(&self, fibre: usize) -> Self {
        let mut front = self.clone();
        front.push(fibre);
        front
    }

    /// A_ab of different fibres, counted from the front's first: the block and whether it is to be transposed.
    pub(super) fn block(&self, a: usize, b: usize) -> Option<(&[Octet], bool)> {
        let (high, low) = (a.max(b), a.min(b));
        self.cross[high * (high - 1) / 2 + low].as_ref().map(|block| (&block[..], a < b))
    }

    /// Adds what fibres on the other side leave of the same fibres, which are counted from the other end there.
    pub(super) fn joined(&self, other: &Self, fill: usize) -> Self {
        let mut front = self.clone();
        let last = self.fibres.len() - 1;
        for a in 0..=last {
            front.own[a] = match (front.own[a].take(), &other.own[last - a]) {
                (Some(own), Some(more)) => {
                    let mut own = Arc::unwrap_or_clone(own);
                    own.band.iter_mut().zip(&more.band).for_each(|(own, more)| own.add(more));
                    own.reduced.iter_mut().zip(&more.reduced).for_each(|(own, more)| own.add(more));
                    Some(Arc::new(own))
                }
                (own, more) => own.or_else(|| more.clone()),
            };
            for b in 0..a {
                let more = other.cross_rows(last - a, last - b, fill);
                let own = &mut front.cross[a * (a - 1) / 2 + b];
                match (own, more) {
                    (Some(own), Some(more)) => {
                        Arc::make_mut(own).iter_mut().zip(&more).for_each(|(own, more)| own.add(more));
                    }
                    (own, Some(more)) => *own = Some(Arc::new(more)),
                    (_, None) => {}
                }
            }
        }
        front
    }

    /// The rows of A_ab.
    pub(super) fn cross_rows(&self, a: usize, b: usize, fill: usize) -> Option<Vec<Octet>> {
        let (block, transposed) = self.block(a, b)?;
        if !transposed {
            return Some(block.to_vec());
        }
        let mut rows = vec![];
        transpose_block(block, fill, &mut rows);
        Some(rows)
    }
}
