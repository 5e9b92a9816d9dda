//! Planes with rows and columns exchanged.

use rayon::prelude::*;

/// Rows of the result per task, and columns that are read together: both ends of a copy stay in a core's cache.
const BLOCK: usize = 32;

/// Returns a plane `[ny, nx]` as `[nx, ny]`.
pub fn transposed<T: Copy + Default + Send + Sync>(plane: &[T], [ny, nx]: [usize; 2]) -> Vec<T> {
    assert_eq!(plane.len(), ny * nx, "the plane has its shape");
    let mut turned = vec![T::default(); plane.len()];
    turned.par_chunks_mut((BLOCK * ny).max(1)).enumerate().for_each(|(block, rows)| {
        for first in (0..ny).step_by(BLOCK) {
            for (k, row) in rows.chunks_exact_mut(ny).enumerate() {
                let x = block * BLOCK + k;
                let to = &mut row[first..(first + BLOCK).min(ny)];
                to.iter_mut().enumerate().for_each(|(y, to)| *to = plane[(first + y) * nx + x]);
            }
        }
    });
    turned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pixel_goes_to_its_place_in_any_shape() {
        for [ny, nx] in [[1, 1], [3, 70], [70, 3], [33, 65], [0, 5]] {
            let plane: Vec<i32> = (0..(ny * nx) as i32).collect();
            let turned = transposed(&plane, [ny, nx]);
            assert!((0..ny * nx).all(|k| turned[k % nx * ny + k / nx] == plane[k]), "{ny} x {nx}");
            assert_eq!(transposed(&turned, [nx, ny]), plane);
        }
    }
}
