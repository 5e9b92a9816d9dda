//! Images of a chunk's spectra, kept from round to round: spots that hardly move follow their derivatives.

use super::bundle::Field;
use super::chunk::{Chunk, Spectrum};
use super::spectrum::{Light, Sampling, light};
use std::ops::Range;

/// Displacements, pixels, and changes of ln width that images follow to first order: what is left out is 1e-5 of the peak of a spot.
const FOLLOWED: f64 = 4e-3;

/// The images of a chunk, of every fibre of the field.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub lights: Vec<Light>,
    origins: Vec<Origin>,
    /// Whether the last round made any of them.
    pub new: bool,
}

/// The spots that an image is made of.
#[derive(Debug)]
struct Origin {
    spectrum: Spectrum,
    /// Lines of the chunk.
    lines: usize,
    /// dx, dy, ln sigma x and ln sigma y as it was made, and as it is now.
    made: [f64; 4],
    now: [f64; 4],
}

impl Kept {
    /// Brings the images to coefficients, or makes them where spots have moved too far, or spectra are of another kind.
    pub fn renew(&mut self, field: &Field, chunk: &Chunk, coeff: &[f64], rows: &Range<usize>) {
        let mut sampling = None;
        self.new = false;
        for fibre in 0..field.fibres.len() {
            let (spectrum, lines) = (chunk.spectra[fibre], chunk.lines.len());
            let change = field.change(coeff, fibre, chunk.middle());
            if let (Some(origin), Some(light)) = (self.origins.get_mut(fibre), self.lights.get_mut(fibre)) {
                let near = (0..4).all(|q| (change[q] - origin.made[q]).abs() <= FOLLOWED);
                if (origin.spectrum, origin.lines) == (spectrum, lines) && near {
                    light.follow([0, 1, 2, 3].map(|q| change[q] - origin.now[q]));
                    origin.now = change;
                    continue;
                }
            }
            let sampling = sampling.get_or_insert_with(|| Sampling::new(field, chunk));
            let made = light(field, chunk, sampling, fibre, coeff, rows);
            let origin = Origin { spectrum, lines, made: change, now: change };
            match fibre < self.lights.len() {
                true => (self.lights[fibre], self.origins[fibre]) = (made, origin),
                false => {
                    self.lights.push(made);
                    self.origins.push(origin);
                }
            }
            self.new = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::ArcFrame;
    use crate::shift::rounds::COEFFICIENTS;
    use crate::shift::spectrum::frame_rows;
    use crate::shift::terms::TERMS;
    use crate::shift::tests::{frame, options, psf};

    #[test]
    fn images_that_follow_are_those_made_anew_and_far_ones_are_made() {
        let psf = psf();
        let frame = frame(&psf, 1);
        let arc = ArcFrame { ccd: &frame.ccd, readnoise: frame.readnoise.as_deref() };
        let options = options(&frame);
        let field = Field::new(&psf, 0..psf.nfibre, &arc, &options);
        let mut chunk = Chunk::choose(&field).swap_remove(5);
        chunk.spectra[3] = Spectrum::Free;
        let rows = frame_rows(&field, &chunk);
        let coeff = |part: f64| {
            let mut coeff = vec![0.0; COEFFICIENTS];
            (0..4).for_each(|q| coeff[q * TERMS] = part * FOLLOWED * [1.0, -0.8, 0.5, -0.7][q]);
            coeff
        };
        let kept_at = |parts: &[f64]| {
            let mut kept = Kept::default();
            parts.iter().for_each(|part| kept.renew(&field, &chunk, &coeff(*part), &rows));
            kept
        };
        let (followed, made) = (kept_at(&[0.0, 0.4, 0.9]), kept_at(&[0.9]));
        assert!(!followed.new && made.new && kept_at(&[0.0, 1.3]).new);
        let values = |kept: &Kept| -> Vec<f64> {
            kept.lights.iter().flat_map(|light| light.parts.iter().flat_map(|part| part.value.clone())).collect()
        };
        let (before, followed, made) = (values(&kept_at(&[0.0])), values(&followed), values(&made));
        let peak = made.iter().copied().fold(0.0, f64::max);
        let off = |other: &[f64]| made.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / peak;
        assert!(
            made.len() == followed.len() && off(&followed) < 2e-5 && off(&before) > 1e-3,
            "{} {}",
            off(&followed),
            off(&before)
        );
        let (mut kept, mut freed) = (kept_at(&[0.0]), chunk.clone());
        freed.spectra[4] = Spectrum::Free;
        kept.renew(&field, &freed, &coeff(0.0), &rows);
        assert!(kept.new && kept.lights[4].parts.len() > kept.lights[5].parts.len());
    }
}
