//! Eight runs of numbers as lanes of octets, and back.

use crate::stages::simd::{Kernel, Octet, Simd};
use std::ops::Range;

/// Makes each of eight runs a lane of `to`: all are as long as it.
#[inline(always)]
pub(super) fn interleave<S: Simd>(simd: S, from: &[&[f64]; 8], to: &mut [Octet]) {
    let n = to.len();
    if n < 8 {
        for (k, octet) in to.iter_mut().enumerate() {
            for lane in 0..8 {
                octet.0[lane] = from[lane][k];
            }
        }
        return;
    }
    // The last eight begin wherever they must.
    for k in (0..n / 8 * 8).step_by(8).chain((!n.is_multiple_of(8)).then(|| n - 8)) {
        let mut runs = [Octet::default(); 8];
        for lane in 0..8 {
            let run = from[lane][k..].first_chunk().expect("eight numbers");
            simd.store(simd.load_anywhere(run), &mut runs[lane]);
        }
        let lanes = simd.transpose(&runs);
        for (lanes, octet) in lanes.into_iter().zip(&mut to[k..k + 8]) {
            simd.store(lanes, octet);
        }
    }
}

/// Makes each lane of `from` a run of numbers: all are as long as it.
#[inline(always)]
pub(super) fn separate<S: Simd>(simd: S, from: &[Octet], to: &mut [&mut [f64]; 8]) {
    let n = from.len();
    if n < 8 {
        for (k, octet) in from.iter().enumerate() {
            for lane in 0..8 {
                to[lane][k] = octet.0[lane];
            }
        }
        return;
    }
    for k in (0..n / 8 * 8).step_by(8).chain((!n.is_multiple_of(8)).then(|| n - 8)) {
        let runs = simd.transpose(from[k..].first_chunk().expect("eight octets"));
        for lane in 0..8 {
            simd.store_anywhere(runs[lane], to[lane][k..].first_chunk_mut().expect("eight numbers"));
        }
    }
}

/// Makes a part of each of up to eight runs a lane of `to`; lanes without a run are 0.
#[inline(always)]
pub(super) fn interleave_part<S: Simd>(simd: S, from: &[Vec<f64>], part: Range<usize>, to: &mut Vec<Octet>) {
    to.resize(part.len(), Octet::default());
    let none = if from.len() < 8 { vec![0.0; part.len()] } else { vec![] };
    let mut runs: [&[f64]; 8] = [&none; 8];
    for lane in 0..from.len() {
        runs[lane] = &from[lane][part.clone()];
    }
    interleave(simd, &runs, to);
}

/// Up to eight runs of numbers to be made lanes; lanes without a run are 0.
pub(super) struct Interleave<'a>(pub(super) &'a [Vec<f64>]);

impl Kernel for Interleave<'_> {
    type Output = Vec<Octet>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Vec<Octet> {
        let mut to = vec![];
        interleave_part(simd, self.0, 0..self.0.first().map_or(0, Vec::len), &mut to);
        to
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::simd::on_each;

    /// Numbers there and back.
    #[derive(Clone)]
    struct Both(Vec<Vec<f64>>);

    impl Kernel for Both {
        type Output = (Vec<Octet>, Vec<Vec<f64>>);

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Self::Output {
            let n = self.0[0].len();
            let octets = Interleave(&self.0).run(simd);
            let mut back = vec![vec![0.0; n]; 8];
            let mut to = back.iter_mut();
            separate(simd, &octets, &mut std::array::from_fn(|_| &mut to.next().expect("eight runs")[..]));
            (octets, back)
        }
    }

    #[test]
    fn runs_become_lanes_and_lanes_runs_whatever_their_length() {
        for (n, nruns) in [(1, 8), (7, 3), (8, 8), (15, 8), (23, 5)] {
            let runs: Vec<Vec<f64>> = (0..nruns).map(|r| (0..n).map(|k| (100 * r + k + 1) as f64).collect()).collect();
            for (octets, back) in on_each(&Both(runs.clone())) {
                for (k, octet) in octets.iter().enumerate() {
                    let expected = std::array::from_fn(|lane| runs.get(lane).map_or(0.0, |run| run[k]));
                    assert_eq!(octet.0, expected, "{k} of {n}");
                }
                assert_eq!(back[..nruns], runs);
            }
        }
    }
}
