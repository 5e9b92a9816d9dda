//! Pixels with light of fibres that a frame leaves out: its model lacks it.

use crate::fit::groups;
use crate::psf::Psf;
use crate::stages::legendre::{legendre, unit};
use std::ops::Range;

/// Distance from a trace across the dispersion from which on a fibre's light is lost in noise, in units of its width.
const FAR: f64 = 4.5;

/// Marks the pixels near fibres that are not `selected` (rows of the PSF) but share light with some that are; `[ny, nx]` as in
/// files. None if there are no such fibres.
pub(super) fn near_others(psf: &Psf, selected: &Range<usize>) -> Option<Vec<bool>> {
    let is_partly = |group: &Range<usize>| group.start < selected.end && selected.start < group.end;
    let others: Vec<usize> =
        groups(psf, None).into_iter().filter(is_partly).flatten().filter(|fibre| !selected.contains(fibre)).collect();
    if others.is_empty() {
        return None;
    }
    let mut marks = vec![false; psf.npix_x * psf.npix_y];
    let [nx, _] = psf.dispersion.in_file([psf.npix_x, psf.npix_y]);
    // Two places per row.
    let places = 2 * psf.npix_y;
    let step = (psf.wave_max - psf.wave_min) / places as f64;
    for fibre in others {
        for k in 0..=places {
            let wave = psf.wave_min + k as f64 * step;
            let [x, y, sigma] = [&psf.trace_x, &psf.trace_y, &psf.sigma_x]
                .map(|series| legendre(series.of(fibre), unit(series.domain, wave)));
            // Numbers beyond usize become its ends, and NaN 0.
            let columns = (x - FAR * sigma).ceil() as usize..((x + FAR * sigma).floor() + 1.0) as usize;
            let row = y.round();
            if row < 0.0 || row >= psf.npix_y as f64 {
                continue;
            }
            for column in columns.start..columns.end.min(psf.npix_x) {
                let [column, row] = psf.dispersion.in_file([column, row as usize]);
                marks[row * nx + column] = true;
            }
        }
    }
    Some(marks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::synthetic::Synthetic;

    #[test]
    fn light_of_the_rest_of_a_bundle_is_marked_and_that_of_others_is_not() {
        let psf = Synthetic { nfibre: 10, bundlesize: 5, npix_y: Some(200), ..Synthetic::default() }.build().unwrap();
        assert_eq!(near_others(&psf, &(0..10)), None);
        assert_eq!(near_others(&psf, &(5..10)), None);
        let marks = near_others(&psf, &(1..2)).unwrap();
        let is_marked = |fibre: usize| {
            let wave = 0.5 * (psf.wave_min + psf.wave_max);
            let [x, y] =
                [&psf.trace_x, &psf.trace_y].map(|of| legendre(of.of(fibre), unit(of.domain, wave)).round() as usize);
            marks[y * psf.npix_x + x]
        };
        assert_eq!([0, 1, 2, 4, 5, 9].map(is_marked), [true, false, true, true, false, false]);
    }
}
