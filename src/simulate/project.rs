//! Projection of spectra onto the CCD: every bin's electrons, spread over its spot.

use crate::psf::Psf;
use crate::stages::spots::SpotModel;
use crate::stages::traces::traces;
use rayon::prelude::*;
use std::ops::Range;

/// Fibres per strip. Strips are made in parallel and added in order, so that sums do not depend on threads.
const STRIP: usize = 25;

/// Some columns of the CCD, `[npix_y, width]`, from column `first` on.
struct Strip {
    first: usize,
    width: usize,
    pixels: Vec<f64>,
}

/// Projects spectra onto the CCD: returns the image `[npix_y, npix_x]` in electron.
///
/// `flux` is `[fibres, wave]` in electron per bin, `wave` in Angstrom, `fibres` are rows of the PSF. Light off the CCD
/// is lost. `tails` adds the PSF's power-law tails.
pub fn project(psf: &Psf, fibres: Range<usize>, wave: &[f64], flux: &[f64], tails: bool) -> Vec<f64> {
    let (nx, ny) = (psf.npix_x, psf.npix_y);
    let starts: Vec<usize> = fibres.clone().step_by(STRIP).collect();
    let strips: Vec<Strip> = starts
        .into_par_iter()
        .map(|start| {
            let strip = start..fibres.end.min(start + STRIP);
            let rows = (start - fibres.start) * wave.len()..(strip.end - fibres.start) * wave.len();
            project_strip(psf, strip, wave, &flux[rows], tails)
        })
        .collect();
    let mut image = vec![0.0; nx * ny];
    image.par_chunks_mut(nx).enumerate().for_each(|(y, row)| {
        for s in &strips {
            let from = &s.pixels[y * s.width..(y + 1) * s.width];
            let to = &mut row[s.first..s.first + s.width];
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        }
    });
    image
}

fn project_strip(psf: &Psf, fibres: Range<usize>, wave: &[f64], flux: &[f64], tails: bool) -> Strip {
    let model = SpotModel::new(psf, tails);
    let shape = model.shape();
    let (half_x, half_y) = (shape.half_x as i32, shape.half_y as i32);
    let columns = {
        let all = traces(psf, fibres.clone(), wave, false).pixel_x;
        let clip = |x: i32| x.clamp(0, psf.npix_x as i32) as usize;
        let low = all.iter().min().map_or(0, |x| clip(x - half_x));
        let high = all.iter().max().map_or(0, |x| clip(x + half_x + 1));
        low..high.max(low)
    };
    let width = columns.len();
    let mut pixels = vec![0.0; width * psf.npix_y];
    for (fibre, flux) in fibres.zip(flux.chunks(wave.len().max(1))) {
        let t = traces(psf, fibre..fibre + 1, wave, tails);
        for (bin, spot) in model.spots(&t).chunks(shape.size()).enumerate() {
            for (dy, profile) in spot.chunks(shape.nx()).enumerate() {
                let y = t.pixel_y[bin] - half_y + dy as i32;
                if flux[bin] == 0.0 || y < 0 || y >= psf.npix_y as i32 {
                    continue;
                }
                let row = &mut pixels[y as usize * width..(y as usize + 1) * width];
                let corner = t.pixel_x[bin] - half_x - columns.start as i32;
                for (dx, p) in profile.iter().enumerate() {
                    if let Some(pixel) = row.get_mut((corner + dx as i32) as usize) {
                        *pixel += flux[bin] * p;
                    }
                }
            }
        }
    }
    Strip { first: columns.start, width, pixels }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::synthetic::Synthetic;

    #[test]
    fn image_holds_all_electrons_of_bins_on_the_ccd() {
        let psf = Synthetic { nfibre: 52, npix_y: Some(400), ..Synthetic::default() }.build().unwrap();
        let middle = 0.5 * (psf.wave_min + psf.wave_max);
        let wave: Vec<f64> = (0..40).map(|k| middle + 0.8 * k as f64).collect();
        let flux: Vec<f64> = (0..52 * 40).map(|k| 1.0 + (k % 17) as f64).collect();
        let image = project(&psf, 0..52, &wave, &flux, false);
        let (seen, sent): (f64, f64) = (image.iter().sum(), flux.iter().sum());
        assert!((seen / sent - 1.0).abs() < 1e-12, "{seen} of {sent}");
    }

    #[test]
    fn electrons_off_the_ccd_are_lost_and_wrap_nowhere() {
        let psf = Synthetic { nfibre: 3, npix_y: Some(400), ..Synthetic::default() }.build().unwrap();
        let image = project(&psf, 0..3, &[psf.wave_min - 60.0], &[1e6; 3], false);
        assert!(image.iter().all(|&p| p == 0.0));
        let edge = (0..400).map(|k| psf.wave_min + 0.2 * k as f64).find(|&w| {
            let t = traces(&psf, 1..2, &[w], false);
            t.pixel_y[0] == 0
        });
        let kept: f64 = project(&psf, 1..2, &[edge.unwrap()], &[1000.0], false).iter().sum();
        assert!((300.0..800.0).contains(&kept), "{kept} of 1000 electrons at the edge");
    }

    #[test]
    fn a_selection_of_fibres_makes_its_own_part_of_the_image() {
        let psf = Synthetic { nfibre: 60, npix_y: Some(200), ..Synthetic::default() }.build().unwrap();
        let wave: Vec<f64> = (0..20).map(|k| psf.wave_min + 30.0 + 0.8 * k as f64).collect();
        let flux: Vec<f64> = (0..60 * 20).map(|k| 10.0 + (k % 7) as f64).collect();
        let all = project(&psf, 0..60, &wave, &flux, false);
        let low = project(&psf, 0..33, &wave, &flux[..33 * 20], false);
        let high = project(&psf, 33..60, &wave, &flux[33 * 20..], false);
        for ((all, low), high) in all.iter().zip(&low).zip(&high) {
            assert!((all - low - high).abs() <= 1e-12 * all.abs());
        }
    }
}
