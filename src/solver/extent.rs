//! The part of a CCD that spots reach.

use crate::geometry::Positions;
use std::ops::Range;

/// Returns the rows and columns of a CCD of `[ny, nx]` that spots reach, and one more to each side. A device may round a position
/// between two pixels to the other one.
pub(super) fn extent(positions: &Positions, [ny, nx]: [usize; 2]) -> (Range<usize>, Range<usize>) {
    let of = |pixels: &[i32], half: usize, most: usize| {
        let low = pixels.iter().min().map_or(0, |&p| i64::from(p) - half as i64 - 1);
        let high = pixels.iter().max().map_or(0, |&p| i64::from(p) + half as i64 + 2);
        let low = low.clamp(0, most as i64) as usize;
        low..(high.clamp(0, most as i64) as usize).max(low)
    };
    (of(positions.pixel_y, positions.spot.half_y, ny), of(positions.pixel_x, positions.spot.half_x, nx))
}
