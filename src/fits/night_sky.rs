//! The built-in list of the night sky's lines.

use super::line_list::{Line, lines_of_text};

/// The list, with its sources.
const NIGHT_SKY: &str = include_str!("night_sky.txt");

/// Returns the lines of the night sky from 3600 to 10 000 Angstrom, in vacuum, by ascending wavelength. Weights are
/// electrons of 1000 s in a fibre under a dark sky.
pub fn night_sky_lines() -> Vec<Line> {
    lines_of_text(NIGHT_SKY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_holds_the_bright_lines_where_atlases_have_them() {
        let lines = night_sky_lines();
        assert!(lines.len() > 500 && lines.is_sorted_by(|a, b| a.wave < b.wave));
        // [O I], and Q1(1.5) of OH 7-2, 8-3 and 6-2 by Osterbrock et al. (1996): 6863.955, 7276.405, 8399.170 in air.
        for wave in [5578.888, 6302.046, 6865.850, 7278.410, 8401.479] {
            let nearest = lines.iter().min_by(|a, b| (a.wave - wave).abs().total_cmp(&(b.wave - wave).abs())).unwrap();
            assert!((nearest.wave - wave).abs() < 0.03 && nearest.weight.unwrap() > 1000.0, "{nearest:?}");
        }
    }
}
