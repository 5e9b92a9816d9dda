//! Which pixels are used: those whose value and weight are numbers, and whose weight a detector can have.

use rayon::prelude::*;

/// Pixels looked at by one thread at a time: they stay in its cache.
const CHUNK: usize = 1 << 16;

/// Pixels that stand for all when the largest sensible ivar is looked for.
const SAMPLES: usize = 1 << 16;

/// Ratio of an ivar to that of a dark pixel beyond which no detector explains it: amplifiers differ by less than a factor of ten.
pub(super) const ABSURD: f32 = 1e3;

/// Whether arithmetic can meet a pixel.
fn is_sound(value: f32, ivar: f32) -> bool {
    (value.abs() <= f32::MAX) & (0.0..=f32::MAX).contains(&ivar)
}

/// How many pixels have a value that is not finite, or an ivar that is negative or not finite.
pub(super) fn count_unsound(image: &[f32], ivar: &[f32]) -> usize {
    let of_chunk = |(image, ivar): (&[f32], &[f32])| {
        image.iter().zip(ivar).map(|(&p, &w)| u32::from(!is_sound(p, w))).sum::<u32>() as usize
    };
    image.par_chunks(CHUNK).zip(ivar.par_chunks(CHUNK)).map(of_chunk).sum()
}

/// Sets ivar to 0 for pixels with a bit of `mask` in `mask_bits`, and value and ivar to 0 for unsound ones. Returns the number
/// of unsound pixels.
pub(super) fn mask_pixels(image: &mut [f32], ivar: &mut [f32], mask: Option<&[i32]>, mask_bits: u32) -> usize {
    let chunks = image.par_chunks_mut(CHUNK).zip(ivar.par_chunks_mut(CHUNK)).enumerate();
    let bad = chunks.map(|(chunk, (image, ivar))| match mask {
        Some(mask) => mask_chunk(image, ivar, mask[chunk * CHUNK..].iter().map(|&bits| bits as u32 & mask_bits)),
        None => mask_chunk(image, ivar, std::iter::repeat(0)),
    });
    bad.sum()
}

/// Without branches: eight pixels are looked at in one go.
fn mask_chunk(image: &mut [f32], ivar: &mut [f32], bits: impl Iterator<Item = u32>) -> usize {
    let mut bad_pixels = 0u32;
    for ((p, v), bits) in image.iter_mut().zip(ivar).zip(bits) {
        let bad = !is_sound(*p, *v);
        *p = if bad { 0.0 } else { *p };
        *v = if bad | (bits != 0) { 0.0 } else { *v };
        bad_pixels += u32::from(bad);
    }
    bad_pixels as usize
}

/// Counts the pixels whose ivar is above `limit`.
pub(super) fn count_absurd(ivar: &[f32], limit: f32) -> usize {
    let of_chunk = |ivar: &[f32]| ivar.iter().map(|w| u32::from(*w > limit)).sum::<u32>() as usize;
    ivar.par_chunks(CHUNK).map(of_chunk).sum()
}

/// Sets ivar to 0 where it is above `limit`, and counts these pixels.
pub(super) fn mask_absurd(ivar: &mut [f32], limit: f32) -> usize {
    let of_chunk = |ivar: &mut [f32]| {
        let absurd = ivar.iter_mut().filter(|w| **w > limit);
        absurd.map(|w| *w = 0.0).count()
    };
    ivar.par_chunks_mut(CHUNK).map(of_chunk).sum()
}

/// Returns the weight of a dark pixel: what 99 in 100 of the weights above 0 stay below. Dark pixels between the fibres have the
/// largest weight, that of the read noise. None if no pixel has a weight.
pub(super) fn dark_weight(ivar: &[f32]) -> Option<f32> {
    // Pixels all over the frame, whatever its width: Knuth's multiplicative hash.
    let at = |k: usize| (k as u64 * 2_654_435_761 % ivar.len() as u64) as usize;
    let mut weights: Vec<f32> = (0..SAMPLES.min(ivar.len())).map(|k| ivar[at(k)]).filter(|w| *w > 0.0).collect();
    if weights.is_empty() {
        weights = ivar.iter().copied().filter(|w| *w > 0.0).collect();
    }
    let rank = weights.len() * 99 / 100;
    (!weights.is_empty()).then(|| *weights.select_nth_unstable_by(rank, f32::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weights of a frame whose lower half is dark and whose upper half is 1e8 times as noisy.
    fn frame() -> Vec<f32> {
        (0..200_000).map(|k| if k < 100_000 { 0.1 * (1.0 + (k % 7) as f32) } else { 1e-9 }).collect()
    }

    fn absurd_limit(ivar: &[f32]) -> f32 {
        dark_weight(ivar).map_or(f32::MAX, |weight| ABSURD * weight)
    }

    #[test]
    fn a_dark_pixel_weighs_what_the_read_noise_leaves_wherever_the_few_good_pixels_are() {
        assert_eq!(dark_weight(&frame()), Some(0.7));
        let mut lonely = vec![0.0; 1 << 20];
        lonely[777_777] = 0.3;
        assert_eq!((dark_weight(&lonely), dark_weight(&[0.0; 9])), (Some(0.3), None));
    }

    #[test]
    fn weights_of_any_detector_stay_and_absurd_ones_go() {
        let mut ivar = frame();
        assert_eq!(count_absurd(&ivar, absurd_limit(&ivar)), 0);
        for (at, absurd) in [(0, 1e30), (77_777, f32::MAX), (150_000, 1e4)] {
            ivar[at] = absurd;
        }
        ivar[99] = 100.0;
        let limit = absurd_limit(&ivar);
        assert_eq!((count_absurd(&ivar, limit), mask_absurd(&mut ivar, limit)), (3, 3));
        assert!(ivar[0] == 0.0 && ivar[77_777] == 0.0 && ivar[150_000] == 0.0 && ivar[99] == 100.0);
    }

    #[test]
    fn a_frame_without_weights_has_no_absurd_ones() {
        // A single weight has nothing to compare with.
        for ivar in [&[0.0; 50][..], &[], &[0.0, 1e30]] {
            assert_eq!(count_absurd(ivar, absurd_limit(ivar)), 0);
        }
    }

    #[test]
    fn pixels_that_are_no_numbers_lose_their_weight_and_their_value() {
        let mut image = [1.0, f32::NAN, f32::INFINITY, 4.0, 5.0, 6.0];
        let mut ivar = [1.0, 1.0, 0.0, -1.0, f32::INFINITY, f32::NAN];
        assert_eq!(count_unsound(&image, &ivar), 5);
        assert_eq!(mask_pixels(&mut image, &mut ivar, None, 0), 5);
        assert_eq!((image, ivar), ([1.0, 0.0, 0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]));
        assert_eq!(count_unsound(&image, &ivar), 0);
    }
}
